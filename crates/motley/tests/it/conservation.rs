//! What every job conserves: parameters, floating-point operations, gradients, time.

use motley::{Prepared, Replays, Scenario};
use motley_collectives::{Algorithm, CollectiveCall, CollectiveKind, Group, Protocol};
use motley_job::{Call, CommId, RankId};
use motley_scheduler::{Pipeline, Traffic};
use motley_topology::GpuId;
use motley_units::Time;
use motley_workload::{Model, Part, model_flops};

use crate::setup::{near, played};

/// All laws of this file hold for the scenario.
pub(crate) fn check(scenario: &Scenario) {
    let (prepared, replays) = played(scenario);
    check_parameters(&prepared);
    check_flops(&prepared);
    check_gradients(&prepared, &replays);
    check_time(&prepared, &replays);
}

/// Parameters of a stage, over its tensor ranks, as `count` counts those of a part, and
/// copies of the word embedding on later stages.
fn stage_parameters(
    model: &Model,
    pipeline: &Pipeline,
    stage: usize,
    count: impl Fn(Part) -> f64,
    copy: f64,
) -> f64 {
    let (first, last) = (stage == 0, stage + 1 == pipeline.stages.len());
    let layers = pipeline.stages[stage].chunks.iter().flat_map(Clone::clone);
    let layers: f64 = layers.map(|layer| count(model.part(layer))).sum();
    let embedding = if first { count(Part::Embedding) } else { 0.0 };
    let head = if last { count(Part::Head) } else { 0.0 };
    let decodes = model.target_entry().is_some_and(|entry| {
        pipeline.stages[stage].chunks.iter().any(|chunk| chunk.contains(&entry))
    });
    let copied = !first && (decodes || last && model.tied_head());
    layers + embedding + head + if copied { copy } else { 0.0 }
}

/// Gradients of a part that are averaged: its trained parameters, and for a head that is tied to the
/// word embedding and for the layer that begins a decoder a copy of it, where some pipeline has one.
fn averaged(prepared: &Prepared<'_>, part: Part) -> f64 {
    let (model, training) = (&prepared.scenario.model, &prepared.scenario.training);
    let pipelines = &prepared.plan.pipelines;
    let entry = model.target_entry();
    let starts_later = |pipeline: &Pipeline| {
        !pipeline.stages[0].chunks.iter().any(|chunk| chunk.contains(&entry.unwrap()))
    };
    let copied = if part == Part::Head {
        model.tied_head() && pipelines.iter().any(|pipeline| pipeline.stages.len() > 1)
    } else {
        entry.is_some_and(|entry| model.part(entry) == part) && pipelines.iter().any(starts_later)
    };
    let copy = if copied && training.adapters.is_none() { model.word_embedding() } else { 0.0 };
    model.trained_parameters(part, training).total() + copy
}

/// The ranks of a pipeline hold the model once, each the share of its stage that its
/// tensor-parallel degree gives it.
fn check_parameters(prepared: &Prepared<'_>) {
    let (model, training) = (&prepared.scenario.model, &prepared.scenario.training);
    let lowered = &prepared.lowered;
    let count = |part| model.held_parameters(part, training).total();
    let copy = model.word_embedding();
    let mut held = vec![0.0; prepared.plan.pipelines.len()];
    for (rank, place) in lowered.places.iter().enumerate() {
        let pipeline = &prepared.plan.pipelines[place.pipeline as usize];
        let stage = &pipeline.stages[place.stage as usize];
        let element = f64::from(lowered.paths[rank].precision.element_bytes());
        let own = lowered.memory[rank].parameters.0 / element;
        let share = stage_parameters(model, pipeline, place.stage as usize, count, copy)
            / f64::from(stage.tensor_parallel());
        near(own, share, 1e-9, &format!("parameters of rank {rank}"));
        held[place.pipeline as usize] += own;
    }
    let all: f64 = model.parts().map(count).sum();
    for (p, (held, pipeline)) in held.into_iter().zip(&prepared.plan.pipelines).enumerate() {
        let stages = 0..pipeline.stages.len();
        let copies: f64 = stages.map(|s| stage_parameters(model, pipeline, s, |_| 0.0, copy)).sum();
        near(held, all + copies, 1e-9, &format!("parameters of pipeline {p}"));
    }
}

/// All ranks together do the model's work on every sequence once.
fn check_flops(prepared: &Prepared<'_>) {
    let scenario = prepared.scenario;
    let sample = model_flops(&scenario.model, &scenario.training).0;
    let done: f64 = prepared.lowered.model_flops.iter().sum();
    near(done, sample * f64::from(scenario.global_batch), 1e-9, "floating-point operations");
}

/// Bytes that a communicator reduces, from what its calls put on a connection: a connection carries
/// a fixed share of the message under each algorithm.
fn reduced_bytes(prepared: &Prepared<'_>, comm: CommId) -> f64 {
    let job = &prepared.lowered.job;
    let communicator = &job.communicators[comm.0 as usize];
    let gpus: Vec<GpuId> =
        communicator.members.iter().map(|&rank| prepared.lowered.place(rank).gpu).collect();
    let group = Group::new(&prepared.cluster, &gpus).unwrap();
    let mut shares = Vec::new();
    for algorithm in Algorithm::ALL {
        for protocol in Protocol::ALL {
            let call = group.call_with(CollectiveKind::AllReduce, 1e9, algorithm, protocol);
            shares.extend(call.map(|CollectiveCall { call, .. }| {
                (&group.footprints()[usize::from(call.footprint)], call.bytes / 1e9)
            }));
        }
    }
    // Algorithms are told apart by the links that they cross.
    let share = |call: &Call| {
        let crossed = communicator.footprints[usize::from(call.footprint)];
        let crossed = &job.footprints[crossed.0 as usize];
        shares.iter().find(|(footprint, _)| *footprint == crossed).unwrap().1
    };
    let calls = &job.call_sets[communicator.calls.0 as usize].calls;
    calls.iter().map(|call| call.bytes / share(call)).sum()
}

/// Tensor rank `r` of `t` holds the slice from `r / t` to `(r + 1) / t` of each matrix; those who
/// average gradients have a part of it in common.
fn check_slices(prepared: &Prepared<'_>, members: &[RankId]) {
    let (mut start, mut end) = (0.0_f64, 1.0_f64);
    for &rank in members {
        let place = prepared.lowered.place(rank);
        let pipeline = &prepared.plan.pipelines[place.pipeline as usize];
        let degree = f64::from(pipeline.stages[place.stage as usize].tensor_parallel());
        start = start.max(f64::from(place.tensor_rank) / degree);
        end = end.min(f64::from(place.tensor_rank + 1) / degree);
    }
    assert!(end - start > 1e-9, "{members:?} have no parameters in common");
}

/// Every rank averages each of its gradients once with every other pipeline, whatever cuts and
/// degrees they have.
fn check_gradients(prepared: &Prepared<'_>, replays: &Replays) {
    let (model, plan, lowered) = (&prepared.scenario.model, &prepared.plan, &prepared.lowered);
    let pipelines = plan.pipelines.len();
    let mut moved = vec![0.0; lowered.places.len()];
    for (c, communicator) in lowered.job.communicators.iter().enumerate() {
        let comm = CommId(c as u32);
        if lowered.traffic(comm) != Traffic::DataParallel {
            continue;
        }
        let mut met: Vec<u32> =
            communicator.members.iter().map(|&rank| lowered.place(rank).pipeline).collect();
        met.sort_unstable();
        let all: Vec<u32> = (0..pipelines as u32).collect();
        assert_eq!(met, all, "communicator {c} has one card of every pipeline");
        check_slices(prepared, &communicator.members);
        let bytes = reduced_bytes(prepared, comm);
        for &rank in &communicator.members {
            moved[rank.0 as usize] += bytes;
        }
        let calls = &lowered.job.call_sets[communicator.calls.0 as usize].calls;
        for call in 0..calls.len() as u16 {
            for run in &replays.runs {
                assert_eq!(run.account.calls(comm, call), 1, "communicator {c}, call {call}");
            }
        }
    }
    if pipelines == 1 {
        assert!(moved.iter().all(|&bytes| bytes == 0.0));
        return;
    }
    for (rank, place) in lowered.places.iter().enumerate() {
        let pipeline = &plan.pipelines[place.pipeline as usize];
        let stage = place.stage as usize;
        let held = stage_parameters(model, pipeline, stage, |part| averaged(prepared, part), 0.0);
        let share = held / f64::from(pipeline.stages[stage].tensor_parallel());
        let bytes = share * f64::from(prepared.scenario.training.gradient_bytes);
        near(moved[rank], bytes, 1e-9, &format!("gradients of rank {rank}"));
    }
}

/// Each rank's compute, transfers, waits and idle rest make up the iteration, and the report's parts
/// its iteration time.
fn check_time(prepared: &Prepared<'_>, replays: &Replays) {
    for run in &replays.runs {
        let last = run.outcome.finish.iter().max().unwrap();
        assert_eq!(*last, run.outcome.end, "the iteration ends with its last rank");
        for rank in (0..prepared.lowered.places.len()).map(|rank| RankId(rank as u32)) {
            let account = &run.account;
            let mut sum = account.computing(rank);
            for class in Traffic::ALL {
                sum += account.exposed(rank, class) + account.waiting(rank, class);
            }
            assert_eq!(sum, account.finish_of(rank), "rank {rank:?}");
            assert_eq!(account.finish_of(rank), run.outcome.finish[rank.0 as usize]);
        }
    }
    let report = prepared.report(replays).unwrap();
    assert!(report.iteration_time.mean > Time::ZERO);
    assert_eq!(report.breakdown.total(), report.iteration_time.mean);
}

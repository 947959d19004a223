//! What every job conserves: parameters, floating-point operations, gradients, time.

use std::collections::BTreeSet;

use motley::{Prepared, Replays, Scenario};
use motley_collectives::{Algorithm, CollectiveCall, CollectiveKind, Group, Protocol};
use motley_job::{Call, CommId, RankId};
use motley_scheduler::schedule::Position;
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

/// What a stage holds, each once: the embedding as 0, layer `l` as `l + 1`, the head as the last.
fn holdings(prepared: &Prepared<'_>, pipeline: &Pipeline, stage: usize) -> BTreeSet<u32> {
    let placement = pipeline.placement(prepared.plan.schedule);
    let mut items = BTreeSet::new();
    for (chunk, layers) in pipeline.stages[stage].chunks.iter().enumerate() {
        let at = Position { stage: stage as u32, chunk: chunk as u32 };
        items.extend(layers.clone().map(|layer| layer + 1));
        items.extend(placement.before(at).is_none().then_some(0));
        items.extend(placement.after(at).is_none().then_some(head(&prepared.scenario.model)));
    }
    items
}

fn head(model: &Model) -> u32 {
    model.layer_count() + 1
}

fn part(model: &Model, item: u32) -> Part {
    match item {
        0 => Part::Embedding,
        item if item == head(model) => Part::Head,
        layer => model.part(layer - 1),
    }
}

/// Whether an item needs the word embedding, as a head that is tied to it and the layer with which a
/// decoder begins do.
fn needs_words(model: &Model, item: u32) -> bool {
    if item == head(model) {
        model.tied_head()
    } else {
        model.target_entry() == item.checked_sub(1)
    }
}

/// Whether a stage has a copy of the word embedding: it needs it and does not hold the embedding.
fn has_copy(model: &Model, items: &BTreeSet<u32>) -> bool {
    !items.contains(&0) && items.iter().any(|&item| needs_words(model, item))
}

/// The ranks of a pipeline hold the model once, or once in each direction, each the share of its
/// stage that its tensor-parallel degree gives it.
fn check_parameters(prepared: &Prepared<'_>) {
    let (model, training) = (&prepared.scenario.model, &prepared.scenario.training);
    let lowered = &prepared.lowered;
    let parameters = |item: u32| model.held_parameters(part(model, item), training).total();
    let of_stage = |items: &BTreeSet<u32>| {
        let copy = if has_copy(model, items) { model.word_embedding() } else { 0.0 };
        items.iter().map(|&item| parameters(item)).sum::<f64>() + copy
    };
    let mut held = vec![0.0; prepared.plan.pipelines.len()];
    for (rank, place) in lowered.places.iter().enumerate() {
        let pipeline = &prepared.plan.pipelines[place.pipeline as usize];
        let stage = &pipeline.stages[place.stage as usize];
        let element = f64::from(lowered.paths[rank].precision.element_bytes());
        let own = lowered.memory[rank].parameters.0 / element;
        let items = holdings(prepared, pipeline, place.stage as usize);
        let share = of_stage(&items) / f64::from(stage.tensor_parallel());
        near(own, share, 1e-9, &format!("parameters of rank {rank}"));
        held[place.pipeline as usize] += own;
    }
    for (p, (held, pipeline)) in held.into_iter().zip(&prepared.plan.pipelines).enumerate() {
        let directions = pipeline.placement(prepared.plan.schedule).routes().len();
        let stages: Vec<BTreeSet<u32>> =
            (0..pipeline.stages.len()).map(|s| holdings(prepared, pipeline, s)).collect();
        // A stage that meets a layer in both directions holds it once.
        for item in 0..=head(model) {
            let holders = stages.iter().filter(|stage| stage.contains(&item)).count();
            assert!((1..=directions).contains(&holders), "{holders} hold {item}");
        }
        let expected: f64 = stages.iter().map(of_stage).sum();
        near(held, expected, 1e-9, &format!("parameters of pipeline {p}"));
        if directions == 1 {
            let copies = stages.iter().filter(|stage| has_copy(model, stage)).count();
            let all: f64 = (0..=head(model)).map(parameters).sum();
            near(expected, all + copies as f64 * model.word_embedding(), 1e-9, "once");
        }
    }
}

/// All ranks together do the model's work on every sample once.
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
        start = start.max(f64::from(place.stage_rank) / degree);
        end = end.min(f64::from(place.stage_rank + 1) / degree);
    }
    assert!(end - start > 1e-9, "{members:?} have no parameters in common");
}

/// Every rank averages each of its gradients once with every other pipeline, whatever cuts and
/// degrees they have.
fn check_gradients(prepared: &Prepared<'_>, replays: &Replays) {
    let (plan, lowered) = (&prepared.plan, &prepared.lowered);
    let pipelines = plan.pipelines.len();
    let directions = plan.pipelines[0].placement(plan.schedule).routes().len();
    let mut averaged = vec![0.0; lowered.places.len()];
    for (c, communicator) in lowered.job.communicators.iter().enumerate() {
        let comm = CommId(c as u32);
        if lowered.traffic(comm) != Traffic::DataParallel {
            continue;
        }
        let mut met: Vec<u32> =
            communicator.members.iter().map(|&rank| lowered.place(rank).pipeline).collect();
        met.sort_unstable();
        assert!(met.len() <= directions * pipelines && met.len() > 1, "communicator {c}: {met:?}");
        met.dedup();
        let all: Vec<u32> = (0..pipelines as u32).collect();
        assert_eq!(met, all, "communicator {c} has a card of every pipeline");
        check_slices(prepared, &communicator.members);
        let bytes = reduced_bytes(prepared, comm);
        for &rank in &communicator.members {
            averaged[rank.0 as usize] += bytes;
        }
        let calls = &lowered.job.call_sets[communicator.calls.0 as usize].calls;
        for call in 0..calls.len() as u16 {
            for run in &replays.runs {
                assert_eq!(run.account.calls(comm, call), 1, "communicator {c}, call {call}");
            }
        }
    }
    if pipelines == 1 && directions == 1 {
        assert!(averaged.iter().all(|&bytes| bytes == 0.0));
        return;
    }
    let stages: Vec<BTreeSet<u32>> = plan
        .pipelines
        .iter()
        .flat_map(|pipeline| {
            (0..pipeline.stages.len()).map(|stage| holdings(prepared, pipeline, stage))
        })
        .collect();
    for (rank, place) in lowered.places.iter().enumerate() {
        let pipeline = &plan.pipelines[place.pipeline as usize];
        let items = holdings(prepared, pipeline, place.stage as usize);
        let gradients: f64 = items.iter().map(|&item| averaged_of(prepared, &stages, item)).sum();
        let share = gradients / f64::from(pipeline.stages[place.stage as usize].tensor_parallel());
        let bytes = share * f64::from(prepared.scenario.training.gradient_bytes);
        near(averaged[rank], bytes, 1e-9, &format!("gradients of rank {rank}"));
    }
}

/// Gradients of an item that its holders average: its trained parameters, and the word embedding if
/// one of them has a copy of it for its sake. What lies on one stage alone is not averaged.
fn averaged_of(prepared: &Prepared<'_>, stages: &[BTreeSet<u32>], item: u32) -> f64 {
    let (model, training) = (&prepared.scenario.model, &prepared.scenario.training);
    let holders: Vec<&BTreeSet<u32>> =
        stages.iter().filter(|stage| stage.contains(&item)).collect();
    if holders.len() < 2 {
        return 0.0;
    }
    let copied = needs_words(model, item) && holders.iter().any(|stage| !stage.contains(&0));
    let copy = if copied && training.adapters.is_none() { model.word_embedding() } else { 0.0 };
    model.trained_parameters(part(model, item), training).total() + copy
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

//! What every job conserves: parameters, floating-point operations, gradients, time.

use std::collections::BTreeSet;

use motley::{Prepared, Replays, Scenario};
use motley_collectives::{Algorithm, CollectiveCall, CollectiveKind, Group, Protocol};
use motley_job::{Call, CommId, RankId};
use motley_scheduler::schedule::{Placement, Position};
use motley_scheduler::{Pipeline, Traffic};
use motley_topology::GpuId;
use motley_units::Time;
use motley_workload::{Model, head_forward_flops, layer_forward_flops};

use crate::setup::{near, played};

/// All laws of this file hold for the scenario.
pub(crate) fn check(scenario: &Scenario) {
    let (prepared, replays) = played(scenario);
    check_parameters(&prepared);
    check_flops(&prepared);
    check_gradients(&prepared, &replays);
    check_time(&prepared, &replays);
}

/// What a stage holds: its layers, each once, and the ends of the model.
struct Holdings {
    layers: BTreeSet<u32>,
    embedding: bool,
    head: bool,
}

impl Holdings {
    fn of(pipeline: &Pipeline, placement: &Placement, stage: usize) -> Self {
        let chunks = &pipeline.stages[stage].chunks;
        let at = |chunk: usize| Position { stage: stage as u32, chunk: chunk as u32 };
        Self {
            layers: chunks.iter().cloned().flatten().collect(),
            embedding: (0..chunks.len()).any(|chunk| placement.before(at(chunk)).is_none()),
            head: (0..chunks.len()).any(|chunk| placement.after(at(chunk)).is_none()),
        }
    }

    /// Parameters, over all tensor ranks. The output matrix of tied embeddings is a copy on a stage
    /// without the embedding.
    fn parameters(&self, model: &Model) -> f64 {
        let layers = self.layers.len() as f64 * model.layer_parameters();
        let embedding = if self.embedding { model.embedding_parameters() } else { 0.0 };
        let head = if self.head { model.head_parameters() } else { 0.0 };
        let copy = if self.head && !self.embedding { tied_matrix(model) } else { 0.0 };
        layers + embedding + head + copy
    }
}

fn tied_matrix(model: &Model) -> f64 {
    if model.tied_embeddings { f64::from(model.vocab) * f64::from(model.hidden) } else { 0.0 }
}

/// The ranks of a pipeline hold the model once, or once in each direction, each the share of its
/// stage that its tensor-parallel degree gives it.
fn check_parameters(prepared: &Prepared<'_>) {
    let model = &prepared.scenario.model;
    let lowered = &prepared.lowered;
    let mut held = vec![0.0; prepared.plan.pipelines.len()];
    for (rank, place) in lowered.places.iter().enumerate() {
        let pipeline = &prepared.plan.pipelines[place.pipeline as usize];
        let placement = pipeline.placement(prepared.plan.schedule);
        let stage = &pipeline.stages[place.stage as usize];
        let element = f64::from(lowered.paths[rank].precision.element_bytes());
        let own = lowered.memory[rank].parameters.0 / element;
        let holdings = Holdings::of(pipeline, &placement, place.stage as usize);
        let share = holdings.parameters(model) / f64::from(stage.tensor_parallel());
        near(own, share, 1e-9, &format!("parameters of rank {rank}"));
        held[place.pipeline as usize] += own;
    }
    for (p, (held, pipeline)) in held.into_iter().zip(&prepared.plan.pipelines).enumerate() {
        let placement = pipeline.placement(prepared.plan.schedule);
        let stages: Vec<Holdings> =
            (0..pipeline.stages.len()).map(|s| Holdings::of(pipeline, &placement, s)).collect();
        // A stage that meets a layer in both directions holds it once.
        let layers: usize = stages.iter().map(|stage| stage.layers.len()).sum();
        let directions = placement.routes().len();
        let once = layers as f64 / f64::from(model.layers);
        assert!(once <= directions as f64 && once >= 1.0);
        let copies = stages.iter().filter(|stage| stage.head && !stage.embedding).count();
        let ends = |end: fn(&&Holdings) -> bool| stages.iter().filter(end).count() as f64;
        let expected = layers as f64 * model.layer_parameters()
            + ends(|stage| stage.embedding) * model.embedding_parameters()
            + ends(|stage| stage.head) * model.head_parameters()
            + copies as f64 * tied_matrix(model);
        near(held, expected, 1e-9, &format!("parameters of pipeline {p}"));
        if directions == 1 {
            near(expected - copies as f64 * tied_matrix(model), model.parameters(), 1e-9, "once");
        }
    }
}

/// All ranks together do the model's work on every sequence once.
fn check_flops(prepared: &Prepared<'_>) {
    let scenario = prepared.scenario;
    let length = scenario.training.sequence_length;
    let layers = f64::from(scenario.model.layers) * layer_forward_flops(&scenario.model, length).0;
    let sequence = 3.0 * (layers + head_forward_flops(&scenario.model, length).0);
    let done: f64 = prepared.lowered.model_flops.iter().sum();
    near(done, sequence * f64::from(scenario.global_batch), 1e-9, "floating-point operations");
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
    let placement = |pipeline: &Pipeline| pipeline.placement(plan.schedule);
    let directions = placement(&plan.pipelines[0]).routes().len();
    // Somewhere the ends of the model lie on stages of their own.
    let apart = plan.pipelines.iter().any(|pipeline| {
        let placement = placement(pipeline);
        let ends = Holdings::of(pipeline, &placement, 0);
        !(ends.embedding && ends.head)
    });
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
    for (rank, place) in lowered.places.iter().enumerate() {
        let pipeline = &plan.pipelines[place.pipeline as usize];
        let stage = place.stage as usize;
        let holdings = Holdings::of(pipeline, &placement(pipeline), stage);
        let mut held = holdings.parameters(model);
        // A stage with one matrix for both ends meets both copies of others.
        if apart && holdings.embedding && holdings.head {
            held += tied_matrix(model);
        }
        if pipelines == 1 {
            // What lies on one stage in both directions has no other holder.
            held -= alone(pipeline, &placement(pipeline), stage, model);
        }
        let share = held / f64::from(pipeline.stages[stage].tensor_parallel());
        let bytes = share * f64::from(prepared.scenario.training.gradient_bytes);
        near(averaged[rank], bytes, 1e-9, &format!("gradients of rank {rank}"));
    }
}

/// Parameters of layers that a bidirectional pipeline holds on one stage alone, because they lie on
/// it in both directions.
fn alone(pipeline: &Pipeline, placement: &Placement, stage: usize, model: &Model) -> f64 {
    let own = Holdings::of(pipeline, placement, stage).layers;
    let others = (0..pipeline.stages.len()).filter(|&other| other != stage);
    let elsewhere: BTreeSet<u32> =
        others.flat_map(|other| Holdings::of(pipeline, placement, other).layers).collect();
    own.difference(&elsewhere).count() as f64 * model.layer_parameters()
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

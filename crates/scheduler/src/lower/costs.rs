//! What the passes of a pipeline take and hold, for automatic schedules: the strands of its stages,
//! with collectives and sends as long as they take when nothing else moves.

use std::collections::VecDeque;

use motley_collectives::{Fidelity, Layouts};
use motley_topology::{Cluster, GpuId, RouteError};
use motley_units::Time;
use motley_workload::ProcessGroup;

use super::communicators::boundary;
use super::memory::stage_memory;
use super::passes::Passes;
use super::shape::StageShape;
use super::strand::{Piece, Request, Strand};
use crate::collective_times::Spread;
use crate::memory_course::{ChunkCourse, MemoryCourse};
use crate::plan::Pipeline;
use crate::schedule::{
    ActivationLimit, ChunkCosts, Costs, Pass, Placement, Position, Schedule, StageCosts, Step,
};
use crate::times::{CardKind, KernelTimes};

/// One stage, as far as costs want to know.
pub(super) struct StageWork<'a> {
    pub shape: &'a StageShape,
    /// By process group, the cards of that which the stage's first rank is in.
    pub groups: [Vec<GpuId>; ProcessGroup::ALL.len()],
    /// Its ranks.
    pub ranks: Vec<RankWork<'a>>,
}

/// One rank of a stage.
#[derive(Clone, Copy)]
pub(super) struct RankWork<'a> {
    pub kind: CardKind,
    /// That of the stage, with what the rank holds.
    pub shape: &'a StageShape,
    pub passes: &'a Passes,
}

/// The costs of a pipeline.
///
/// # Errors
/// If two cards that must communicate have no route.
pub(super) fn costs(
    pipeline: &Pipeline,
    placement: &Placement,
    schedule: Schedule,
    stages: &[StageWork],
    cluster: &Cluster,
    times: &KernelTimes,
    layouts: &mut Layouts,
) -> Result<Costs, RouteError> {
    let mut priced = Vec::with_capacity(stages.len());
    for work in stages {
        let calls = calls(work, (cluster, times), layouts)?;
        priced.push(stage_costs(work, &calls, times));
    }
    for (stage, work) in priced.iter_mut().zip(stages) {
        let wanted = match schedule.activation_limit() {
            None => f64::INFINITY,
            Some(ActivationLimit::Stages(factor)) => {
                factor * stages.len() as f64 * stage.micro_batch()
            }
            Some(ActivationLimit::Available) => {
                let left = |rank: &RankWork| {
                    let course = stage_memory(rank.shape, rank.kind, times);
                    course.room_for_activations(times.memory(rank.kind)).0
                };
                work.ranks.iter().map(left).fold(f64::INFINITY, f64::min)
            }
        };
        stage.limit = wanted.max(stage.least_limit());
    }
    let mut hop = |from: Position, to: Position, layer: u32| -> Result<Time, RouteError> {
        let ends = [from.stage as usize, to.stage as usize];
        hop((pipeline, stages), ends, layer, (cluster, times, layouts))
    };
    let (mut forward_hops, mut backward_hops) = (Vec::new(), Vec::new());
    for route in placement.routes() {
        let (mut forward, mut backward) = (Vec::new(), Vec::new());
        for pair in route.windows(2) {
            let layer = pipeline.layers_at(pair[1]).start;
            forward.push(hop(pair[0], pair[1], layer)?);
            backward.push(hop(pair[1], pair[0], layer)?);
        }
        forward_hops.push(forward);
        backward_hops.push(backward);
    }
    Ok(Costs { stages: priced, forward_hops, backward_hops, overlapped: 1.0 })
}

/// How long it takes the activations in front of a layer to get from one stage to another when nothing
/// else moves.
///
/// # Errors
/// If two cards that must communicate have no route.
pub(super) fn hop(
    (pipeline, stages): (&Pipeline, &[StageWork]),
    [from, to]: [usize; 2],
    layer: u32,
    (cluster, times, layouts): (&Cluster, &KernelTimes, &mut Layouts),
) -> Result<Time, RouteError> {
    if from == to {
        return Ok(Time::ZERO);
    }
    let shape = stages[from].shape;
    let (pairs, part) = boundary(shape, &pipeline.stages[from], &pipeline.stages[to]);
    let bytes = shape.boundary_bytes(times.model().before(layer), times.training());
    let sent = layouts.send(cluster, &pairs, bytes * part, Fidelity::Bundled)?;
    Ok(Time::from(sent.uncontended(cluster)))
}

/// By process group, how long its calls take.
pub(super) type Calls = [Vec<Time>; ProcessGroup::ALL.len()];

/// How long the calls of a stage take when nothing else moves.
///
/// # Errors
/// If two cards that must communicate have no route.
pub(super) fn calls(
    work: &StageWork,
    (cluster, times): (&Cluster, &KernelTimes),
    layouts: &mut Layouts,
) -> Result<Calls, RouteError> {
    let mut calls: Calls = Default::default();
    if let Some(RankWork { passes, .. }) = work.ranks.first() {
        for group in work.shape.process_groups() {
            let requests = passes.calls(group);
            let kinds = requests.iter().map(|request| request.kind);
            let members = &work.groups[group as usize];
            let laid = layouts.group(cluster, members, kinds, Fidelity::Bundled)?;
            let place = (&laid, &Spread::of(cluster, members));
            let call = |request: &Request| {
                let asked = (request.kind, request.bytes);
                Time::from(times.collectives().call(cluster, place, asked).time)
            };
            calls[group as usize] = requests.iter().map(call).collect();
        }
    }
    Ok(calls)
}

/// How long a pass of a chunk takes the slowest rank of a stage.
pub(super) fn slowest(work: &StageWork, calls: &Calls, pass: Pass, chunk: u32) -> Time {
    let step = Step { pass, micro_batch: 0, chunk };
    let of = |rank: &RankWork| price(rank.passes.strand(step), calls, &rank.passes.launches);
    work.ranks.iter().map(of).max().unwrap_or(Time::ZERO)
}

/// The costs of one stage, by its slowest and its fullest rank; without a limit.
fn stage_costs(work: &StageWork, calls: &Calls, times: &KernelTimes) -> StageCosts {
    let courses: Vec<MemoryCourse> =
        work.ranks.iter().map(|rank| stage_memory(rank.shape, rank.kind, times)).collect();
    let chunks = (0..work.shape.chunks.len() as u32).map(|chunk| {
        let slowest = |pass: Pass| slowest(work, calls, pass, chunk);
        let fullest = |held: &dyn Fn(&ChunkCourse) -> f64| {
            courses.iter().map(|course| held(&course.chunks[chunk as usize])).fold(0.0, f64::max)
        };
        ChunkCosts {
            forward: slowest(Pass::Forward),
            input_gradient: slowest(Pass::InputGradient),
            weight_gradient: slowest(Pass::WeightGradient),
            kept: fullest(&|held| held.kept),
            deferred: fullest(&|held| held.deferred),
        }
    });
    StageCosts { chunks: chunks.collect(), limit: f64::INFINITY }
}

/// How long a strand takes on one rank if each call of its groups takes as long as `calls` says.
/// Calls of a group follow one another; what it receives is there, and what it sends takes it no time.
fn price(strand: &Strand, calls: &Calls, launches: &[Time]) -> Time {
    let mut now = Time::ZERO;
    let mut free = [Time::ZERO; ProcessGroup::ALL.len()];
    let mut begun = Vec::new();
    // When the host has launched the sections that it has begun.
    let (mut host, mut sections) = (Time::ZERO, VecDeque::new());
    let takes = |group: ProcessGroup, call: u16| calls[group as usize][usize::from(call)];
    for piece in &strand.pieces {
        match *piece {
            Piece::Compute { run, .. } => now += run.time,
            Piece::Exchange { group, call, .. } => {
                now = now.max(free[group as usize]) + takes(group, call);
                free[group as usize] = now;
            }
            Piece::Begin { group, call, .. } => {
                let end = now.max(free[group as usize]) + takes(group, call);
                free[group as usize] = end;
                begun.push(end);
            }
            Piece::Finish { begun: which, .. } => now = now.max(begun[usize::from(which)]),
            Piece::Launch { call } => {
                host += launches[usize::from(call)];
                sections.push_back(host);
            }
            Piece::Launched => now = now.max(sections.pop_front().unwrap_or_default()),
            Piece::Receive { .. }
            | Piece::Send { .. }
            | Piece::Copy { .. }
            | Piece::Copied
            | Piece::Parameters(_)
            | Piece::Gradients(_) => {}
        }
    }
    now
}

#[cfg(test)]
mod tests {
    use motley_job::NameId;

    use super::*;
    use crate::times::KernelRun;

    #[test]
    fn calls_beside_compute_cost_what_sticks_out() {
        let name = NameId(0);
        let picos = Time::from_picos;
        let compute = |time| Piece::Compute {
            name,
            run: KernelRun { time: picos(time), kernels: 1, host: Time::ZERO },
        };
        let group = ProcessGroup::Tensor;
        let begin = |call| Piece::Begin { name, group, call };
        let launch = |call| Piece::Launch { call };
        let finish = |begun| Piece::Finish { name, begun };
        let calls = [vec![picos(10), picos(100)], vec![], vec![], vec![]];
        let cases = [
            (vec![compute(5), Piece::Exchange { name, group, call: 0 }, compute(5)], 20),
            (vec![begin(0), compute(30), finish(0)], 30),
            (vec![begin(1), compute(30), finish(0), compute(1)], 101),
            // The second call waits for the first.
            (vec![begin(1), begin(0), compute(30), finish(1), finish(0)], 110),
            (vec![begin(1), compute(30), Piece::Exchange { name, group, call: 0 }], 110),
            // The host takes longer than the kernels, but not than they and what they exchange.
            (vec![launch(0), compute(5), Piece::Launched, compute(1)], 41),
            (vec![launch(0), compute(5), begin(1), finish(0), Piece::Launched], 105),
            // The second section is launched behind the first.
            (vec![launch(0), launch(1), compute(5), Piece::Launched, Piece::Launched], 43),
        ];
        for (pieces, expected) in cases {
            let strand = Strand { pieces };
            let launches = [picos(40), picos(3)];
            assert_eq!(price(&strand, &calls, &launches), picos(expected), "{:?}", strand.pieces);
        }
    }
}

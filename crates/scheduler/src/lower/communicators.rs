//! Communicators: the process groups and point-to-point boundaries of a plan, laid over the
//! cluster's routes.

mod replicas;

use motley_collectives::{CollectiveKind, Fidelity, HostCopy, Layouts, Transfer};
use motley_job::{
    Call, CallSet, CommId, Communicator, Footprint, FootprintId, JobBuilder, Rank, RankId,
};
use motley_topology::{Cluster, GpuId, RouteError};
use motley_units::Time;
use motley_workload::{Extent, Model, ProcessGroup, Training};

use super::StageRanks;
use super::copies::Copies;
use super::gradients::{GradientGroup, least_common_multiple, words_exchanged, words_trained};
use super::measured_share::{TimedCalls, remembered};
use super::passes::NORM_BYTES;
use super::programs::Programs;
use super::shape::{NormShape, SlotUse, StageShape};
use super::strand::Request;
use crate::collective_times::{Spread, TimedCall};
use crate::lowered::{Place, Traffic};
use crate::plan::{Pipeline, Plan, Stage};
use crate::schedule::Placement;
use crate::times::KernelTimes;

/// The stages that average the gradients of a word embedding that lies on several of them, and the
/// number of shards into which they cut it: none where nobody need.
pub(super) fn words_shared(
    pipeline: &Pipeline,
    placement: &Placement,
    model: &Model,
    training: &Training,
) -> (Vec<usize>, u32) {
    if !words_trained(training) {
        return (Vec::new(), 0);
    }
    let holders = words_exchanged(pipeline, placement, model);
    let degree = |&stage: &usize| pipeline.stages[stage].tensor_parallel();
    let shards = holders.iter().map(degree).fold(1, least_common_multiple);
    (holders, shards)
}

/// Between which cards a boundary's activations travel: cut into as many slices as the degrees'
/// least common multiple, each goes from the tensor rank that holds it to the one that needs it.
pub(super) fn slices(from: &[GpuId], to: &[GpuId]) -> Vec<(GpuId, GpuId)> {
    let count = least_common_multiple(from.len() as u32, to.len() as u32) as usize;
    (0..count)
        .map(|slice| (from[slice * from.len() / count], to[slice * to.len() / count]))
        .collect()
}

/// Between which cards what lies between two stages travels, and the part of it that each pair does:
/// slices of it or, if `shape` has it so, to each rank from one all that is its part of the sequence.
pub(super) fn boundary(shape: &StageShape, from: &Stage, to: &Stage) -> (Vec<(GpuId, GpuId)>, f64) {
    if shape.scatter_gather || shape.shard.sequence_parallel {
        let pairs = slices(&from.gpus, &to.gpus);
        let part = 1.0 / pairs.len() as f64;
        return (pairs, part);
    }
    let (here, there) = (from.gpus.len(), to.gpus.len());
    let whole = |rank: usize| (from.gpus[rank * here / there], to.gpus[rank]);
    ((0..there).map(whole).collect(), 1.0 / f64::from(to.context.degree))
}

/// All communicators of a plan under construction.
pub(super) struct Communicators<'a> {
    plan: &'a Plan,
    cluster: &'a Cluster,
    times: &'a KernelTimes<'a>,
    layouts: &'a mut Layouts,
    fidelity: Fidelity,
    groups: &'a [GradientGroup],
    copies: &'a Copies,
    stages: &'a [StageRanks],
    places: &'a [Place],
    /// Index into `stages` of each pipeline's first stage.
    first_stage: Vec<usize>,
    /// By rank and slot.
    slots: Vec<Vec<Option<CommId>>>,
    /// Under a profile with collectives.
    timed: TimedCalls,
}

impl<'a> Communicators<'a> {
    pub(super) fn new(
        machine: (&'a Cluster, &'a KernelTimes<'a>, &'a mut Layouts, Fidelity),
        plan: &'a Plan,
        (groups, copies): (&'a [GradientGroup], &'a Copies),
        (stages, places): (&'a [StageRanks], &'a [Place]),
    ) -> Self {
        let (cluster, times, layouts, fidelity) = machine;
        let mut first_stage = Vec::with_capacity(plan.pipelines.len());
        let mut next = 0;
        for pipeline in &plan.pipelines {
            first_stage.push(next);
            next += pipeline.stages.len();
        }
        let slots = stages
            .iter()
            .flat_map(|stage| {
                let empty = vec![None; stage.slots.len()];
                std::iter::repeat_n(empty, stage.programs.len())
            })
            .collect();
        Self {
            plan,
            cluster,
            times,
            layouts,
            fidelity,
            groups,
            copies,
            stages,
            places,
            first_stage,
            slots,
            timed: TimedCalls::new(),
        }
    }

    /// Everything inside one pipeline: tensor- and context-parallel groups, boundaries, the tied
    /// embedding, the gradient norm.
    pub(super) fn pipeline(
        &mut self,
        p: usize,
        pipeline: &Pipeline,
        programs: &Programs,
        job: &mut JobBuilder,
    ) -> Result<(), RouteError> {
        for s in 0..pipeline.stages.len() {
            let stage = self.stage(p, s);
            let ranks: Vec<RankId> = self.ranks(p, s).collect();
            let degree = stage.shape.shard.tensor_parallel as usize;
            if degree > 1 {
                for group in ranks.chunks(degree) {
                    let kind = (ProcessGroup::Tensor, Traffic::TensorParallel);
                    self.process_group(group, kind, programs, job)?;
                }
            }
            if ranks.len() > degree {
                for first in 0..degree {
                    let group: Vec<RankId> =
                        ranks[first..].iter().copied().step_by(degree).collect();
                    let kind = (ProcessGroup::Context, Traffic::ContextParallel);
                    self.process_group(&group, kind, programs, job)?;
                }
            }
        }
        let placement = pipeline.placement(self.plan.schedule);
        self.boundaries(p, &placement, job)?;
        self.tied_embedding(p, &placement, job)?;
        match self.stage(p, 0).shape.norm {
            NormShape::Alone => Ok(()),
            NormShape::Meeting => self.norm_meeting(p, pipeline, job),
            NormShape::Chain { .. } => self.norm_chain(p, pipeline, job),
        }
    }

    /// The groups that hold all experts once: those that hold the same part of different experts, and
    /// those that hold parts of the same.
    pub(super) fn experts(
        &mut self,
        programs: &Programs,
        job: &mut JobBuilder,
    ) -> Result<(), RouteError> {
        for all in &self.copies.expert_groups {
            let shape = &self.stage_of(all[0]).shape;
            if shape.dispatch.is_none() {
                continue;
            }
            let tensor = shape.shard.expert_tensor_parallel as usize;
            if all.len() > tensor {
                for first in 0..tensor {
                    let group: Vec<RankId> = all[first..].iter().copied().step_by(tensor).collect();
                    let kind = (ProcessGroup::Expert, Traffic::ExpertParallel);
                    self.process_group(&group, kind, programs, job)?;
                }
            }
            if tensor > 1 {
                for group in all.chunks(tensor) {
                    let kind = (ProcessGroup::ExpertTensor, Traffic::ExpertParallel);
                    self.process_group(group, kind, programs, job)?;
                }
            }
        }
        Ok(())
    }

    /// Each rank's copies between its card and the host, where something is offloaded.
    pub(super) fn hosts(
        &mut self,
        programs: &Programs,
        job: &mut JobBuilder,
    ) -> Result<(), RouteError> {
        for rank in (0..self.places.len()).map(|rank| RankId(rank as u32)) {
            let stage = self.stage_of(rank);
            let own = (rank.0 - stage.first_rank) as usize;
            let passes = programs.get(stage.passes[own]);
            for &slot in &stage.slots {
                let (direction, bytes) = match slot {
                    SlotUse::Host(direction) => (direction, passes.copies(direction)),
                    SlotUse::HostParameters => (HostCopy::ToCard, passes.fetches()),
                    _ => continue,
                };
                let comm = self.host_copies(rank, direction, bytes, job)?;
                self.connect(&[rank], stage, slot, comm);
            }
        }
        Ok(())
    }

    /// What each rank's host launches, where its card may wait for it.
    pub(super) fn launches(&mut self, programs: &Programs, job: &mut JobBuilder) {
        for rank in (0..self.places.len()).map(|rank| RankId(rank as u32)) {
            let stage = self.stage_of(rank);
            if !stage.slots.contains(&SlotUse::Launches) {
                continue;
            }
            let passes = programs.get(stage.passes[(rank.0 - stage.first_rank) as usize]);
            // A card that never waits for its host shares its stage's slots: a call that it does not make.
            let launches = match &passes.launches[..] {
                [] => &[Time::ZERO],
                launches => launches,
            };
            let comm = unlinked(vec![rank], launches, Traffic::Launches, job);
            self.connect(&[rank], stage, SlotUse::Launches, comm);
        }
    }

    fn host_copies(
        &mut self,
        rank: RankId,
        direction: HostCopy,
        bytes: &[f64],
        job: &mut JobBuilder,
    ) -> Result<CommId, RouteError> {
        let card = [self.gpu(rank)];
        let laid = self.layouts.host(self.cluster, &card, direction, 0.0, self.fidelity)?;
        Ok(transfers(vec![rank], laid, bytes, Traffic::Host, job))
    }

    /// A group in which passes exchange what they work on: all its ranks make the same calls.
    fn process_group(
        &mut self,
        ranks: &[RankId],
        (group, traffic): (ProcessGroup, Traffic),
        programs: &Programs,
        job: &mut JobBuilder,
    ) -> Result<(), RouteError> {
        let stage = self.stage_of(ranks[0]);
        let own = (ranks[0].0 - stage.first_rank) as usize;
        let requests = programs.get(stage.passes[own]).calls(group);
        let comm = self.group(ranks, requests, traffic, job)?;
        for &rank in ranks {
            self.connect(&[rank], self.stage_of(rank), SlotUse::Group(group), comm);
        }
        Ok(())
    }

    /// Activations from each virtual stage to the next, gradients back, where they lie on
    /// different stages.
    fn boundaries(
        &mut self,
        p: usize,
        placement: &Placement,
        job: &mut JobBuilder,
    ) -> Result<(), RouteError> {
        let pairs = placement.routes().iter().flat_map(|route| route.windows(2));
        for pair in pairs.filter(|pair| pair[0].stage != pair[1].stage) {
            let (s, next_s) = (pair[0].stage as usize, pair[1].stage as usize);
            let layer = self.plan.pipelines[p].layers_at(pair[1]).start;
            let boundary = self.times.model().before(layer);
            let forward = self.send(p, s, next_s, boundary, job)?;
            let backward = self.send(p, next_s, s, boundary, job)?;
            let here: Vec<RankId> = self.ranks(p, s).collect();
            let there: Vec<RankId> = self.ranks(p, next_s).collect();
            let (stage, next) = (self.stage(p, s), self.stage(p, next_s));
            self.connect(&here, stage, SlotUse::ForwardOut(pair[0].chunk), forward);
            self.connect(&there, next, SlotUse::ForwardIn(pair[1].chunk), forward);
            self.connect(&there, next, SlotUse::BackwardOut(pair[1].chunk), backward);
            self.connect(&here, stage, SlotUse::BackwardIn(pair[0].chunk), backward);
        }
        Ok(())
    }

    /// A boundary from stage `from` to stage `to`: all slices of a micro-batch's activations at
    /// once.
    fn send(
        &mut self,
        p: usize,
        from: usize,
        to: usize,
        extent: Extent,
        job: &mut JobBuilder,
    ) -> Result<CommId, RouteError> {
        let stage = |stage: usize| &self.plan.pipelines[p].stages[stage];
        let shape = &self.stage(p, from).shape;
        let (pairs, part) = boundary(shape, stage(from), stage(to));
        let bytes = part * shape.boundary_bytes(extent, self.times.training());
        let laid = self.layouts.send(self.cluster, &pairs, bytes, self.fidelity)?;
        let members = self.ranks(p, from).collect();
        Ok(transfers(members, laid, &[bytes], Traffic::PipelineParallel, job))
    }

    fn tied_embedding(
        &mut self,
        p: usize,
        placement: &Placement,
        job: &mut JobBuilder,
    ) -> Result<(), RouteError> {
        let (model, training) = (self.times.model(), self.times.training());
        let (holders, shards) = words_shared(&self.plan.pipelines[p], placement, model, training);
        if holders.is_empty() {
            return Ok(());
        }
        let bytes = model.word_embedding() * f64::from(training.gradient_bytes);
        let parts = self.plan.pipelines[p].stages[holders[0]].context.degree;
        for (part, shard) in (0..parts).flat_map(|part| (0..shards).map(move |s| (part, s))) {
            let copies: Vec<(RankId, u32)> =
                holders.iter().map(|&s| self.shard_rank((p, s), part, shard, shards)).collect();
            let ranks: Vec<RankId> = copies.iter().map(|&(rank, _)| rank).collect();
            let request =
                [Request { kind: CollectiveKind::AllReduce, bytes: bytes / f64::from(shards) }];
            let comm = self.group(&ranks, &request, Traffic::TiedEmbedding, job)?;
            for (&s, (rank, ordinal)) in holders.iter().zip(copies) {
                let slot = SlotUse::Embedding { shard: ordinal };
                self.connect(&[rank], self.stage(p, s), slot, comm);
            }
        }
        Ok(())
    }

    /// Enters all ranks with their slots into the job; how long calls take, under a profile with
    /// collectives.
    pub(super) fn enter_ranks(self, job: &mut JobBuilder) -> TimedCalls {
        let programs = self.stages.iter().flat_map(|stage| stage.programs.iter().copied());
        let stages = self.plan.pipelines.iter().flat_map(|pipeline| &pipeline.stages);
        let gpus = stages.flat_map(|stage| stage.gpus.iter().copied());
        let kept = self.kept_processors();
        for ((program, gpu), slots) in programs.zip(gpus).zip(self.slots) {
            let slots = slots
                .into_iter()
                .map(|comm| comm.expect("every slot of a shape is connected once"))
                .collect();
            let processors = f64::from(*self.cluster.device(gpu).sm_count.get()) - kept;
            job.rank(Rank { program, slowness: 1.0, processors, slots });
        }
        self.timed
    }

    /// Processors of each card that only communication uses.
    fn kept_processors(&self) -> f64 {
        f64::from(self.times.training().communication_multiprocessors)
    }

    /// The processors that a call takes from compute: those beyond the ones that only communication uses.
    /// Software that sets a number for its kernels sets that one.
    fn taken(&self, kind: CollectiveKind, processors: f64) -> f64 {
        let kept = self.kept_processors();
        if kept > 0.0 && kind.multiprocessors().is_some() {
            return 0.0;
        }
        (processors - kept).max(0.0)
    }

    /// The rank that holds a shard in a stage's so-many-th tensor-parallel group, and which of the
    /// rank's own shards that is.
    fn shard_rank(
        &self,
        (p, s): (usize, usize),
        part: u32,
        shard: u32,
        shards: u32,
    ) -> (RankId, u32) {
        let stage = self.stage(p, s);
        let degree = stage.shape.shard.tensor_parallel;
        let on_rank = shards / degree;
        let rank = stage.first_rank + part * degree + shard / on_rank;
        (RankId(rank), shard % on_rank)
    }

    /// A process group with the calls that `requests` ask for, by NCCL's choice of algorithm.
    fn group(
        &mut self,
        ranks: &[RankId],
        requests: &[Request],
        traffic: Traffic,
        job: &mut JobBuilder,
    ) -> Result<CommId, RouteError> {
        let gpus: Vec<GpuId> = ranks.iter().map(|&rank| self.gpu(rank)).collect();
        let kinds = requests.iter().map(|request| request.kind);
        let group = self.layouts.group(self.cluster, &gpus, kinds, self.fidelity)?;
        // Only the footprints that some call crosses are kept: there are many groups.
        let mut crossed: Vec<u8> = Vec::new();
        let place = (&group, &Spread::of(self.cluster, &gpus));
        let time = |request: &Request| {
            let asked = (request.kind, request.bytes);
            self.times.collectives().call(self.cluster, place, asked)
        };
        let timed: Vec<TimedCall> = requests.iter().map(time).collect();
        let calls = requests
            .iter()
            .zip(&timed)
            .map(|(request, timed)| {
                let call = timed.call;
                let known = crossed.iter().position(|&footprint| footprint == call.footprint);
                let footprint = known.unwrap_or_else(|| {
                    crossed.push(call.footprint);
                    crossed.len() - 1
                });
                let processors = self.taken(request.kind, call.processors);
                Call { footprint: footprint as u8, processors, ..call }
            })
            .collect();
        let enter =
            |&index: &u8| job.expanded_footprint(group.footprint(index), group.connections(index));
        let footprints: Vec<FootprintId> = crossed.iter().map(enter).collect();
        let calls = job.call_set(CallSet { calls });
        let mut members = ranks.to_vec();
        members.sort_unstable();
        let class = traffic.class();
        let comm = job.communicator(Communicator { members, calls, footprints, class });
        if self.times.collectives().is_profiled() {
            self.timed.push((comm, remembered(&timed)));
        }
        Ok(comm)
    }

    /// All ranks of a pipeline agree on the gradient norm.
    fn norm_meeting(
        &mut self,
        p: usize,
        pipeline: &Pipeline,
        job: &mut JobBuilder,
    ) -> Result<(), RouteError> {
        let members: Vec<RankId> =
            (0..pipeline.stages.len()).flat_map(|s| self.ranks(p, s)).collect();
        let gpus: Vec<GpuId> = members.iter().map(|&rank| self.gpu(rank)).collect();
        let latency = self.layouts.agreement(self.cluster, &gpus, NORM_BYTES)?;
        let comm = unlinked(members, &[latency], Traffic::GradientNorm, job);
        for s in 0..pipeline.stages.len() {
            let ranks: Vec<RankId> = self.ranks(p, s).collect();
            self.connect(&ranks, self.stage(p, s), SlotUse::GradientNorm, comm);
        }
        Ok(())
    }

    /// Each stage hands on what it and the stages before it have found.
    fn norm_chain(
        &mut self,
        p: usize,
        pipeline: &Pipeline,
        job: &mut JobBuilder,
    ) -> Result<(), RouteError> {
        for s in 1..pipeline.stages.len() {
            let pairs = slices(&pipeline.stages[s - 1].gpus, &pipeline.stages[s].gpus);
            let sent = self.layouts.send(self.cluster, &pairs, NORM_BYTES, Fidelity::Bundled)?;
            let here: Vec<RankId> = self.ranks(p, s - 1).collect();
            let there: Vec<RankId> = self.ranks(p, s).collect();
            let latency = Time::from(sent.uncontended(self.cluster));
            let comm = unlinked(here.clone(), &[latency], Traffic::GradientNorm, job);
            self.connect(&here, self.stage(p, s - 1), SlotUse::NormOut, comm);
            self.connect(&there, self.stage(p, s), SlotUse::NormIn, comm);
        }
        Ok(())
    }

    fn gpu(&self, rank: RankId) -> GpuId {
        self.places[rank.0 as usize].gpu
    }

    fn stage_of(&self, rank: RankId) -> &'a StageRanks {
        let place = self.places[rank.0 as usize];
        self.stage(place.pipeline as usize, place.stage as usize)
    }

    fn stage(&self, p: usize, s: usize) -> &'a StageRanks {
        &self.stages[self.first_stage[p] + s]
    }

    fn ranks(&self, p: usize, s: usize) -> impl Iterator<Item = RankId> + use<> {
        let stage = self.stage(p, s);
        (stage.first_rank..stage.first_rank + stage.programs.len() as u32).map(RankId)
    }

    fn connect(&mut self, ranks: &[RankId], stage: &StageRanks, slot: SlotUse, comm: CommId) {
        let position = stage
            .slots
            .iter()
            .position(|&known| known == slot)
            .expect("a shape lists every slot that a plan connects");
        for rank in ranks {
            self.slots[rank.0 as usize][position] = Some(comm);
        }
    }
}

/// A communicator whose calls move so many bytes each over what was laid.
fn transfers(
    members: Vec<RankId>,
    laid: Transfer,
    bytes: &[f64],
    traffic: Traffic,
    job: &mut JobBuilder,
) -> CommId {
    let connections = laid.connections();
    let calls = bytes.iter().map(|&each| laid.clone().carrying(each).call).collect();
    let footprints = vec![job.expanded_footprint(laid.footprint, connections)];
    let calls = job.call_set(CallSet { calls });
    job.communicator(Communicator { members, calls, footprints, class: traffic.class() })
}

/// A communicator whose calls take time and move nothing, so that it crosses no links: what counts is
/// who waits for whom. The few bytes of the gradient norm take no bandwidth that could be told from
/// none.
fn unlinked(
    mut members: Vec<RankId>,
    latencies: &[Time],
    traffic: Traffic,
    job: &mut JobBuilder,
) -> CommId {
    let call = |&latency: &Time| Call {
        bytes: 0.0,
        latency,
        rate_cap: f64::INFINITY,
        footprint: 0,
        processors: 0.0,
    };
    let calls = job.call_set(CallSet { calls: latencies.iter().map(call).collect() });
    let footprints = vec![job.footprint(Footprint::default())];
    members.sort_unstable();
    job.communicator(Communicator { members, calls, footprints, class: traffic.class() })
}

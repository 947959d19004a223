//! Communicators: the process groups and point-to-point boundaries of a plan, laid over the
//! cluster's routes.

use motley_collectives::{CollectiveKind, Fidelity, Layouts};
use motley_job::{
    Call, CallSet, CommId, Communicator, Footprint, FootprintId, JobBuilder, Rank, RankId,
};
use motley_topology::{Cluster, GpuId, RouteError};
use motley_workload::Model;

use super::gradients::{GradientGroup, least_common_multiple, word_embedding};
use super::shape::SlotUse;
use super::strand::Request;
use super::{Built, StageRanks};
use crate::lowered::Traffic;
use crate::plan::{Pipeline, Plan};
use crate::times::KernelTimes;

/// Bytes of the gradient norm's all-reduce: the sum of squares and the overflow flag.
const NORM_BYTES: f64 = 8.0;

/// Shards into which the two ends of a pipeline cut the tied embedding, zero where stage `s` does
/// not hold it or need not exchange it.
pub(super) fn embedding_shards(pipeline: &Pipeline, s: usize, model: &Model) -> u32 {
    let last = pipeline.stages.len() - 1;
    if !model.tied_embeddings || last == 0 || (s != 0 && s != last) {
        return 0;
    }
    least_common_multiple(
        pipeline.stages[0].tensor_parallel(),
        pipeline.stages[last].tensor_parallel(),
    )
}

/// All communicators of a plan under construction.
pub(super) struct Communicators<'a> {
    plan: &'a Plan,
    cluster: &'a Cluster,
    times: &'a KernelTimes<'a>,
    layouts: &'a mut Layouts,
    fidelity: Fidelity,
    groups: &'a [GradientGroup],
    stages: &'a [StageRanks],
    /// Index into `stages` of each pipeline's first stage.
    first_stage: Vec<usize>,
    /// By rank and slot.
    slots: Vec<Vec<Option<CommId>>>,
}

impl<'a> Communicators<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        cluster: &'a Cluster,
        times: &'a KernelTimes<'a>,
        layouts: &'a mut Layouts,
        fidelity: Fidelity,
        groups: &'a [GradientGroup],
        stages: &'a [StageRanks],
    ) -> Self {
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
        Self { plan, cluster, times, layouts, fidelity, groups, stages, first_stage, slots }
    }

    /// Everything inside one pipeline: tensor-parallel groups, boundaries, the tied embedding, the
    /// gradient norm.
    pub(super) fn pipeline(
        &mut self,
        p: usize,
        pipeline: &Pipeline,
        built: &[Built],
        job: &mut JobBuilder,
    ) -> Result<(), RouteError> {
        for s in 0..pipeline.stages.len() {
            let stage = self.stage(p, s);
            if stage.programs.len() > 1 {
                let ranks: Vec<RankId> = self.ranks(p, s).collect();
                let requests = &built[stage.tensor_calls].tensor_calls;
                let comm = self.group(&ranks, requests, Traffic::TensorParallel, job)?;
                self.connect(&ranks, stage, SlotUse::TensorParallel, comm);
            }
        }
        self.boundaries(p, pipeline, job)?;
        self.tied_embedding(p, pipeline, job)?;
        if self.stage(p, 0).shape.gradient_norm {
            let ranks: Vec<RankId> =
                (0..pipeline.stages.len()).flat_map(|s| self.ranks(p, s)).collect();
            let comm = self.gradient_norm(&ranks, job)?;
            for s in 0..pipeline.stages.len() {
                let ranks: Vec<RankId> = self.ranks(p, s).collect();
                self.connect(&ranks, self.stage(p, s), SlotUse::GradientNorm, comm);
            }
        }
        Ok(())
    }

    /// Activations from each virtual stage to the next, gradients back.
    fn boundaries(
        &mut self,
        p: usize,
        pipeline: &Pipeline,
        job: &mut JobBuilder,
    ) -> Result<(), RouteError> {
        let stages = pipeline.stages.len();
        let chunks = pipeline.stages[0].chunks.len();
        for virtual_stage in 0..stages * chunks - 1 {
            let (s, c) = (virtual_stage % stages, virtual_stage / stages);
            let (next_s, next_c) = ((virtual_stage + 1) % stages, (virtual_stage + 1) / stages);
            let forward = self.send(p, s, next_s, job)?;
            let backward = self.send(p, next_s, s, job)?;
            let (c, next_c) = (c as u32, next_c as u32);
            let here: Vec<RankId> = self.ranks(p, s).collect();
            let there: Vec<RankId> = self.ranks(p, next_s).collect();
            let (stage, next) = (self.stage(p, s), self.stage(p, next_s));
            self.connect(&here, stage, SlotUse::ForwardOut(c), forward);
            self.connect(&there, next, SlotUse::ForwardIn(next_c), forward);
            self.connect(&there, next, SlotUse::BackwardOut(next_c), backward);
            self.connect(&here, stage, SlotUse::BackwardIn(c), backward);
        }
        Ok(())
    }

    /// A boundary from stage `from` to stage `to`: the activations of a micro-batch are cut into
    /// as many slices as the degrees' least common multiple; each travels from the tensor rank
    /// that holds it to the one that needs it, all at once.
    fn send(
        &mut self,
        p: usize,
        from: usize,
        to: usize,
        job: &mut JobBuilder,
    ) -> Result<CommId, RouteError> {
        let (sender, receiver) = (self.stage(p, from), self.stage(p, to));
        let (sending, receiving) = (sender.shape.tensor_parallel, receiver.shape.tensor_parallel);
        let slices = least_common_multiple(sending, receiving);
        let gpus = |stage: usize| &self.plan.pipelines[p].stages[stage].gpus;
        let pairs: Vec<(GpuId, GpuId)> = (0..slices)
            .map(|slice| {
                let source = gpus(from)[(slice * sending / slices) as usize];
                let target = gpus(to)[(slice * receiving / slices) as usize];
                (source, target)
            })
            .collect();
        let bytes = sender
            .shape
            .activation_bytes(self.times.training().sequence_length, self.times.model().hidden);
        let bytes = bytes / f64::from(slices);
        let bundle = self.layouts.send(self.cluster, &pairs, bytes, self.fidelity)?;
        let connections = bundle.connections();
        let footprint = job.expanded_footprint(bundle.footprint, connections);
        let calls = job.call_set(CallSet { calls: vec![bundle.call] });
        Ok(job.communicator(Communicator {
            members: self.ranks(p, from).collect(),
            calls,
            footprints: vec![footprint],
            class: Traffic::PipelineParallel.class(),
        }))
    }

    fn tied_embedding(
        &mut self,
        p: usize,
        pipeline: &Pipeline,
        job: &mut JobBuilder,
    ) -> Result<(), RouteError> {
        let last = pipeline.stages.len() - 1;
        let shards = embedding_shards(pipeline, 0, self.times.model());
        let bytes =
            word_embedding(self.times.model()) * f64::from(self.times.training().gradient_bytes);
        for shard in 0..shards {
            let ends = [0, last].map(|s| self.shard_rank(p, s, shard, shards));
            let request =
                [Request { kind: CollectiveKind::AllReduce, bytes: bytes / f64::from(shards) }];
            let comm =
                self.group(&ends.map(|(rank, _)| rank), &request, Traffic::TiedEmbedding, job)?;
            for (s, (rank, ordinal)) in [0, last].into_iter().zip(ends) {
                let slot = SlotUse::Embedding { shard: ordinal };
                self.connect(&[rank], self.stage(p, s), slot, comm);
            }
        }
        Ok(())
    }

    /// One communicator for each shard of each gradient group.
    pub(super) fn gradients(&mut self, job: &mut JobBuilder) -> Result<(), RouteError> {
        let gradient_bytes = f64::from(self.times.training().gradient_bytes);
        for (g, group) in self.groups.iter().enumerate() {
            let requests: Vec<Request> = group
                .buckets
                .iter()
                .map(|bucket| Request {
                    kind: CollectiveKind::AllReduce,
                    bytes: bucket.parameters * gradient_bytes,
                })
                .collect();
            for shard in 0..group.shards {
                let holders: Vec<(RankId, u32)> = group
                    .holders
                    .iter()
                    .map(|&(p, s)| self.shard_rank(p, s, shard, group.shards))
                    .collect();
                let ranks: Vec<RankId> = holders.iter().map(|&(rank, _)| rank).collect();
                let comm = self.group(&ranks, &requests, Traffic::DataParallel, job)?;
                for (&(p, s), &(rank, ordinal)) in group.holders.iter().zip(&holders) {
                    // The rank's own numbering counts only the groups that its stage is in.
                    let own =
                        self.groups[..g].iter().filter(|other| other.holders[p] == (p, s)).count();
                    let slot = SlotUse::Gradient { group: own, shard: ordinal };
                    self.connect(&[rank], self.stage(p, s), slot, comm);
                }
            }
        }
        Ok(())
    }

    /// Enters all ranks with their slots into the job.
    pub(super) fn enter_ranks(self, job: &mut JobBuilder) {
        let programs = self.stages.iter().flat_map(|stage| stage.programs.iter().copied());
        for (program, slots) in programs.zip(self.slots) {
            let slots = slots
                .into_iter()
                .map(|comm| comm.expect("every slot of a shape is connected once"))
                .collect();
            job.rank(Rank { program, slowness: 1.0, slots });
        }
    }

    /// The rank that holds a shard in a stage, and which of the rank's own shards that is.
    fn shard_rank(&self, p: usize, s: usize, shard: u32, shards: u32) -> (RankId, u32) {
        let stage = self.stage(p, s);
        let on_rank = shards / stage.shape.tensor_parallel;
        (RankId(stage.first_rank + shard / on_rank), shard % on_rank)
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
        let calls = requests
            .iter()
            .map(|request| {
                let call = group.call(request.kind, request.bytes);
                let known = crossed.iter().position(|&footprint| footprint == call.footprint);
                let footprint = known.unwrap_or_else(|| {
                    crossed.push(call.footprint);
                    crossed.len() - 1
                });
                Call { footprint: footprint as u8, ..call }
            })
            .collect();
        let enter =
            |&index: &u8| job.expanded_footprint(group.footprint(index), group.connections(index));
        let footprints: Vec<FootprintId> = crossed.iter().map(enter).collect();
        let calls = job.call_set(CallSet { calls });
        let mut members = ranks.to_vec();
        members.sort_unstable();
        Ok(job.communicator(Communicator { members, calls, footprints, class: traffic.class() }))
    }

    /// The agreement on the gradient norm. Its few bytes take no bandwidth that could be told from
    /// none: what counts is the latency of the collective and that everybody waits for everybody,
    /// so it crosses no links.
    fn gradient_norm(
        &mut self,
        ranks: &[RankId],
        job: &mut JobBuilder,
    ) -> Result<CommId, RouteError> {
        let gpus: Vec<GpuId> = ranks.iter().map(|&rank| self.gpu(rank)).collect();
        let latency = self.layouts.agreement(self.cluster, &gpus, NORM_BYTES)?;
        let barrier = Call { bytes: 0.0, latency, rate_cap: f64::INFINITY, footprint: 0 };
        let calls = job.call_set(CallSet { calls: vec![barrier] });
        let footprints = vec![job.footprint(Footprint::default())];
        let mut members = ranks.to_vec();
        members.sort_unstable();
        let class = Traffic::GradientNorm.class();
        Ok(job.communicator(Communicator { members, calls, footprints, class }))
    }

    fn gpu(&self, rank: RankId) -> GpuId {
        let stage = self.stages.partition_point(|stage| stage.first_rank <= rank.0) - 1;
        let p = self.first_stage.partition_point(|&first| first <= stage) - 1;
        let s = stage - self.first_stage[p];
        self.plan.pipelines[p].stages[s].gpus[(rank.0 - self.stages[stage].first_rank) as usize]
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

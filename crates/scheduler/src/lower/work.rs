//! What the stages of a plan do, before it is known in which order.

use motley_job::RankId;
use motley_topology::{Cluster, GpuId};
use motley_workload::ProcessGroup;

use super::copies::Copies;
use super::costs::{RankWork, StageWork};
use super::gradients::{GradientGroup, Holder, StageParameters};
use super::portions::Portions;
use super::programs::{PassesId, Programs};
use super::shape::StageShape;
use super::stage::stage_shape;
use super::states::States;
use crate::plan::{Plan, Stage};
use crate::schedule::Placement;
use crate::times::KernelTimes;

/// What the ranks of a plan hold, and with whom.
pub(super) struct Held<'a> {
    plan: &'a Plan,
    cluster: &'a Cluster,
    times: &'a KernelTimes<'a>,
    copies: &'a Copies,
    groups: &'a [GradientGroup],
    /// By pipeline and stage, the numbers of its gradient groups.
    groups_of: &'a [Vec<Vec<usize>>],
    /// By gradient group.
    portions: Vec<Portions>,
}

impl<'a> Held<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        (cluster, times): (&'a Cluster, &'a KernelTimes<'a>),
        (copies, groups, groups_of): (&'a Copies, &'a [GradientGroup], &'a [Vec<Vec<usize>>]),
    ) -> Self {
        let memory = |rank: RankId| times.memory(times.kind(copies.gpu(rank))).0;
        let portions = groups.iter().map(|group| Portions::new(plan.zero, group, memory)).collect();
        Self { plan, cluster, times, copies, groups, groups_of, portions }
    }

    /// The work of a pipeline's stages.
    pub(super) fn pipeline(
        &self,
        placed: (&Placement, &(Vec<usize>, u32)),
        p: usize,
        programs: &mut Programs,
    ) -> Vec<Work> {
        let stages = 0..self.plan.pipelines[p].stages.len();
        stages.map(|s| self.work(placed, (p, s), programs)).collect()
    }

    /// The same, as it is priced.
    pub(super) fn priced<'w>(
        &self,
        p: usize,
        works: &'w [Work],
        programs: &'w Programs,
    ) -> Vec<StageWork<'w>> {
        let stages = works.iter().zip(&self.plan.pipelines[p].stages).enumerate();
        let priced = |(s, (work, stage)): (usize, (&'w Work, &Stage))| {
            let groups = self.copies.first_groups((p, s), &work.shape.shard);
            work.priced(stage, groups, programs, self.times)
        };
        stages.map(priced).collect()
    }

    /// The work of a stage; `words` is what its pipeline's stages share of the word embedding.
    fn work(
        &self,
        (placement, words): (&Placement, &(Vec<usize>, u32)),
        (p, s): Holder,
        programs: &mut Programs,
    ) -> Work {
        let Self { plan, cluster, times, copies, .. } = *self;
        let pipeline = &plan.pipelines[p];
        let stage = &pipeline.stages[s];
        let shard = stage.shard(plan.sequence_parallel, pipeline.micro_batch_size);
        let (model, training) = (times.model(), times.training());
        let parameters = StageParameters::of(model, training, pipeline, (placement, s), &shard);
        let numbers = &self.groups_of[p][s];
        let mine: Vec<&GradientGroup> = numbers.iter().map(|&g| &self.groups[g]).collect();
        let at = (placement, (p, s));
        let held = (parameters, &mine[..]);
        let mut shape = stage_shape(plan, at, held, words, (cluster, times, copies));
        let sharded = (plan.zero.in_effect(), stage.offload);
        let mut passes: Vec<PassesId> = Vec::with_capacity(stage.gpus.len());
        // What the last rank takes: most take as much as their neighbours.
        let mut taken: Option<Vec<f64>> = None;
        for (rank, &gpu) in (copies.first_rank((p, s))..).zip(&stage.gpus) {
            let portion = |&g: &usize| self.portions[g].of(RankId(rank));
            let own = numbers.iter().map(portion);
            if taken.as_ref().is_none_or(|last| !own.clone().eq(last.iter().copied())) {
                let own: Vec<f64> = own.collect();
                let held = mine.iter().copied().zip(own.iter().copied());
                shape.states = States::new(parameters, &shard, held, sharded);
                taken = Some(own);
            }
            passes.push(programs.passes(s, &shape, times.kind(gpu)));
        }
        Work { shape, passes }
    }
}

/// What a stage does, before it is known in which order.
#[derive(Debug)]
pub(super) struct Work {
    /// Its ranks' shape; their states may differ.
    pub shape: StageShape,
    /// By rank of the stage.
    pub passes: Vec<PassesId>,
}

impl Work {
    fn priced<'a>(
        &'a self,
        stage: &Stage,
        groups: [Vec<GpuId>; ProcessGroup::ALL.len()],
        programs: &'a Programs,
        times: &KernelTimes,
    ) -> StageWork<'a> {
        let kinds = stage.gpus.iter().map(|&gpu| times.kind(gpu));
        let ranks = kinds.zip(&self.passes).map(|(kind, &id)| RankWork {
            kind,
            shape: programs.shape(id),
            passes: programs.get(id),
        });
        StageWork { shape: &self.shape, groups, ranks: ranks.collect() }
    }
}

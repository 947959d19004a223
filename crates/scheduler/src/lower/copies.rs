//! Which ranks hold one copy of the same parameters together.

use motley_job::RankId;
use motley_topology::{Cluster, GpuId};
use motley_workload::{Model, ProcessGroup, Shard};

use super::gradients::Holder;
use crate::experts::expert_holders;
use crate::plan::{Pipeline, Plan};

/// The ranks that hold one copy of some parameters together, and how it is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CopyRanks {
    /// The parts of each matrix one after the other; for experts, a run of such for each rank among
    /// which these are dealt out.
    pub ranks: Vec<RankId>,
    /// Ranks that split each matrix.
    pub split: u32,
}

impl CopyRanks {
    /// Ranks among which experts are dealt out.
    pub(super) fn dealt(&self) -> u32 {
        self.ranks.len() as u32 / self.split
    }
}

/// The ranks of a plan, numbered in plan order, by what they hold together.
#[derive(Clone, Debug)]
pub(super) struct Copies {
    /// By pipeline and stage, the stage's first rank.
    first: Vec<Vec<u32>>,
    /// The groups of ranks that hold all experts of their layers once, in rank order.
    pub expert_groups: Vec<Vec<RankId>>,
    /// By pipeline and stage, the groups that its ranks are in.
    expert_groups_of: Vec<Vec<Vec<usize>>>,
    /// By rank, its card.
    gpus: Vec<GpuId>,
}

impl Copies {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut next = 0;
        let first = plan.pipelines.iter().map(|pipeline| {
            let of_stage = pipeline.stages.iter().map(|stage| {
                let first = next;
                next += stage.gpus.len() as u32;
                first
            });
            of_stage.collect::<Vec<u32>>()
        });
        let first: Vec<Vec<u32>> = first.collect();
        let none = |pipeline: &Pipeline| vec![Vec::new(); pipeline.stages.len()];
        let mut copies = Self {
            first,
            expert_groups: Vec::new(),
            expert_groups_of: plan.pipelines.iter().map(none).collect(),
            gpus: plan.gpus().collect(),
        };
        for holders in expert_holders(plan) {
            let members = holders.stages.iter().flat_map(|&(p, s)| {
                let count = plan.pipelines[p].stages[s].gpus.len() as u32;
                let first = copies.first[p][s];
                (first..first + count).map(move |rank| ((p, s), RankId(rank)))
            });
            let members: Vec<(Holder, RankId)> = members.collect();
            for group in members.chunks(holders.block() as usize) {
                let number = copies.expert_groups.len();
                copies.expert_groups.push(group.iter().map(|&(_, rank)| rank).collect());
                for &((p, s), _) in group {
                    let of_stage = &mut copies.expert_groups_of[p][s];
                    if of_stage.last() != Some(&number) {
                        of_stage.push(number);
                    }
                }
            }
        }
        copies
    }

    /// Ranks of the plan.
    pub(super) fn rank_count(&self) -> usize {
        self.gpus.len()
    }

    /// The card of a rank.
    pub(super) fn gpu(&self, rank: RankId) -> GpuId {
        self.gpus[rank.0 as usize]
    }

    /// The first rank of a stage.
    pub(super) fn first_rank(&self, (p, s): Holder) -> u32 {
        self.first[p][s]
    }

    /// By pipeline, the first of those that its passes meet, directly or through others: where every
    /// micro-batch's gradients are averaged, or where ranks of several pipelines share experts. Stages
    /// whose layers have none meet nobody, whatever degree they name.
    pub(super) fn leaders(&self, plan: &Plan, model: &Model) -> Vec<usize> {
        if plan.zero.reduces_each_micro_batch() {
            return vec![0; plan.pipelines.len()];
        }
        let mut leaders: Vec<usize> = (0..plan.pipelines.len()).collect();
        let mut last_of_group: Vec<Option<usize>> = vec![None; self.expert_groups.len()];
        for (p, stages) in self.expert_groups_of.iter().enumerate() {
            let with_experts = plan.pipelines[p].stages.iter().zip(stages);
            let with_experts = with_experts.filter(|(stage, _)| stage.has_experts(model));
            for &group in with_experts.flat_map(|(_, groups)| groups) {
                if let Some(before) = last_of_group[group].replace(p) {
                    let (one, other) = (leaders[before], leaders[p]);
                    let first = one.min(other);
                    for leader in &mut leaders {
                        if *leader == one || *leader == other {
                            *leader = first;
                        }
                    }
                }
            }
        }
        leaders
    }

    /// Ranks of the plan on the node of a stage's first rank.
    pub(super) fn ranks_on_node(&self, cluster: &Cluster, (p, s): Holder) -> u32 {
        let node = cluster.node_of(self.gpus[self.first[p][s] as usize]);
        self.gpus.iter().filter(|&&gpu| cluster.node_of(gpu) == node).count() as u32
    }

    /// By process group, the cards of that which a stage's first rank is in.
    pub(super) fn first_groups(
        &self,
        (p, s): Holder,
        shard: &Shard,
    ) -> [Vec<GpuId>; ProcessGroup::ALL.len()] {
        let gpu = |rank: u32| self.gpus[rank as usize];
        let first = self.first[p][s];
        let every = |step: u32, count: u32| (0..count).map(|n| gpu(first + n * step)).collect();
        let mut groups = [
            every(1, shard.tensor_parallel),
            every(shard.tensor_parallel, shard.context_parallel),
            Vec::new(),
            Vec::new(),
        ];
        if let Some(&number) = self.expert_groups_of[p][s].first() {
            let all = &self.expert_groups[number];
            let tensor = shard.expert_tensor_parallel as usize;
            let position = all.iter().position(|rank| rank.0 == first).unwrap_or(0);
            let of =
                |ranks: &mut dyn Iterator<Item = &RankId>| ranks.map(|rank| gpu(rank.0)).collect();
            groups[ProcessGroup::Expert as usize] =
                of(&mut all[position % tensor..].iter().step_by(tensor));
            groups[ProcessGroup::ExpertTensor as usize] =
                of(&mut all[position / tensor * tensor..].iter().take(tensor));
        }
        groups
    }

    /// What is not an expert: each tensor-parallel group of each holder has a copy.
    pub(super) fn dense(&self, plan: &Plan, holders: &[Holder]) -> Vec<CopyRanks> {
        let of_stage = |&(p, s): &Holder| {
            let stage = &plan.pipelines[p].stages[s];
            let (first, degree) = (self.first[p][s], stage.tensor_parallel());
            (0..stage.context.degree).map(move |part| {
                let first = first + part * degree;
                CopyRanks { ranks: (first..first + degree).map(RankId).collect(), split: degree }
            })
        };
        holders.iter().flat_map(of_stage).collect()
    }

    /// Experts: each group of the holders' ranks has a copy. Stages whose experts are split as other
    /// matrices are have one for each of their tensor-parallel groups.
    pub(super) fn experts(&self, plan: &Plan, holders: &[Holder]) -> Vec<CopyRanks> {
        let of_stage = |&(p, s): &Holder| {
            let (_, split) = plan.pipelines[p].stages[s].expert_degrees();
            self.expert_groups_of[p][s].iter().map(move |&number| (number, split))
        };
        let mut numbers: Vec<(usize, u32)> = holders.iter().flat_map(of_stage).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let apart = numbers
            .into_iter()
            .map(|(number, split)| CopyRanks { ranks: self.expert_groups[number].clone(), split });
        let inside: Vec<Holder> = holders
            .iter()
            .copied()
            .filter(|&(p, s)| plan.pipelines[p].stages[s].keeps_tokens())
            .collect();
        let mut all: Vec<CopyRanks> = self.dense(plan, &inside).into_iter().chain(apart).collect();
        all.sort_by_key(|copy| copy.ranks[0]);
        all
    }
}

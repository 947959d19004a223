//! The shape of a stage of a plan.

use motley_topology::Cluster;
use motley_workload::ProcessGroup;

use super::copies::Copies;
use super::gradients::{GradientGroup, Holder, StageParameters};
use super::shape::{BucketShape, ChunkShape, GradientShape, NormShape, Routing, StageShape};
use super::states::States;
use crate::plan::{ActivationSends, GradientSync, Pipeline, Plan, Stage};
use crate::schedule::{OptimizerStep, Placement, Position};
use crate::times::KernelTimes;
use crate::zero::Reduction;

/// Bytes of an activation element as the cards of a stage exchange it: the widest that one of them
/// computes in.
fn element_bytes(stage: &Stage, times: &KernelTimes) -> u32 {
    let width = |gpu| times.path(times.kind(gpu)).precision.element_bytes();
    stage.gpus.iter().map(|&gpu| width(gpu)).max().unwrap_or(4)
}

/// The shape of a stage, with the states of none of its ranks: `parameters` is what each of them holds,
/// `groups` the gradient groups that the stage is in.
pub(super) fn stage_shape(
    plan: &Plan,
    (placement, (p, s)): (&Placement, Holder),
    (parameters, groups): (StageParameters, &[&GradientGroup]),
    (sharing_words, word_shards): &(Vec<usize>, u32),
    (cluster, times, copies): (&Cluster, &KernelTimes, &Copies),
) -> StageShape {
    let (model, training) = (times.model(), times.training());
    let pipeline = &plan.pipelines[p];
    let stage = &pipeline.stages[s];
    let shard = stage.shard(plan.sequence_parallel, pipeline.micro_batch_size);
    let chunks = (0..stage.chunks.len() as u32)
        .map(|chunk| ChunkShape::of(pipeline, placement, Position { stage: s as u32, chunk }));
    let resharded = groups.iter().filter(|group| group.shards_on_rank(&shard) > 1);
    let reshard_bytes = resharded
        .map(|group| {
            let on_rank = f64::from(group.shards_on_rank(&shard));
            group.trained() * on_rank * f64::from(training.gradient_bytes)
        })
        .sum();
    let shared =
        |group: &GradientGroup| plan.zero.stage() > 0 && group.sharing(plan.zero.group) > 1;
    let gradient = |group: &&GradientGroup| GradientShape {
        shards: group.shards_on_rank(&shard),
        buckets: group
            .buckets
            .iter()
            .map(|bucket| BucketShape {
                items: bucket.items.clone(),
                trained: bucket.parameters > 0.0,
            })
            .collect(),
        shared: shared(group),
        scattered: shared(group) && plan.zero.reduction == Reduction::Scattered,
        replicated: shared(group) && group.sharing(plan.zero.group) < group.copies.len(),
    };
    let degrees = [
        stage.tensor_parallel(),
        stage.context.degree,
        if stage.keeps_tokens() { 1 } else { stage.expert_degrees().0 },
    ];
    let has_experts = stage.has_experts(model);
    StageShape {
        shard,
        overlap_weight_gradient: plan.overlap_weight_gradient,
        overlap_tensor: plan.overlap_tensor,
        scatter_gather: plan.scatter_gather,
        sends_after: (plan.activation_sends == ActivationSends::AfterGradient)
            .then(|| pipeline.stages.len() as u32 - 1 - s as u32),
        recompute: stage.recompute,
        chunks: chunks.collect(),
        routes: placement.routes().len() as u32,
        element_bytes: element_bytes(stage, times),
        dispatch: (has_experts && !stage.keeps_tokens()).then(|| {
            let group = &copies.first_groups((p, s), &shard)[ProcessGroup::Expert as usize];
            let mut nodes: Vec<_> = group.iter().map(|&gpu| cluster.node_of(gpu)).collect();
            nodes.sort_unstable();
            nodes.dedup();
            Routing {
                dispatch: stage.experts.dispatch,
                element_bytes: stage
                    .gpus
                    .iter()
                    .map(|&gpu| training.dispatch_bytes(times.path(times.kind(gpu))))
                    .fold(0.0, f64::max),
                ranks: group.len() as u32,
                nodes: nodes.len() as u32,
            }
        }),
        gradients: groups.iter().map(gradient).collect(),
        overlap_gradients: matches!(plan.gradient_sync, GradientSync::Overlapped { .. }),
        sharded: plan.zero.in_effect(),
        embedding_shards: if sharing_words.contains(&s) {
            word_shards / stage.tensor_parallel()
        } else {
            0
        },
        norm: norm_shape(plan, pipeline, s),
        states: States::default(),
        offload: stage.offload,
        ranks_on_node: if stage.offload.optimizer {
            copies.ranks_on_node(cluster, (p, s))
        } else {
            1
        },
        quantised_parameters: parameters.quantised,
        communicators: communicators_of(pipeline, groups, &degrees, copies.rank_count()),
        reshard_bytes,
    }
}

/// How many communicators of two ranks, and of more, a rank of a stage is a member of: its process
/// groups, the replicas of what it holds, the stages of its pipeline, the ranks of its pipeline, and the
/// world, in which frameworks meet before the first iteration.
fn communicators_of(
    pipeline: &Pipeline,
    groups: &[&GradientGroup],
    degrees: &[u32],
    world: usize,
) -> [u32; 2] {
    let stages = pipeline.stages.len();
    let ranks = pipeline.stages.iter().map(|stage| stage.gpus.len()).sum::<usize>();
    let replicas = |experts| {
        let copies = groups.iter().filter(|group| group.experts == experts);
        copies.map(|group| group.copies.len()).max().unwrap_or(1)
    };
    let model = if stages > 1 && ranks > stages { ranks } else { 1 };
    let sizes = degrees.iter().map(|&degree| degree as usize);
    let sizes = sizes.chain([stages, model, replicas(false), replicas(true), world]);
    sizes.fold([0, 0], |[pairs, more], size| match size {
        0 | 1 => [pairs, more],
        2 => [pairs + 1, more],
        _ => [pairs, more + 1],
    })
}

fn norm_shape(plan: &Plan, pipeline: &Pipeline, s: usize) -> NormShape {
    let stages = pipeline.stages.len();
    if stages == 1 && pipeline.stages[0].gpus.len() <= 1 {
        return NormShape::Alone;
    }
    match plan.schedule.optimizer_step() {
        OptimizerStep::PostValidation if stages > 1 => {
            NormShape::Chain { receives: s > 0, sends: s + 1 < stages }
        }
        _ => NormShape::Meeting,
    }
}

//! How much work the ranks of a stage do.

use motley_workload::recomputed_flops;

use super::shape::StageShape;
use crate::plan::Pipeline;
use crate::schedule::{Placement, Position};
use crate::times::{CardKind, KernelTimes, recompute_of};

/// Floating-point operations of one rank in an iteration.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RankFlops {
    /// Forward and backward passes of the model, without recompute.
    pub model: f64,
    /// What is done a second time.
    pub again: f64,
}

/// The work of a stage's ranks, by tensor rank.
pub(super) fn stage_flops(
    pipeline: &Pipeline,
    placement: &Placement,
    s: usize,
    shape: &StageShape,
    times: &KernelTimes,
) -> Vec<RankFlops> {
    let mut known: Vec<(CardKind, RankFlops)> = Vec::new();
    let of_rank = |gpu| {
        let kind = times.kind(gpu);
        if let Some(&(_, flops)) = known.iter().find(|(other, _)| *other == kind) {
            return flops;
        }
        let flops = rank_flops(pipeline, placement, s, shape, kind, times);
        known.push((kind, flops));
        flops
    };
    pipeline.stages[s].gpus.iter().copied().map(of_rank).collect()
}

fn rank_flops(
    pipeline: &Pipeline,
    placement: &Placement,
    s: usize,
    shape: &StageShape,
    kind: CardKind,
    times: &KernelTimes,
) -> RankFlops {
    let (model, training, path) = (times.model(), times.training(), times.path(kind));
    let again = |part, recompute| recomputed_flops(model, part, training, path, recompute).0;
    let mut sum = RankFlops::default();
    for (c, chunk) in shape.chunks.iter().enumerate() {
        let position = Position { stage: s as u32, chunk: c as u32 };
        let (route, _) = placement.place(position);
        let micro_batches = f64::from(placement.micro_batches_on(route, pipeline.micro_batches));
        let mut chunk_sum = RankFlops::default();
        for part in chunk.matrices(model) {
            chunk_sum.model += times.part(kind, shape.shard, part).flops;
            chunk_sum.again += again(part, recompute_of(part, shape.recompute));
        }
        sum.model += chunk_sum.model * micro_batches;
        sum.again += chunk_sum.again * micro_batches;
    }
    let share = |flops: f64| {
        flops * f64::from(pipeline.micro_batch_size)
            / f64::from(shape.shard.tensor_parallel * shape.shard.context_parallel)
    };
    RankFlops { model: share(sum.model), again: share(sum.again) }
}

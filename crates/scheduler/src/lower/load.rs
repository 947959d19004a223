//! What one rank of a stage has to do and to hold.

use motley_units::Bytes;
use motley_workload::{
    CardPath, MemoryUse, Part, Pass, Recompute, StageLoad, flops, memory, recomputed_flops,
};

use super::shape::StageShape;
use crate::order::{peak_in_flight, steps};
use crate::times::{CardKind, KernelTimes};

/// Forward and backward FLOPs of one rank in an iteration, without recompute.
pub(super) fn model_flops(shape: &StageShape, times: &KernelTimes) -> f64 {
    let (model, training) = (times.model(), times.training());
    let both = |part| {
        let [forward, backward] =
            [Pass::Forward, Pass::Backward].map(|pass| flops(model, part, training, pass).0);
        forward + backward
    };
    let layers: f64 = shape.layers().map(|layer| both(model.part(layer))).sum();
    let head = if shape.chunks.iter().any(|chunk| chunk.head) { both(Part::Head) } else { 0.0 };
    of_one_rank(layers + head, shape)
}

/// FLOPs that one rank does a second time in an iteration.
pub(super) fn repeated_flops(shape: &StageShape, path: CardPath, times: &KernelTimes) -> f64 {
    let (model, training) = (times.model(), times.training());
    let again =
        |layer| recomputed_flops(model, model.part(layer), training, &path, shape.recompute).0;
    of_one_rank(shape.layers().map(again).sum(), shape)
}

/// What a rank has of the FLOPs of one sample, in an iteration.
fn of_one_rank(flops: f64, shape: &StageShape) -> f64 {
    let samples = u64::from(shape.micro_batches) * u64::from(shape.micro_batch_size);
    flops * samples as f64 / f64::from(shape.tensor_parallel)
}

/// Memory of a card of `kind` at the peak of an iteration.
pub(super) fn memory_use(shape: &StageShape, kind: CardKind, times: &KernelTimes) -> MemoryUse {
    let order = steps(
        shape.schedule,
        shape.stage,
        shape.stages,
        shape.micro_batches,
        shape.chunks.len() as u32,
    );
    let of = |part, recompute| {
        let activations = times.part(kind, shape.shard(), part).activations;
        (activations.bytes(recompute).0, activations.workspace(recompute).0)
    };
    let layer = |layer: u32| of(times.model().part(layer), shape.recompute);
    let ends = [Part::Embedding, Part::Head].map(|part| of(part, Recompute::None));
    // By chunk: what its layers, an embedding and a head keep of one micro-batch.
    let kept: Vec<[f64; 3]> = shape
        .chunks
        .iter()
        .map(|chunk| {
            let layers = chunk.layers().map(|l| layer(l).0).sum();
            [
                layers,
                if chunk.embedding { ends[0].0 } else { 0.0 },
                if chunk.head { ends[1].0 } else { 0.0 },
            ]
        })
        .collect();
    let peak = |what: usize| peak_in_flight(&order, |chunk| kept[chunk as usize][what]);
    let layers = shape.layers().map(|l| layer(l).1);
    let head = shape.chunks.iter().filter(|chunk| chunk.head).map(|_| ends[1].1);
    let load = StageLoad {
        parameters: shape.parameters,
        trained_parameters: shape.trained_parameters,
        activations: Bytes(peak(0) + peak(1) + peak(2)),
        workspace: Bytes(layers.chain(head).fold(0.0, f64::max)),
    };
    memory(times.training(), times.path(kind), &load)
}

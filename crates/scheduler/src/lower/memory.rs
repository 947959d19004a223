//! What a stage holds on one of its cards.

use motley_workload::{ActivationSizes, MemoryUse, StageLoad, memory};

use super::shape::{ChunkShape, StageShape};
use crate::schedule::{InFlight, Turn, peak_in_flight};
use crate::times::{CardKind, KernelTimes};

/// What a micro-batch holds in each chunk of a stage, bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Held {
    /// From its forward pass on.
    pub kept: Vec<f64>,
    /// From its input gradient on until its weight gradients.
    pub deferred: Vec<f64>,
}

impl Held {
    pub(super) fn new(shape: &StageShape, kind: CardKind, times: &KernelTimes) -> Self {
        let sizes = ActivationSizes::new(
            times.model(),
            times.training(),
            times.path(kind),
            shape.recompute,
            &shape.shard(),
        );
        let of = |layer: f64, embedding: f64, head: f64| {
            let chunk = |chunk: &ChunkShape| {
                let ends = f64::from(u8::from(chunk.embedding)) * embedding
                    + f64::from(u8::from(chunk.head)) * head;
                f64::from(chunk.layers) * layer + ends
            };
            shape.chunks.iter().map(chunk).collect()
        };
        Self {
            kept: of(sizes.layer.0, sizes.embedding.0, sizes.head.0),
            deferred: of(sizes.layer_deferred.0, 0.0, sizes.head_deferred.0),
        }
    }
}

/// The memory of a stage's card at the fullest moment of the order of its passes.
pub(super) fn stage_memory(
    shape: &StageShape,
    order: &[Turn],
    kind: CardKind,
    times: &KernelTimes,
) -> MemoryUse {
    let held = Held::new(shape, kind, times);
    let (_, in_flight) = peak_in_flight(order, &held.kept, &held.deferred);
    memory_of(shape, &in_flight, kind, times)
}

/// The memory of a stage's card without activations.
pub(super) fn idle_memory(shape: &StageShape, kind: CardKind, times: &KernelTimes) -> MemoryUse {
    let one = vec![1; shape.chunks.len()];
    // With one micro-batch, for the workspace, whose activations are taken off again.
    let in_flight = InFlight { kept: one, deferred: vec![0; shape.chunks.len()] };
    let mut memory = memory_of(shape, &in_flight, kind, times);
    memory.activations.0 = 0.0;
    memory
}

fn memory_of(
    shape: &StageShape,
    in_flight: &InFlight,
    kind: CardKind,
    times: &KernelTimes,
) -> MemoryUse {
    let sum = |counts: &[u32], weight: &dyn Fn(&ChunkShape) -> f64| -> f64 {
        shape.chunks.iter().zip(counts).map(|(chunk, &n)| weight(chunk) * f64::from(n)).sum()
    };
    let layers = |chunk: &ChunkShape| f64::from(chunk.layers);
    let embedding = |chunk: &ChunkShape| f64::from(u8::from(chunk.embedding));
    let head = |chunk: &ChunkShape| f64::from(u8::from(chunk.head));
    let load = StageLoad {
        parameters_per_gpu: shape.parameters,
        layers_in_flight: sum(&in_flight.kept, &layers),
        layers_deferred: sum(&in_flight.deferred, &layers),
        embedding_in_flight: sum(&in_flight.kept, &embedding),
        head_in_flight: sum(&in_flight.kept, &head),
        head_deferred: sum(&in_flight.deferred, &head),
        recompute: shape.recompute,
        shard: shape.shard(),
    };
    memory(times.model(), times.training(), times.path(kind), &load)
}

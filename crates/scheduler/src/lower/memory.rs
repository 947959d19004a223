//! What a stage holds on one of its cards.

use motley_units::Bytes;
use motley_workload::{Activations, MemoryUse, Part, Recompute, StageLoad, memory};

use super::shape::{ChunkShape, StageShape};
use crate::schedule::{InFlight, Turn, peak_in_flight};
use crate::times::{CardKind, KernelTimes, recompute_of};

/// What a micro-batch holds in each chunk of a stage, bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Held {
    /// From its forward pass on.
    pub kept: Vec<f64>,
    /// From its input gradient on until its weight gradients.
    pub deferred: Vec<f64>,
    /// The largest of the passing needs, whatever the chunk.
    workspace: f64,
}

impl Held {
    pub(super) fn new(shape: &StageShape, kind: CardKind, times: &KernelTimes) -> Self {
        let mut held = Self { kept: Vec::new(), deferred: Vec::new(), workspace: 0.0 };
        let mut travelling = 0.0_f64;
        for chunk in &shape.chunks {
            let parts = parts(shape, chunk, kind, times);
            let sum = |bytes: fn(&(Activations, Recompute)) -> f64| parts.iter().map(bytes).sum();
            let kept = parts.iter().map(|(part, recompute)| part.bytes(*recompute).0);
            if shape.offload.activations {
                // Layers come first: what they keep is on its way to the host or back, two at a time.
                let layers = chunk.layers as usize;
                held.kept.push(kept.clone().skip(layers).sum());
                travelling = travelling.max(2.0 * kept.take(layers).fold(0.0, f64::max));
            } else {
                held.kept.push(kept.sum());
            }
            held.deferred.push(sum(|(part, _)| part.waiting().0));
            let passing = parts.iter().map(|(part, recompute)| part.workspace(*recompute).0);
            held.workspace = passing.fold(held.workspace, f64::max);
        }
        held.workspace += travelling;
        held
    }
}

/// What the parts of a chunk keep, and what of them is computed again.
fn parts(
    shape: &StageShape,
    chunk: &ChunkShape,
    kind: CardKind,
    times: &KernelTimes,
) -> Vec<(Activations, Recompute)> {
    let of = |part| times.part(kind, shape.shard, part).activations;
    let layers = chunk.layers().map(|layer| times.model().part(layer));
    let ends = [chunk.embedding.then_some(Part::Embedding), chunk.head.then_some(Part::Head)];
    let parts = layers.chain(ends.into_iter().flatten());
    parts.map(|part| (of(part), recompute_of(part, shape.recompute))).collect()
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
    memory_of(shape, &held, &in_flight, kind, times)
}

/// The memory of a stage's card without activations.
pub(super) fn idle_memory(shape: &StageShape, kind: CardKind, times: &KernelTimes) -> MemoryUse {
    let none = vec![0; shape.chunks.len()];
    let in_flight = InFlight { kept: none.clone(), deferred: none };
    memory_of(shape, &Held::new(shape, kind, times), &in_flight, kind, times)
}

fn memory_of(
    shape: &StageShape,
    held: &Held,
    in_flight: &InFlight,
    kind: CardKind,
    times: &KernelTimes,
) -> MemoryUse {
    let sum = |bytes: &[f64], counts: &[u32]| -> f64 {
        bytes.iter().zip(counts).map(|(bytes, &count)| bytes * f64::from(count)).sum()
    };
    let load = StageLoad {
        parameters: shape.states.parameters + shape.states.gathered,
        gradients: shape.states.gradients + shape.states.reduced,
        stepped: if shape.offload.optimizer { 0.0 } else { shape.states.stepped },
        quantised_parameters: shape.quantised_parameters,
        activations: Bytes(
            sum(&held.kept, &in_flight.kept) + sum(&held.deferred, &in_flight.deferred),
        ),
        workspace: Bytes(held.workspace),
    };
    memory(times.training(), times.path(kind), &load)
}

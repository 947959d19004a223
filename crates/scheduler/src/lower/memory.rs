//! What a stage holds on one of its cards.

use motley_units::Bytes;
use motley_workload::{
    Activations, AutogradGradients, ParameterCount, Part, Recompute, StageLoad, StageOutputs,
    memory, step_memory,
};

use super::shape::{ChunkShape, StageShape};
use crate::memory_course::{ChunkCourse, Fullest, MemoryCourse};
use crate::times::{CardKind, KernelTimes, recompute_of};

/// A part of a chunk: what it keeps of a micro-batch, what it needs beside, bytes.
#[derive(Clone, Copy, Debug)]
struct Held {
    kept: f64,
    deferred: f64,
    forward: f64,
    backward: f64,
    /// Its gradients as autograd leaves them.
    gradients: f64,
    gathered: f64,
    output: f64,
}

impl Held {
    fn new(
        part: Part,
        (activations, recompute): (&Activations, Recompute),
        shape: &StageShape,
        kind: CardKind,
        times: &KernelTimes,
    ) -> Self {
        let training = times.training();
        let element = f64::from(times.path(kind).precision.element_bytes());
        let trained = times.model().trained_parameters(part, training).per_rank(&shape.shard);
        let gradients = match training.holds.autograd_gradients {
            AutogradGradients::Consumed => 0.0,
            AutogradGradients::UntilPassEnds => element * trained,
        };
        let kept = activations.bytes(recompute).0;
        // What is offloaded is on its way to the host or back, that of two layers at a time.
        let offloaded = shape.offload.activations && matches!(part, Part::Layer(_));
        let travelling = if offloaded { 2.0 * kept } else { 0.0 };
        Self {
            kept: if offloaded { 0.0 } else { kept },
            deferred: activations.waiting().0,
            forward: activations.forward_workspace(recompute).0 + travelling,
            backward: activations.workspace(recompute).0 + travelling,
            gradients,
            gathered: activations.gathered().0,
            output: activations.output().0,
        }
    }
}

/// The parts of a chunk, in the order of its forward pass.
fn parts(shape: &StageShape, chunk: &ChunkShape, kind: CardKind, times: &KernelTimes) -> Vec<Held> {
    let layers = chunk.layers().map(|layer| times.model().part(layer));
    let embedding = chunk.embedding.then_some(Part::Embedding);
    let parts = embedding.into_iter().chain(layers).chain(chunk.head.then_some(Part::Head));
    let held = |part| {
        let activations = &times.part(kind, shape.shard, part).activations;
        let recompute = recompute_of(part, shape.recompute);
        Held::new(part, (activations, recompute), shape, kind, times)
    };
    parts.map(held).collect()
}

/// The passes of a chunk: forward each part adds what it keeps to what those before it keep;
/// backward it lets go of it, and its gradients stay where autograd leaves them.
fn chunk_course(parts: &[Held], output: f64) -> ChunkCourse {
    let kept: f64 = parts.iter().map(|part| part.kept).sum();
    let deferred = parts.iter().map(|part| part.deferred).sum();
    let mut fullest = [Fullest::default(); 4];
    let mut taken = 0.0;
    let [forward, backward, input, weight] = &mut fullest;
    let fill = |known: &mut Fullest, now: Fullest| {
        if now.total() > known.total() {
            *known = now;
        }
    };
    for part in parts {
        taken += part.kept;
        fill(forward, Fullest { activations: taken, gradients: 0.0, passing: part.forward });
    }
    fill(forward, Fullest { activations: kept + output, gradients: 0.0, passing: 0.0 });
    let (mut given, mut split, mut gradients) = (0.0, 0.0, 0.0);
    for part in parts.iter().rev() {
        gradients += part.gradients;
        let (activations, passing) = (-given, part.backward);
        fill(backward, Fullest { activations, gradients, passing });
        fill(input, Fullest { activations: -split, gradients: 0.0, passing });
        given += part.kept;
        split += part.kept - part.deferred;
    }
    fill(backward, Fullest { activations: -given, gradients, passing: 0.0 });
    fill(input, Fullest { activations: -split, gradients: 0.0, passing: 0.0 });
    fill(weight, Fullest { activations: 0.0, gradients, passing: 0.0 });
    ChunkCourse { kept: kept + output, deferred, fullest }
}

/// The memory of a stage's card over an iteration.
pub(super) fn stage_memory(
    shape: &StageShape,
    kind: CardKind,
    times: &KernelTimes,
) -> MemoryCourse {
    let training = times.training();
    let mut gathered: f64 = 0.0;
    let course = |chunk: &ChunkShape| {
        let parts = parts(shape, chunk, kind, times);
        gathered = parts.iter().map(|part| part.gathered).fold(gathered, f64::max);
        let last = parts.iter().rev().find(|part| part.output > 0.0);
        let output = match training.holds.stage_outputs {
            StageOutputs::Kept if chunk.sends => last.map_or(0.0, |part| part.output),
            StageOutputs::Kept | StageOutputs::Released => 0.0,
        };
        chunk_course(&parts, output)
    };
    let chunks = shape.chunks.iter().map(course).collect();
    let states = &shape.states;
    let mut distinct: Vec<Part> =
        shape.chunks.iter().flat_map(|chunk| chunk.matrices(times.model())).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let matrices = distinct.iter().map(|&part| {
        let dense = times.model().trained_parameters(part, training).dense;
        let copied = part == Part::Head && times.model().tied_head();
        ParameterCount::dense(dense + if copied { times.model().word_embedding() } else { 0.0 })
    });
    let distinct = matrices.sum::<ParameterCount>().per_rank(&shape.shard);
    let load = StageLoad {
        parameters: states.parameters + states.gathered,
        gradients: states.gradients + states.reduced,
        averaged: states.averaged,
        stepped: if shape.offload.optimizer { 0.0 } else { states.stepped },
        quantised_parameters: shape.quantised_parameters,
        shared: states.shared,
        gathered: Bytes(gathered),
        distinct,
        communicators: shape.communicators,
    };
    let path = times.path(kind);
    let idle = memory(training, path, times.device(kind), &load);
    let step = idle.with(0.0, 0.0, step_memory(training, path, &load).0);
    MemoryCourse { idle, step, chunks }
}

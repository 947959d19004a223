//! Memory of one card at the peak of an iteration.

use motley_units::Bytes;

use crate::{CardPath, Training};

/// CUDA context with the loaded kernels of PyTorch and its libraries. A process on an H100 holds
/// 1.06 GB before its first collective, PyTorch's tensors not counted (NCCL issue 1685); older cards
/// with fewer SMs hold less.
const CONTEXT: f64 = 0.8 * GIB;

/// NCCL's buffers: 10 MiB for each connection of each channel (NCCL issue 1685), 16 to 32 channels
/// in a communicator, a ring and a tree: about 0.3 GiB for each of a tensor-, a pipeline- and a
/// data-parallel communicator.
const NCCL: f64 = 3.0 * 0.3 * GIB;

/// cuBLAS workspaces and what the caching allocator cannot give out again: a judgement.
const ALLOCATOR: f64 = 0.3 * GIB;

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// What a stage holds on one of its cards, at the moment of its peak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageLoad {
    /// Parameters on this card, of all the stage's parts, adapters included; those that are gathered
    /// from others while they are used, too.
    pub parameters: f64,
    /// Parameters with gradients on this card.
    pub gradients: f64,
    /// Parameters whose optimizer states are on this card.
    pub stepped: f64,
    /// Parameters on this card that linear layers multiply in quantised copies, where the card does so.
    pub quantised_parameters: f64,
    /// Activations of all micro-batches in flight: [`crate::Activations::bytes`] of every part.
    pub activations: Bytes,
    /// The largest passing need of a part, [`crate::Activations::workspace`]: these do not occur
    /// at the same time.
    pub workspace: Bytes,
}

/// Where the memory of one card goes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MemoryUse {
    /// Parameters as they are stored, and their quantised copies, which stay from one optimizer step
    /// to the next.
    pub parameters: Bytes,
    /// The gradient buffer.
    pub gradients: Bytes,
    /// Master parameters, if mixed precision has them, and moments.
    pub optimizer: Bytes,
    /// Activations of all micro-batches in flight.
    pub activations: Bytes,
    /// The largest of the passing needs: loss in fp32, a layer that is computed again with its
    /// gradients.
    pub workspace: Bytes,
    /// CUDA context, NCCL buffers, cuBLAS workspaces, the allocator's remainders.
    pub overhead: Bytes,
}

impl MemoryUse {
    /// Everything together.
    pub fn total(&self) -> Bytes {
        Bytes(
            self.parameters.0
                + self.gradients.0
                + self.optimizer.0
                + self.activations.0
                + self.workspace.0
                + self.overhead.0,
        )
    }
}

/// The memory that `load` needs on a card that runs `path`.
pub fn memory(training: &Training, path: &CardPath, load: &StageLoad) -> MemoryUse {
    let element = f64::from(path.precision.element_bytes());
    let copies = path.quantisation.map_or(0.0, |quantisation| {
        f64::from(quantisation.copies()) * quantisation.operand_bytes()
    });
    let states = training.master_bytes(path) + training.optimizer.moment_bytes();
    MemoryUse {
        parameters: Bytes(element * load.parameters + copies * load.quantised_parameters),
        gradients: Bytes(f64::from(training.gradient_bytes) * load.gradients),
        optimizer: Bytes(states * load.stepped),
        activations: load.activations,
        workspace: load.workspace,
        overhead: Bytes(CONTEXT + NCCL + ALLOCATOR),
    }
}

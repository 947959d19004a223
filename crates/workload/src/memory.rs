//! Memory of one card at the peak of an iteration.

use motley_units::Bytes;

use crate::activation::{ActivationSizes, Kept};
use crate::{CardPath, Model, Recompute, Shard, Training, layer_activation_bytes};

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
#[derive(Clone, Debug, PartialEq)]
pub struct StageLoad {
    /// Parameters on this card, of all the stage's layers, after tensor parallelism.
    pub parameters_per_gpu: f64,
    /// Layers whose activations are kept, summed over the micro-batches in flight.
    pub layers_in_flight: f64,
    /// Layers whose weight gradients are still to be computed after their input gradients, summed
    /// over micro-batches; zero where the backward pass is not split.
    pub layers_deferred: f64,
    /// Micro-batches whose embedding output is kept; zero where the stage has no embedding.
    pub embedding_in_flight: f64,
    /// Micro-batches between head and loss; zero where the stage has no head.
    pub head_in_flight: f64,
    /// Micro-batches whose weight gradients in the head are still to be computed.
    pub head_deferred: f64,
    /// What is computed again instead of kept.
    pub recompute: Recompute,
    /// The micro-batch on this rank.
    pub shard: Shard,
}

/// Where the memory of one card goes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MemoryUse {
    /// Parameters as the kernels read them.
    pub parameters: Bytes,
    /// The gradient buffer.
    pub gradients: Bytes,
    /// fp32 master parameters, if mixed precision has them, and moments.
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

/// The memory that `load` needs on a card that runs `path`. Optimizer states are whole: nothing is
/// sharded over data-parallel ranks.
pub fn memory(model: &Model, training: &Training, path: &CardPath, load: &StageLoad) -> MemoryUse {
    let element = f64::from(path.precision.element_bytes());
    let master = if path.precision.mixed() { 4.0 } else { 0.0 };
    let moments = 4.0 * f64::from(training.optimizer.moments());
    let parameters = load.parameters_per_gpu;

    let shard = &load.shard;
    let tokens = f64::from(training.sequence_length) * f64::from(shard.micro_batch_size);
    let logits = tokens * f64::from(model.vocab) / f64::from(shard.tensor_parallel.max(1));
    let sizes = ActivationSizes::new(model, training, path, load.recompute, shard);

    MemoryUse {
        parameters: Bytes(element * parameters),
        gradients: Bytes(f64::from(training.gradient_bytes) * parameters),
        optimizer: Bytes((master + moments) * parameters),
        activations: Bytes(
            sizes.layer.0 * load.layers_in_flight
                + sizes.layer_deferred.0 * load.layers_deferred
                + sizes.embedding.0 * load.embedding_in_flight
                + sizes.head.0 * load.head_in_flight
                + sizes.head_deferred.0 * load.head_deferred,
        ),
        workspace: Bytes(workspace(model, training, *path, load, logits)),
        overhead: Bytes(CONTEXT + NCCL + ALLOCATOR),
    }
}

/// The largest passing need: these do not occur at the same time.
fn workspace(
    model: &Model,
    training: &Training,
    path: CardPath,
    load: &StageLoad,
    logits: f64,
) -> f64 {
    let element = f64::from(path.precision.element_bytes());
    let kept = Kept::new(model, training, path, &load.shard);

    // The logits as the product puts them out, and the fp32 exponentials beside the probabilities.
    let loss = if load.head_in_flight > 0.0 { (element + 4.0) * logits } else { 0.0 };

    let recomputed = match load.recompute {
        Recompute::None => 0.0,
        Recompute::Selective => kept.scores,
        Recompute::Full => {
            layer_activation_bytes(model, training, &path, Recompute::None, &load.shard).0
        }
    };
    // Two gradients of the widest activation at a time: before and after an elementwise kernel.
    let gradients = 2.0 * element * kept.score_count.max(kept.mlp_count);
    let layer = if load.layers_in_flight > 0.0 { recomputed + gradients } else { 0.0 };
    loss.max(layer)
}

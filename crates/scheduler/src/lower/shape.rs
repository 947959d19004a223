//! What a stage's program depends on, apart from the card: stages of equal shape on equal cards
//! share one program.

use motley_workload::{Recompute, Shard};

use super::gradients::Item;
use crate::plan::Schedule;

/// The shape of one stage.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each a plan's own choice")]
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StageShape {
    pub schedule: Schedule,
    pub stage: u32,
    pub stages: u32,
    pub micro_batches: u32,
    pub micro_batch_size: u32,
    pub tensor_parallel: u32,
    pub sequence_parallel: bool,
    pub overlap_weight_gradient: bool,
    pub recompute: Recompute,
    pub chunks: Vec<ChunkShape>,
    /// Bytes of an activation element as the stage's cards exchange it.
    pub element_bytes: u32,
    pub gradients: Vec<GradientShape>,
    /// Start averaging when a bucket is ready instead of at the end.
    pub overlap_gradients: bool,
    /// Shards of the tied embedding that this rank averages with the other end of the pipeline.
    pub embedding_shards: u32,
    /// The pipeline has more than one rank, which agree on the gradient norm.
    pub gradient_norm: bool,
    /// Parameters that one card holds.
    pub parameters: f64,
    /// Gradient bytes that one card copies into shard order because other holders have another
    /// tensor-parallel degree.
    pub reshard_bytes: f64,
}

/// One model chunk of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkShape {
    /// Its first layer.
    pub first_layer: u32,
    /// How many layers it has.
    pub layers: u32,
    /// It starts with the embedding.
    pub embedding: bool,
    /// It ends with the head.
    pub head: bool,
}

/// A rank's part in one gradient group.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GradientShape {
    /// How many of the group's shards lie on the rank.
    pub shards: u32,
    /// When each bucket is ready.
    pub ready: Vec<Item>,
}

/// What a slot of the program stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlotUse {
    /// The tensor-parallel group.
    TensorParallel,
    /// Where activations of a chunk go: this stage sends.
    ForwardOut(u32),
    /// Where activations of a chunk come from.
    ForwardIn(u32),
    /// Where gradients of a chunk's input go: this stage sends.
    BackwardOut(u32),
    /// Where gradients of a chunk's output come from.
    BackwardIn(u32),
    /// The `shard`-th of the rank's shards in its `group`-th gradient group.
    Gradient { group: usize, shard: u32 },
    /// The tied embedding's other end.
    Embedding { shard: u32 },
    /// All ranks of the pipeline.
    GradientNorm,
}

impl StageShape {
    /// The part of a layer that one card works on.
    pub(super) fn shard(&self) -> Shard {
        Shard {
            tensor_parallel: self.tensor_parallel,
            sequence_parallel: self.sequence_parallel,
            micro_batch_size: self.micro_batch_size,
        }
    }

    /// The slots of the program, in order.
    pub(super) fn slots(&self) -> Vec<SlotUse> {
        let mut slots = Vec::new();
        if self.tensor_parallel > 1 {
            slots.push(SlotUse::TensorParallel);
        }
        for (c, chunk) in self.chunks.iter().enumerate() {
            let c = c as u32;
            if !chunk.embedding {
                slots.extend([SlotUse::ForwardIn(c), SlotUse::BackwardOut(c)]);
            }
            if !chunk.head {
                slots.extend([SlotUse::ForwardOut(c), SlotUse::BackwardIn(c)]);
            }
        }
        for (group, gradient) in self.gradients.iter().enumerate() {
            slots.extend((0..gradient.shards).map(|shard| SlotUse::Gradient { group, shard }));
        }
        slots.extend((0..self.embedding_shards).map(|shard| SlotUse::Embedding { shard }));
        if self.gradient_norm {
            slots.push(SlotUse::GradientNorm);
        }
        slots
    }

    /// Bytes of one micro-batch's activations at a layer boundary, unsplit.
    pub(super) fn activation_bytes(&self, sequence_length: u32, hidden: u32) -> f64 {
        f64::from(self.micro_batch_size)
            * f64::from(sequence_length)
            * f64::from(hidden)
            * f64::from(self.element_bytes)
    }
}

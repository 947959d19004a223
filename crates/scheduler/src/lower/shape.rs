//! What a stage's program depends on, apart from the card: stages of equal shape on equal cards
//! share one program.

use std::ops::Range;

use motley_workload::{Extent, Recompute, Shard, Training};

use super::gradients::Item;
use crate::plan::Pipeline;
use crate::schedule::{Placement, Position};

/// The shape of one stage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StageShape {
    pub micro_batch_size: u32,
    pub tensor_parallel: u32,
    pub sequence_parallel: bool,
    pub overlap_weight_gradient: bool,
    pub recompute: Recompute,
    pub chunks: Vec<ChunkShape>,
    /// How many routes the pipeline's micro-batches take in turn.
    pub routes: u32,
    /// Bytes of an activation element as the stage's cards exchange it.
    pub element_bytes: u32,
    pub gradients: Vec<GradientShape>,
    /// Start averaging when a bucket is ready instead of at the end.
    pub overlap_gradients: bool,
    /// Shards of the tied embedding that this rank averages with the other end of the pipeline.
    pub embedding_shards: u32,
    pub norm: NormShape,
    /// Parameters that one card holds.
    pub parameters: f64,
    /// Those of them that are trained.
    pub trained_parameters: f64,
    /// Parameters on a card that linear layers multiply in quantised copies, on cards that do so.
    pub quantised_parameters: f64,
    /// Gradient bytes that one card copies into shard order because other holders have another
    /// tensor-parallel degree.
    pub reshard_bytes: f64,
}

/// One model chunk of a stage.
#[expect(clippy::struct_excessive_bools, reason = "independent facts about its two ends")]
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
    /// What comes before it lies on another stage.
    pub receives: bool,
    /// What comes after it lies on another stage.
    pub sends: bool,
}

impl ChunkShape {
    /// The chunk of a pipeline at a position.
    pub(super) fn of(pipeline: &Pipeline, placement: &Placement, position: Position) -> Self {
        let layers = pipeline.layers_at(position);
        let (before, after) = (placement.before(position), placement.after(position));
        let elsewhere = |other: Option<Position>| other.is_some_and(|o| o.stage != position.stage);
        Self {
            first_layer: layers.start,
            layers: layers.end - layers.start,
            embedding: before.is_none(),
            head: after.is_none(),
            receives: elsewhere(before),
            sends: elsewhere(after),
        }
    }

    /// Its layers.
    pub(super) fn layers(self) -> Range<u32> {
        self.first_layer..self.first_layer + self.layers
    }

    /// The items whose parameters it holds, in the order of its backward pass.
    pub(super) fn items(self, model_layers: u32) -> impl DoubleEndedIterator<Item = Item> {
        let head = self.head.then_some(model_layers + 1);
        let layers = self.layers().rev();
        head.into_iter().chain(layers.map(|layer| layer + 1)).chain(self.embedding.then_some(0))
    }
}

/// A rank's part in one gradient group.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GradientShape {
    /// How many of the group's shards lie on the rank.
    pub shards: u32,
    /// The items of each bucket.
    pub buckets: Vec<Vec<Item>>,
}

/// How the stage agrees on the gradient norm before the optimizer step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NormShape {
    /// The pipeline is one rank.
    Alone,
    /// All ranks of the pipeline meet.
    Meeting,
    /// What the stages have found is handed on from stage to stage.
    Chain {
        /// Something comes from the stage before.
        receives: bool,
        /// Something goes to the stage after.
        sends: bool,
    },
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
    /// What the stages before have found about the gradient norm.
    NormIn,
    /// What this stage and those before have found: this stage sends.
    NormOut,
}

impl StageShape {
    /// What one card works on.
    pub(super) fn shard(&self) -> Shard {
        Shard::new(self.tensor_parallel, self.sequence_parallel, self.micro_batch_size)
    }

    /// The slots of the program, in order.
    pub(super) fn slots(&self) -> Vec<SlotUse> {
        let mut slots = Vec::new();
        if self.tensor_parallel > 1 {
            slots.push(SlotUse::TensorParallel);
        }
        for (c, chunk) in self.chunks.iter().enumerate() {
            let c = c as u32;
            if chunk.receives {
                slots.extend([SlotUse::ForwardIn(c), SlotUse::BackwardOut(c)]);
            }
            if chunk.sends {
                slots.extend([SlotUse::ForwardOut(c), SlotUse::BackwardIn(c)]);
            }
        }
        for (group, gradient) in self.gradients.iter().enumerate() {
            slots.extend((0..gradient.shards).map(|shard| SlotUse::Gradient { group, shard }));
        }
        slots.extend((0..self.embedding_shards).map(|shard| SlotUse::Embedding { shard }));
        match self.norm {
            NormShape::Alone => {}
            NormShape::Meeting => slots.push(SlotUse::GradientNorm),
            NormShape::Chain { receives, sends } => {
                slots.extend(receives.then_some(SlotUse::NormIn));
                slots.extend(sends.then_some(SlotUse::NormOut));
            }
        }
        slots
    }

    /// Bytes of so many elements as the stage's cards exchange them.
    pub(super) fn bytes(&self, elements: f64) -> f64 {
        elements * f64::from(self.element_bytes)
    }

    /// Bytes of one micro-batch at a boundary, unsplit.
    pub(super) fn boundary_bytes(&self, boundary: Extent, training: &Training) -> f64 {
        self.bytes(f64::from(self.micro_batch_size) * boundary.elements(training))
    }
}

//! What a stage's program depends on, apart from the card: stages of equal shape on equal cards
//! share one program.

use std::ops::Range;

use motley_collectives::HostCopy;
use motley_workload::{Extent, Model, Part, ProcessGroup, Recompute, Shard, Training};

use super::gradients::Item;
use super::states::States;
use crate::plan::{Dispatch, Offload, Pipeline};
use crate::schedule::{Placement, Position};
use crate::zero::{ParameterGather, Sharded};

/// The shape of one stage.
#[expect(clippy::struct_excessive_bools, reason = "independent choices of a software stack")]
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StageShape {
    /// What one card works on.
    pub shard: Shard,
    pub overlap_weight_gradient: bool,
    /// See [`crate::Plan::overlap_tensor`].
    pub overlap_tensor: bool,
    /// See [`crate::Plan::scatter_gather`].
    pub scatter_gather: bool,
    /// A forward pass so many micro-batches ahead of the backward pass behind it sends after what that
    /// one receives; see [`crate::ActivationSends::AfterGradient`].
    pub sends_after: Option<u32>,
    pub recompute: Recompute,
    pub chunks: Vec<ChunkShape>,
    /// How many routes the pipeline's micro-batches take in turn.
    pub routes: u32,
    /// Bytes of an activation element as the stage's cards exchange it.
    pub element_bytes: u32,
    /// How tokens travel to experts on other ranks; the stage has none, unless given.
    pub dispatch: Option<Routing>,
    pub gradients: Vec<GradientShape>,
    /// Start averaging when a bucket is ready instead of at the end.
    pub overlap_gradients: bool,
    /// See [`crate::Plan::zero`].
    pub sharded: Sharded,
    /// Shards of the tied embedding that this rank averages with the other end of the pipeline.
    pub embedding_shards: u32,
    pub norm: NormShape,
    pub states: States,
    pub offload: Offload,
    /// Ranks of the plan on the node, which share its processors where these step the optimizer.
    pub ranks_on_node: u32,
    /// Parameters on a card that linear layers multiply in quantised copies, on cards that do so.
    pub quantised_parameters: f64,
    /// Communicators that a rank is a member of: of two ranks, of more.
    pub communicators: [u32; 2],
    /// Gradient bytes that one card copies into shard order because other holders have another
    /// degree.
    pub reshard_bytes: f64,
}

/// How a stage's tokens travel to experts on other ranks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Routing {
    pub dispatch: Dispatch,
    /// Bytes of an element on its way to experts.
    pub element_bytes: f64,
    /// Ranks among which experts are dealt out.
    pub ranks: u32,
    /// Nodes that these lie on.
    pub nodes: u32,
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

    /// Its parts that multiply with matrices: layers and head.
    pub(super) fn matrices(self, model: &Model) -> impl Iterator<Item = Part> {
        let layers = self.layers().map(|layer| model.part(layer));
        layers.chain(self.head.then_some(Part::Head))
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
    /// Its buckets.
    pub buckets: Vec<BucketShape>,
    /// The states of a shard are shared out among those that hold it.
    pub shared: bool,
    /// Each of them gets the sums of its share only.
    pub scattered: bool,
    /// Among some of them, which average with the others that hold the same share.
    pub replicated: bool,
}

/// One bucket of a gradient group.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BucketShape {
    /// Its items, descending.
    pub items: Vec<Item>,
    /// Some of it is trained.
    pub trained: bool,
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
    /// A process group in which a pass exchanges what it works on.
    Group(ProcessGroup),
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
    /// Those that hold the same share of such a shard.
    Replicas { group: usize, shard: u32 },
    /// Those that gather the parameters of such a shard.
    Parameters { group: usize, shard: u32 },
    /// The rank's own copies between card and host.
    Host(HostCopy),
    /// Those of parameters to the card.
    HostParameters,
    /// What the host launches for the rank: behind all others, as it is known last.
    Launches,
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
    /// Whether it is the only stage of its pipeline.
    pub(super) fn is_alone(&self) -> bool {
        !self.chunks.iter().any(|chunk| chunk.receives || chunk.sends)
    }

    /// The process groups in which its passes exchange something.
    pub(super) fn process_groups(&self) -> impl Iterator<Item = ProcessGroup> {
        ProcessGroup::ALL.into_iter().filter(|group| self.degree(*group) > 1)
    }

    /// Ranks of a process group; 1 where there is none.
    pub(super) fn degree(&self, group: ProcessGroup) -> u32 {
        match group {
            ProcessGroup::Tensor => self.shard.tensor_parallel,
            ProcessGroup::Context => self.shard.context_parallel,
            ProcessGroup::Expert if self.dispatch.is_some() => self.shard.expert_parallel,
            ProcessGroup::ExpertTensor if self.dispatch.is_some() => {
                self.shard.expert_tensor_parallel
            }
            ProcessGroup::Expert | ProcessGroup::ExpertTensor => 1,
        }
    }

    /// Whether a forward pass waits for parameters that lie elsewhere.
    pub(super) fn gathers_forward(&self) -> bool {
        if self.offload.parameters {
            return true;
        }
        let ahead = ParameterGather::Overlapped;
        match self.sharded {
            Sharded::Nothing => false,
            Sharded::Optimizer(gather) | Sharded::Gradients(gather) => gather == ahead,
            Sharded::Parameters { .. } => true,
        }
    }

    /// Whether gradients are averaged after every micro-batch.
    pub(super) fn reduces_each_micro_batch(&self) -> bool {
        matches!(self.sharded, Sharded::Gradients(_) | Sharded::Parameters { .. })
    }

    /// Whether a backward pass does. What is kept on the card after the forward pass, it finds there,
    /// wherever the shares lie.
    pub(super) fn gathers_backward(&self) -> bool {
        match self.sharded {
            Sharded::Parameters { reshard_after_forward, .. } => reshard_after_forward,
            _ => self.offload.parameters,
        }
    }

    /// The slots of the program, in order, but for launches.
    pub(super) fn slots(&self) -> Vec<SlotUse> {
        let mut slots: Vec<SlotUse> = self.process_groups().map(SlotUse::Group).collect();
        if self.offload != Offload::default() {
            slots.extend([HostCopy::ToHost, HostCopy::ToCard].map(SlotUse::Host));
            slots.extend(self.offload.parameters.then_some(SlotUse::HostParameters));
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
            let shards = 0..gradient.shards;
            let trained = gradient.buckets.iter().any(|bucket| bucket.trained);
            if trained {
                slots.extend(shards.clone().map(|shard| SlotUse::Gradient { group, shard }));
            }
            if trained && gradient.replicated {
                slots.extend(shards.clone().map(|shard| SlotUse::Replicas { group, shard }));
            }
            if gradient.shared {
                slots.extend(shards.map(|shard| SlotUse::Parameters { group, shard }));
            }
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
        self.bytes(f64::from(self.shard.micro_batch_size) * boundary.elements(training))
    }
}

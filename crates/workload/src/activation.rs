//! Activations that the forward pass keeps for the backward pass, and what the backward pass needs
//! beside them.
//!
//! Korthikanti et al. 2022 (arXiv 2205.05198), section 4, counts them for a GPT layer in 16 bits:
//! `s b h (34 + 5 a s / h)` bytes on one rank, `s b h (10 + 24 / t + 5 a s / (h t))` under tensor
//! parallelism `t` (equation 2), everything over `t` with sequence parallelism (equation 4), without
//! the score term under selective recomputation, `2 s b h` under full recomputation. Here every
//! block says which tensors it keeps, and which of them not if a module is computed again, so that grouped queries, gates, experts, other precisions,
//! absent dropout, frozen weights and FlashAttention follow.
//!
//! Where the backward pass is split, the input gradient lets go of all that the weight gradients do
//! not need: what stays are the inputs of the linear layers and the gradients of their outputs,
//! `32 s b h` bytes for a GPT layer in 16 bits (Qi et al. 2024, arXiv 2401.10241, Table 1).

use motley_units::Bytes;

use crate::block::Condition;
use crate::{Block, CardPath, Model, Part, Recompute, Shard, Training, blocks};

/// What a block keeps, by how it is split, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Kept {
    /// Outside the tensor-parallel regions: whole on every rank, or split along the sequence.
    pub(crate) stream: f64,
    /// Inside the tensor-parallel regions.
    pub(crate) split: f64,
    /// Elements of the widest activation on this rank.
    pub(crate) widest: f64,
    /// Beside what is kept, while the block runs forward.
    pub(crate) passing: f64,
    /// Beside what is kept and gradients of the widest activation, while it runs backward.
    pub(crate) returning: f64,
    /// Between the input gradient and weight gradients that wait.
    pub(crate) waiting: f64,
}

impl Kept {
    /// What both keep.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            stream: self.stream + other.stream,
            split: self.split + other.split,
            widest: self.widest.max(other.widest),
            passing: self.passing.max(other.passing),
            returning: self.returning.max(other.returning),
            waiting: self.waiting + other.waiting,
        }
    }

    /// All that is kept for the backward pass.
    pub(crate) fn bytes(&self) -> f64 {
        self.stream + self.split
    }
}

/// What a part keeps of one micro-batch on one rank.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Activations {
    /// The part's input.
    input: f64,
    /// The part's input, gathered over the ranks that share its tokens; nothing where it is whole.
    gathered: f64,
    kept: Kept,
    /// What need not be kept of modules that are computed again.
    dropped: Vec<(Condition, f64)>,
    /// Bytes of an element.
    element: f64,
}

impl Activations {
    /// Of the blocks that [`blocks`] made of a part.
    pub fn of(
        model: &Model,
        part: Part,
        training: &Training,
        path: &CardPath,
        shard: &Shard,
        blocks: &[Block],
    ) -> Self {
        let element = f64::from(path.precision.element_bytes());
        let input = model.kind(part).map_or(0.0, |kind| {
            let own = kind.input.rows(training) as f64 * kind.input.width() as f64;
            own * f64::from(shard.micro_batch_size) / f64::from(shard.token_split())
        });
        let gathered = match shard.sequence_split() {
            0 | 1 => 0.0,
            ranks => input * f64::from(ranks),
        };
        let kept = blocks.iter().fold(Kept::default(), |sum, block| sum.and(block.kept));
        let repeats = blocks.iter().flat_map(|block| &block.repeats);
        let dropped = repeats.map(|repeat| (repeat.condition, repeat.dropped)).collect();
        Self { input: element * input, gathered: element * gathered, kept, dropped, element }
    }

    /// What modules that are computed again do not keep.
    fn dropped(&self, recompute: Recompute) -> f64 {
        let modules = recompute.modules();
        let chosen = self.dropped.iter().filter(|(condition, _)| condition.holds(modules));
        chosen.map(|(_, bytes)| bytes).sum()
    }

    /// Kept from the forward to the backward pass.
    pub fn bytes(&self, recompute: Recompute) -> Bytes {
        Bytes(match recompute {
            Recompute::Full => self.input,
            _ => self.kept.bytes() - self.dropped(recompute),
        })
    }

    /// Kept from the input gradient on until the weight gradients, where these wait. With sequence
    /// parallelism the gradients of the residual stream are kept as they were gathered; the inputs
    /// are gathered once more for the weight gradients.
    pub fn waiting(&self) -> Bytes {
        Bytes(self.kept.waiting)
    }

    /// What a stage sends on behind the part, if that is as wide as its input.
    pub fn output(&self) -> Bytes {
        Bytes(self.input)
    }

    /// The part's input as tensor ranks gather it under sequence parallelism; nothing where each has it
    /// whole.
    pub fn gathered(&self) -> Bytes {
        Bytes(self.gathered)
    }

    /// Needed beside all that is kept, while the forward pass is in the part: the widest activation
    /// where it is not kept, what passes through.
    pub fn forward_workspace(&self, recompute: Recompute) -> Bytes {
        let dropped = match recompute {
            Recompute::Full => 2.0 * self.element * self.kept.widest,
            _ => 0.0,
        };
        Bytes(dropped + self.kept.passing)
    }

    /// Needed beside all that is kept, while the backward pass is in the part: what is computed
    /// again, two gradients of the widest activation at a time (before and after an elementwise
    /// kernel), what passes through.
    pub fn workspace(&self, recompute: Recompute) -> Bytes {
        let again = match recompute {
            Recompute::Full => self.kept.bytes(),
            _ => self.dropped(recompute),
        };
        Bytes(again + 2.0 * self.element * self.kept.widest + self.kept.returning)
    }
}

/// What a part keeps of one micro-batch on one rank.
pub fn activations(
    model: &Model,
    part: Part,
    training: &Training,
    path: &CardPath,
    shard: &Shard,
) -> Activations {
    Activations::of(model, part, training, path, shard, &blocks(model, part, training, path, shard))
}

//! What ranks exchange in the middle of a block.

use crate::Spread;

/// A kind of process group in which the passes of a stage exchange what they work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProcessGroup {
    /// Ranks that share each matrix.
    Tensor,
    /// Ranks that share the tokens of each sequence.
    Context,
    /// Ranks among which experts are dealt out.
    Expert,
    /// Ranks that share each expert's matrices.
    ExpertTensor,
}

impl ProcessGroup {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tensor, Self::Context, Self::Expert, Self::ExpertTensor];
}

/// How ranks exchange something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExchangeKind {
    /// Everyone gets everyone's part.
    AllGather,
    /// Everyone's parts are added up, and everyone gets a part of the sum.
    ReduceScatter,
    /// Everyone's parts are added up, and everyone gets the sum.
    AllReduce,
    /// Everyone sends a part to everyone.
    AllToAll,
    /// Tokens travel to their experts, a copy for each.
    Dispatch(Spread),
    /// Results of experts travel back to their tokens.
    Combine(Spread),
    /// Everyone sends to the next in a ring.
    Shift,
}

/// An exchange in the middle of a pass through a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InnerExchange {
    /// Among whom.
    pub group: ProcessGroup,
    /// How.
    pub kind: ExchangeKind,
    /// Elements, for one micro-batch: of the full buffer where parts are gathered or added up, else
    /// of what one rank sends.
    pub elements: f64,
    /// It begins before this kernel of the pass.
    pub begins: usize,
    /// This kernel of the pass needs its result; the same as `begins` if nothing runs beside it.
    pub needed: usize,
}

impl InnerExchange {
    /// The same in a pass in which so many kernels come before.
    pub(super) fn after(self, kernels: usize) -> Self {
        Self { begins: self.begins + kernels, needed: self.needed + kernels, ..self }
    }
}

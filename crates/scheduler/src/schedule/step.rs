//! Passes, and the order in which a stage takes them.

/// What is done with a micro-batch in a model chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pass {
    /// F: from the chunk's input to its output.
    Forward,
    /// The whole backward pass: the gradients of the input and of the weights.
    Backward,
    /// B: the gradient of the chunk's input alone, which the stage before waits for.
    InputGradient,
    /// W: the gradients of the weights alone, which nobody waits for before the optimizer step.
    WeightGradient,
}

/// One pass of one micro-batch through one model chunk of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    /// Which pass.
    pub pass: Pass,
    /// Which micro-batch of the pipeline, from zero.
    pub micro_batch: u32,
    /// Which model chunk of the stage, from zero.
    pub chunk: u32,
}

/// What a stage does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    /// One pass.
    Alone(Step),
    /// Two passes whose layers alternate, so that one computes while the other communicates.
    Overlapped {
        /// A forward pass.
        forward: Step,
        /// A backward pass, of another micro-batch or chunk.
        backward: Step,
    },
}

impl Turn {
    /// The passes of the turn.
    pub fn steps(self) -> impl Iterator<Item = Step> {
        let (first, second) = match self {
            Self::Alone(step) => (step, None),
            Self::Overlapped { forward, backward } => (forward, Some(backward)),
        };
        std::iter::once(first).chain(second)
    }
}

/// What a stage does in an iteration, in order.
pub type Order = Vec<Turn>;

/// The passes of an order.
pub fn steps(order: &[Turn]) -> impl Iterator<Item = Step> + '_ {
    order.iter().flat_map(|turn| turn.steps())
}

pub(super) fn forward(micro_batch: u32, chunk: u32) -> Step {
    Step { pass: Pass::Forward, micro_batch, chunk }
}

pub(super) fn backward(micro_batch: u32, chunk: u32) -> Step {
    Step { pass: Pass::Backward, micro_batch, chunk }
}

pub(super) fn input_gradient(micro_batch: u32, chunk: u32) -> Step {
    Step { pass: Pass::InputGradient, micro_batch, chunk }
}

pub(super) fn weight_gradient(micro_batch: u32, chunk: u32) -> Step {
    Step { pass: Pass::WeightGradient, micro_batch, chunk }
}

//! The sizes that all blocks compute with: one micro-batch on one rank.

use motley_units::Bytes;

use crate::{CardPath, Model, Operator, Shard, Training, Work};

/// A micro-batch on a rank: token counts, the rank's share of the widths, element sizes.
pub(super) struct Rows<'a> {
    pub(super) model: &'a Model,
    pub(super) path: &'a CardPath,
    /// Sequences.
    pub(super) batch: u64,
    /// Tokens of a sequence.
    pub(super) sequence: u64,
    /// Tokens inside the tensor-parallel regions.
    pub(super) tokens: u64,
    /// Tokens outside of them: fewer under sequence parallelism.
    pub(super) own_tokens: f64,
    /// Ranks that split the matrices.
    split: u64,
    /// Bytes of an element.
    pub(super) element: f64,
    /// Bytes of an element's dropout mask; zero without dropout.
    pub(super) mask: f64,
    /// Bytes moved to add a weight's gradient to the gradient buffer, where a kernel of its own
    /// does it: the gradient is read, the buffer read and written.
    pub(super) accumulation: Option<f64>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(
        model: &'a Model,
        training: &Training,
        path: &'a CardPath,
        shard: &Shard,
    ) -> Self {
        let batch = u64::from(shard.micro_batch_size);
        let sequence = u64::from(training.sequence_length);
        let tokens = batch * sequence;
        Self {
            model,
            path,
            batch,
            sequence,
            tokens,
            own_tokens: tokens as f64 / f64::from(shard.sequence_split()),
            split: u64::from(shard.tensor_parallel.max(1)),
            element: f64::from(path.precision.element_bytes()),
            mask: if model.dropout { 1.0 } else { 0.0 },
            accumulation: (!training.fused_gradient_accumulation).then(|| {
                let element = f64::from(path.precision.element_bytes());
                element + 2.0 * f64::from(training.gradient_bytes)
            }),
        }
    }

    /// The rank's share of a split dimension, rounded up.
    pub(super) fn share(&self, size: u64) -> u64 {
        size.div_ceil(self.split)
    }

    /// Width of the residual stream.
    pub(super) fn hidden(&self) -> u64 {
        u64::from(self.model.hidden)
    }

    /// Elements of the residual stream that this rank works on outside tensor-parallel regions.
    pub(super) fn stream(&self) -> f64 {
        self.own_tokens * f64::from(self.model.hidden)
    }

    /// The norm's forward pass: reads and writes the stream once.
    pub(super) fn norm_forward(&self) -> Operator {
        let bytes = Bytes(2.0 * self.element * self.stream());
        Operator::new("norm", Work::Norm { bytes })
    }

    /// The norm's backward pass: one kernel reads gradient and input and writes the input's
    /// gradient, another reads both again for the gradients of scale and shift.
    pub(super) fn norm_backward(&self) -> Operator {
        let bytes = Bytes(5.0 * self.element * self.stream());
        Operator::new("norm backward", Work::Norm { bytes })
    }

    /// Bias, dropout and residual in one kernel: reads both inputs, writes the sum and the mask.
    pub(super) fn residual_forward(&self) -> Operator {
        let bytes = (3.0 * self.element + self.mask) * self.stream();
        if self.model.dropout {
            dropout("bias, dropout, residual", bytes, self.stream())
        } else {
            elementwise("bias, residual", bytes)
        }
    }

    /// Dropout alone over `elements`: reads the input, writes the output and the mask. Nothing
    /// runs for models without dropout.
    pub(super) fn dropout_forward(&self, name: &'static str, elements: f64) -> Option<Operator> {
        self.model
            .dropout
            .then(|| dropout(name, (2.0 * self.element + self.mask) * elements, elements))
    }

    /// The gradient through dropout: reads gradient and mask, writes the gradient. Nothing runs
    /// without dropout.
    pub(super) fn dropout_backward(&self) -> Option<Operator> {
        self.model.dropout.then(|| {
            elementwise("dropout backward", (2.0 * self.element + self.mask) * self.stream())
        })
    }

    /// The sum of the gradients of the block and of the residual path around it.
    pub(super) fn residual_backward(&self) -> Operator {
        elementwise("residual backward", 3.0 * self.element * self.stream())
    }

    /// The gradient of a bias over `width` columns: reads the output's gradient.
    pub(super) fn bias_backward(&self, tokens: f64, width: u64) -> Option<Operator> {
        self.model
            .biases
            .then(|| elementwise("bias gradient", self.element * tokens * width as f64))
    }
}

/// An elementwise kernel.
pub(super) fn elementwise(name: &'static str, bytes: f64) -> Operator {
    Operator::new(name, Work::Elementwise { bytes: Bytes(bytes) })
}

/// A kernel that draws a random number for each of its elements, beside other streaming work.
fn dropout(name: &'static str, bytes: f64, elements: f64) -> Operator {
    Operator::new(name, Work::Dropout { bytes: Bytes(bytes), drawn: elements })
}

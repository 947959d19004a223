//! The sizes that all blocks compute with: one micro-batch on one rank.

use motley_units::Bytes;

use super::unfused;
use crate::model::{Extent, Norm};
use crate::{ActivationInputs, Adapters, CardPath, Operator, Shard, Training, Work};

/// A micro-batch of one stream on a rank: token counts, the rank's share of the widths, element
/// sizes.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) path: &'a CardPath,
    pub(super) training: &'a Training,
    pub(super) shard: &'a Shard,
    /// Samples.
    pub(super) batch: u64,
    /// Tokens of a sequence.
    pub(super) sequence: u64,
    /// Those of them on this rank.
    pub(super) part: u64,
    /// Tokens inside the tensor-parallel regions.
    pub(super) tokens: u64,
    /// Tokens outside of them: fewer under sequence parallelism.
    pub(super) own_tokens: f64,
    /// Width of the residual stream.
    pub(super) hidden: u64,
    /// Ranks that split the matrices.
    split: u64,
    /// Bytes of an element.
    pub(super) element: f64,
    /// Outputs of blocks pass through dropout.
    dropout: bool,
    /// Bytes moved to add a weight's gradient to the gradient buffer, where a kernel of its own
    /// does it: the gradient is read, the buffer read and written.
    pub(super) accumulation: Option<f64>,
}

impl<'a> Rows<'a> {
    /// The stream of `extent` itself; beside a target sequence lies the encoder's output, which is
    /// a stream of its own.
    pub(super) fn new(
        extent: Extent,
        dropout: bool,
        training: &'a Training,
        path: &'a CardPath,
        shard: &'a Shard,
    ) -> Self {
        let batch = u64::from(shard.micro_batch_size);
        let sequence = extent.rows(training);
        let part = sequence.div_ceil(u64::from(shard.context_parallel.max(1)));
        let tokens = batch * part;
        let element = f64::from(path.precision.element_bytes());
        Self {
            path,
            training,
            shard,
            batch,
            sequence,
            part,
            tokens,
            own_tokens: tokens as f64 / f64::from(shard.sequence_split()),
            hidden: extent.width(),
            split: u64::from(shard.tensor_parallel.max(1)),
            element,
            dropout,
            accumulation: (!training.fused_gradient_accumulation)
                .then(|| element + 2.0 * f64::from(training.gradient_bytes)),
        }
    }

    /// The encoder's output beside a target sequence.
    pub(super) fn source(&self) -> Self {
        let extent = Extent::Sequence { hidden: self.hidden as u32 };
        Self::new(extent, self.dropout, self.training, self.path, self.shard)
    }

    /// Low-rank adapters, if only they are trained.
    pub(super) fn adapters(&self) -> Option<&'a Adapters> {
        self.training.adapters.as_ref()
    }

    /// Whether the model's own parameters are trained.
    pub(super) fn trained(&self) -> bool {
        self.training.adapters.is_none()
    }

    /// The rank's share of a split dimension, rounded up.
    pub(super) fn share(&self, size: u64) -> u64 {
        size.div_ceil(self.split)
    }

    /// Whole rows of `own_tokens`.
    pub(super) fn own_rows(&self) -> u64 {
        self.tokens.div_ceil(u64::from(self.shard.sequence_split()))
    }

    /// Elements of the residual stream in a micro-batch.
    pub(super) fn whole_stream(&self) -> f64 {
        self.tokens as f64 * self.hidden as f64
    }

    /// Elements of the residual stream that this rank works on outside tensor-parallel regions.
    pub(super) fn stream(&self) -> f64 {
        self.own_tokens * self.hidden as f64
    }

    /// Bytes of an element's dropout mask; zero without dropout.
    pub(super) fn mask(&self) -> f64 {
        if self.dropout { 1.0 } else { 0.0 }
    }

    /// Whether a norm is a chain of kernels.
    fn splits(&self, norm: Norm) -> bool {
        norm == Norm::RmsNorm && !self.training.fusion.norm
    }

    /// A norm's forward pass over the stream.
    pub(super) fn norm_forward(&self, norm: Norm) -> Vec<Operator> {
        self.norm_of("norm", norm, self.stream())
    }

    /// A norm's backward pass over the stream.
    pub(super) fn norm_backward(&self, norm: Norm) -> Vec<Operator> {
        self.norm_gradient("norm backward", norm, self.stream())
    }

    /// A norm over so many elements: reads and writes them once.
    pub(super) fn norm_of(&self, name: &'static str, norm: Norm, elements: f64) -> Vec<Operator> {
        if self.splits(norm) {
            return unfused::rms_norm(self, elements);
        }
        vec![Operator::new(name, Work::Norm { bytes: Bytes(2.0 * self.element * elements) })]
    }

    /// A norm's backward pass: one kernel reads gradient and input and writes the input's
    /// gradient; another reads both again for the gradients of scale and shift, if these are
    /// trained.
    pub(super) fn norm_gradient(
        &self,
        name: &'static str,
        norm: Norm,
        elements: f64,
    ) -> Vec<Operator> {
        if self.splits(norm) {
            return unfused::rms_norm_gradient(self, elements);
        }
        let passes = if self.trained() { 5.0 } else { 3.0 };
        vec![Operator::new(name, Work::Norm { bytes: Bytes(passes * self.element * elements) })]
    }

    /// Biases, dropouts and residual in one kernel: reads the stream and the outputs of `parts`
    /// parts, writes the sum and a mask for each.
    pub(super) fn residual_forward(&self, parts: usize) -> Vec<Operator> {
        if !self.training.fusion.residual {
            return unfused::residual(self, parts, self.dropout);
        }
        let (stream, parts) = (self.stream(), parts as f64);
        let bytes = ((2.0 + parts) * self.element + parts * self.mask()) * stream;
        vec![if self.dropout {
            dropout("bias, dropout, residual", bytes, parts * stream)
        } else {
            elementwise("bias, residual", bytes)
        }]
    }

    /// Bytes of an element of an activation function's input, as it is kept, and of the copy in which it
    /// is, if that is one of its own: written beside the output, read in the backward pass.
    pub(super) fn activation_input(&self) -> (f64, f64) {
        let holds = self.training.holds.activation_inputs;
        match holds {
            ActivationInputs::Fp8 if self.training.fusion.activation => {
                let copy = 1.0 + 4.0 / 128.0;
                (copy, copy)
            }
            ActivationInputs::Fp8 | ActivationInputs::Stored => (self.element, 0.0),
        }
    }

    /// A fused activation function of so many rows: reads `inputs` of each, writes `outputs`.
    pub(super) fn activation(&self, rows: f64, inputs: f64, outputs: f64) -> Operator {
        let (_, copy) = self.activation_input();
        elementwise("activation", rows * (self.element * (inputs + outputs) + copy * inputs))
    }

    /// Its backward pass: reads the outputs' gradient and what was kept, writes the inputs' gradient.
    pub(super) fn activation_gradient(&self, rows: f64, inputs: f64, outputs: f64) -> Operator {
        let (kept, _) = self.activation_input();
        let moved = self.element * (outputs + inputs) + kept * inputs;
        elementwise("activation backward", rows * moved)
    }

    /// The sum of the gradients of `parts` parts and of the residual path around them.
    pub(super) fn residual_backward(&self, parts: f64) -> Operator {
        elementwise("residual backward", (2.0 + parts) * self.element * self.stream())
    }

    /// Dropout alone: reads the input, writes the output and the mask.
    pub(super) fn dropout_of(&self, name: &'static str, elements: f64) -> Operator {
        dropout(name, (2.0 * self.element + 1.0) * elements, elements)
    }

    /// The gradient through dropout: reads gradient and mask, writes the gradient.
    pub(super) fn dropout_gradient(&self, name: &'static str, elements: f64) -> Operator {
        elementwise(name, (2.0 * self.element + 1.0) * elements)
    }

    /// The gradient through the dropout of the block's output. Nothing runs without dropout.
    pub(super) fn dropout_backward(&self) -> Option<Operator> {
        self.dropout.then(|| self.dropout_gradient("dropout backward", self.stream()))
    }

    /// The gradient of a bias over `width` columns: reads the output's gradient.
    pub(super) fn bias_gradient(&self, tokens: f64, width: u64) -> Operator {
        elementwise("bias gradient", self.element * tokens * width as f64)
    }
}

/// An elementwise kernel.
pub(super) fn elementwise(name: &'static str, bytes: f64) -> Operator {
    Operator::new(name, Work::Elementwise { bytes: Bytes(bytes) })
}

/// A kernel that gathers or scatters rows.
pub(super) fn rows_moved(name: &'static str, bytes: f64) -> Operator {
    Operator::new(name, Work::Embedding { bytes: Bytes(bytes) })
}

/// A kernel that draws a random number for each of its elements, beside other streaming work.
fn dropout(name: &'static str, bytes: f64, elements: f64) -> Operator {
    Operator::new(name, Work::Dropout { bytes: Bytes(bytes), drawn: elements })
}

//! Operators: what one kernel computes and moves.

use motley_units::{Bytes, Flops};
use serde::{Deserialize, Serialize};

use crate::CardPath;

/// The direction of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Pass {
    /// From input to loss.
    Forward,
    /// From loss to input.
    Backward,
}

/// One kernel, or a few that are always launched together.
#[derive(Clone, Debug, PartialEq)]
pub struct Operator {
    /// What it is called in traces.
    pub name: &'static str,
    /// What it computes and moves.
    pub work: Work,
    /// How the operands of its products are written.
    pub operands: Operands,
    /// Whether it may wait.
    pub deferral: Deferral,
}

/// How the operands of a matrix product are written. Results are as they are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operands {
    /// As activations and parameters are stored.
    #[default]
    Stored,
    /// In the copies that [`crate::CardPath::quantisation`] has made.
    Quantised,
}

impl Operator {
    pub(crate) fn new(name: &'static str, work: Work) -> Self {
        Self { name, work, operands: Operands::Stored, deferral: Deferral::None }
    }
}

impl Operator {
    /// Bytes read and written at least once on a card that runs `path`.
    pub fn bytes(&self, path: &CardPath) -> Bytes {
        let stored = f64::from(path.precision.element_bytes());
        let operand = match (self.operands, path.quantisation) {
            (Operands::Quantised, Some(quantisation)) => quantisation.operand_bytes(),
            _ => stored,
        };
        self.work.bytes_of(operand, stored)
    }
}

/// Whether a kernel of a backward pass may run later than in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deferral {
    /// No: kernels behind it need its result.
    None,
    /// The weight gradient of a linear layer, with what adds it to the gradient buffer. It may wait
    /// for a pass of weight gradients alone.
    WeightPass,
    /// The weight gradient of what reads a block's input. It may wait as the others, or run while
    /// the block's input gradient is exchanged: these are last in their block's list.
    Exchange,
}

/// What an operator computes and moves on one rank.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Work {
    /// `batch` products of an `m x k` with a `k x n` matrix.
    Gemm {
        /// Rows of the result.
        m: u64,
        /// Columns of the result.
        n: u64,
        /// Depth of the sum.
        k: u64,
        /// Products.
        batch: u64,
    },
    /// Products of several experts.
    GroupedGemm(GroupedGemm),
    /// A convolution or one of its gradients.
    Convolution(ConvolutionWork),
    /// Attention with its scores kept on the chip.
    FlashAttention(FlashAttention),
    /// Softmax with scale and mask.
    Softmax {
        /// Read and written.
        bytes: Bytes,
    },
    /// Activation functions, residual additions, copies, casts, dropout's backward pass.
    Elementwise {
        /// Read and written.
        bytes: Bytes,
    },
    /// Dropout, alone or fused with its neighbours: streams bytes and draws random numbers.
    Dropout {
        /// Read and written.
        bytes: Bytes,
        /// Random numbers.
        drawn: f64,
    },
    /// LayerNorm or RMSNorm.
    Norm {
        /// Read and written.
        bytes: Bytes,
    },
    /// Gathering or scattering rows: of an embedding, or of tokens on their way to experts.
    Embedding {
        /// Read and written.
        bytes: Bytes,
    },
    /// The optimizer's passes over its states.
    Optimizer {
        /// Read and written.
        bytes: Bytes,
    },
}

/// Products of an `m x k` with a `k x n` matrix for each of several experts, in one kernel where
/// there is such. The dimension that counts tokens is their mean, so it may be broken.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupedGemm {
    /// Rows of each result.
    pub m: f64,
    /// Columns of each result.
    pub n: f64,
    /// Depth of each sum.
    pub k: f64,
    /// Experts.
    pub groups: u64,
    /// Bytes of a sum that each result is added to, read and written; none where results are
    /// written once.
    pub sum_bytes: Option<u32>,
}

impl GroupedGemm {
    pub(crate) fn flops(&self) -> f64 {
        2.0 * self.m * self.n * self.k * self.groups as f64
    }

    /// Bytes of operands and results, by those of an element of either.
    pub(crate) fn bytes(&self, operand: f64, result: f64) -> f64 {
        let Self { m, n, k, groups, sum_bytes } = *self;
        let result = sum_bytes.map_or(result, |bytes| 2.0 * f64::from(bytes));
        ((m * k + k * n) * operand + m * n * result) * groups as f64
    }
}

/// A convolution of a micro-batch, or one of its gradients. Maps are (number, rows, columns).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvolutionWork {
    /// Samples.
    pub batch: u64,
    /// Maps that are read.
    pub input: (u32, u32, u32),
    /// Maps that are put out.
    pub output: (u32, u32, u32),
    /// Rows and columns of the window.
    pub kernel: (u32, u32),
    /// Steps of the window.
    pub stride: u32,
    /// Parts that maps are cut into, each with its own weights.
    pub groups: u32,
    /// What is computed.
    pub pass: ConvolutionPass,
}

/// Which of its three products a convolution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConvolutionPass {
    /// The output.
    Forward,
    /// The gradient of the input.
    InputGradient,
    /// The gradient of the weights.
    WeightGradient,
}

impl ConvolutionWork {
    /// Elements of input, output, and of one group's weights: inputs of a window, outputs.
    pub(crate) fn sizes(&self) -> (f64, f64, f64, f64) {
        let maps = |(channels, rows, columns): (u32, u32, u32)| {
            self.batch as f64 * f64::from(channels) * f64::from(rows) * f64::from(columns)
        };
        let groups = f64::from(self.groups.max(1));
        let window = f64::from(self.kernel.0) * f64::from(self.kernel.1);
        let inputs = f64::from(self.input.0) / groups * window;
        (maps(self.input), maps(self.output), inputs, f64::from(self.output.0) / groups)
    }

    /// The same for each of the three products: every output meets a window of inputs.
    pub(crate) fn flops(&self) -> f64 {
        let (_, output, window, _) = self.sizes();
        2.0 * output * window
    }

    /// Bytes of input, output and weights, `element` being those of an element.
    pub(crate) fn bytes(&self, element: f64) -> f64 {
        let (input, output, window, outputs) = self.sizes();
        element * (input + output + window * outputs * f64::from(self.groups.max(1)))
    }
}

/// Attention with its scores kept on the chip.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlashAttention {
    /// Sequences.
    pub batch: u64,
    /// Query heads on this rank.
    pub heads: u64,
    /// Key and value heads on this rank.
    pub kv_heads: u64,
    /// Tokens of a sequence that ask.
    pub queries: u64,
    /// Tokens of a sequence that are asked.
    pub keys: u64,
    /// Width of a query or key of a head.
    pub key_dim: u64,
    /// Width of a value of a head.
    pub value_dim: u64,
    /// The share of the `queries x keys` scores that mask and window let through; the others are
    /// left out.
    pub visible: f64,
    /// The backward pass does the products of the forward pass 2.5 times, for equal widths.
    pub pass: Pass,
}

impl FlashAttention {
    pub(crate) fn flops(&self) -> f64 {
        // Forward: scores and values. Backward: scores again, and four gradients.
        let widths = match self.pass {
            Pass::Forward => self.key_dim + self.value_dim,
            Pass::Backward => 3 * self.key_dim + 2 * self.value_dim,
        };
        let square = self.queries as f64 * self.keys as f64;
        2.0 * self.batch as f64 * self.heads as f64 * widths as f64 * square * self.visible
    }

    /// Bytes of inputs and outputs, `element` being those of a matrix element.
    pub(crate) fn bytes(&self, element: f64) -> f64 {
        let row = self.batch as f64 * (self.key_dim + self.value_dim) as f64 * element;
        let queries = self.heads as f64 * self.queries as f64 * row;
        let keys = self.kv_heads as f64 * self.keys as f64 * row;
        match self.pass {
            // Query, output; key, value.
            Pass::Forward => queries + keys,
            // Query, output, their gradients; key, value, their gradients.
            Pass::Backward => 2.0 * queries + 2.0 * keys,
        }
    }
}

impl Work {
    /// Floating-point operations of the matrix products, as the kernels do them: FlashAttention
    /// skips what mask and window hide. Elementwise arithmetic is not counted, as is the custom.
    pub fn flops(&self) -> Flops {
        Flops(match *self {
            Self::Gemm { m, n, k, batch } => 2.0 * m as f64 * n as f64 * k as f64 * batch as f64,
            Self::GroupedGemm(product) => product.flops(),
            Self::Convolution(convolution) => convolution.flops(),
            Self::FlashAttention(attention) => attention.flops(),
            Self::Softmax { .. }
            | Self::Elementwise { .. }
            | Self::Dropout { .. }
            | Self::Norm { .. }
            | Self::Embedding { .. }
            | Self::Optimizer { .. } => 0.0,
        })
    }

    /// Bytes read and written at least once. `element_bytes` is the size of a matrix element; the
    /// memory-bound kinds carry their bytes themselves.
    pub fn bytes(&self, element_bytes: u32) -> Bytes {
        self.bytes_of(element_bytes.into(), element_bytes.into())
    }

    /// The same, by the bytes of an element of a product's operands, and of all else.
    fn bytes_of(&self, operand: f64, stored: f64) -> Bytes {
        match *self {
            Self::Gemm { m, n, k, batch } => {
                let (m, n, k) = (m as f64, n as f64, k as f64);
                Bytes(((m * k + k * n) * operand + m * n * stored) * batch as f64)
            }
            Self::GroupedGemm(product) => Bytes(product.bytes(operand, stored)),
            Self::Convolution(convolution) => Bytes(convolution.bytes(stored)),
            Self::FlashAttention(attention) => Bytes(attention.bytes(stored)),
            Self::Softmax { bytes }
            | Self::Elementwise { bytes }
            | Self::Dropout { bytes, .. }
            | Self::Norm { bytes }
            | Self::Embedding { bytes }
            | Self::Optimizer { bytes } => bytes,
        }
    }
}

//! Operators: what one kernel computes and moves.

use motley_units::{Bytes, Flops};

/// The direction of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    /// Whether it may wait.
    pub deferral: Deferral,
}

impl Operator {
    pub(crate) fn new(name: &'static str, work: Work) -> Self {
        Self { name, work, deferral: Deferral::None }
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
    /// The weight gradient of a block's first (column-parallel) linear layer. It may wait as the
    /// others, or run while the block's input gradient is exchanged: it is last in its block's list.
    Exchange,
}

/// What an operator computes and moves on one rank.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// Attention with its scores kept on the chip.
    FlashAttention {
        /// Sequences.
        batch: u64,
        /// Query heads on this rank.
        heads: u64,
        /// Key and value heads on this rank.
        kv_heads: u64,
        /// Tokens of a sequence.
        sequence: u64,
        /// Width of a head.
        head_dim: u64,
        /// Only positions up to the own one count: half of the products are left out.
        causal: bool,
        /// The backward pass does 2.5 times the products of the forward pass.
        pass: Pass,
    },
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
    /// Gathering or scattering embedding rows.
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

impl Work {
    /// Floating-point operations of the matrix products, as the kernels do them: causal
    /// FlashAttention skips half of the square. Elementwise arithmetic is not counted, as is the
    /// custom.
    pub fn flops(&self) -> Flops {
        Flops(match *self {
            Self::Gemm { m, n, k, batch } => 2.0 * m as f64 * n as f64 * k as f64 * batch as f64,
            Self::FlashAttention { batch, heads, sequence, head_dim, causal, pass, .. } => {
                let square =
                    4.0 * batch as f64 * heads as f64 * head_dim as f64 * (sequence as f64).powi(2);
                // Forward: scores and values. Backward: scores again, and four gradients.
                let products = match pass {
                    Pass::Forward => 1.0,
                    Pass::Backward => 2.5,
                };
                square * products * if causal { 0.5 } else { 1.0 }
            }
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
        let element = f64::from(element_bytes);
        match *self {
            Self::Gemm { m, n, k, batch } => {
                let (m, n, k) = (m as f64, n as f64, k as f64);
                Bytes((m * k + k * n + m * n) * batch as f64 * element)
            }
            Self::FlashAttention { batch, heads, kv_heads, sequence, head_dim, pass, .. } => {
                let row = batch as f64 * sequence as f64 * head_dim as f64 * element;
                let (queries, keys) = (heads as f64 * row, kv_heads as f64 * row);
                Bytes(match pass {
                    // Query, output; key, value.
                    Pass::Forward => 2.0 * queries + 2.0 * keys,
                    // Query, output, their gradients; key, value, their gradients.
                    Pass::Backward => 4.0 * queries + 4.0 * keys,
                })
            }
            Self::Softmax { bytes }
            | Self::Elementwise { bytes }
            | Self::Dropout { bytes, .. }
            | Self::Norm { bytes }
            | Self::Embedding { bytes }
            | Self::Optimizer { bytes } => bytes,
        }
    }
}

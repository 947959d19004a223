//! How a model is trained: the choices that change kernels and memory.

use serde::{Deserialize, Serialize};

/// The arithmetic of the matrix products. The 16-bit ones are mixed-precision training: 16-bit
/// parameters and activations, fp32 master parameters and optimizer moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Precision {
    /// fp32 everywhere, no tensor cores.
    Fp32,
    /// fp32 storage, products on tensor cores with a 10-bit mantissa; Ampere and later.
    Tf32,
    /// IEEE half with loss scaling.
    Fp16,
    /// bfloat16; Ampere and later.
    Bf16,
}

impl Precision {
    /// Bytes of an activation or a parameter as the kernels read it.
    pub fn element_bytes(self) -> u32 {
        match self {
            Self::Fp32 | Self::Tf32 => 4,
            Self::Fp16 | Self::Bf16 => 2,
        }
    }

    /// Whether master parameters are kept in fp32 beside the 16-bit ones.
    pub fn mixed(self) -> bool {
        self.element_bytes() == 2
    }
}

/// How attention scores are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AttentionKernel {
    /// Batched products, a fused scale-mask-softmax, dropout: the scores go through memory.
    Unfused,
    /// FlashAttention 2 and later: the scores stay on the chip.
    Flash,
}

/// The optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Optimizer {
    /// Adam: two moments.
    Adam {
        /// One kernel over all parameters; else a chain of elementwise kernels.
        fused: bool,
    },
    /// SGD with momentum: one moment.
    Sgd,
}

impl Optimizer {
    /// fp32 moments kept for each parameter.
    pub fn moments(self) -> u32 {
        match self {
            Self::Adam { .. } => 2,
            Self::Sgd => 1,
        }
    }
}

/// What is computed again in the backward pass instead of kept from the forward pass
/// (Korthikanti et al. 2022, arXiv 2205.05198).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Recompute {
    /// Nothing.
    None,
    /// The attention core: scores, softmax, dropout, values.
    Selective,
    /// Every layer, from its input.
    Full,
}

/// How a model is trained, the same for all cards; what each card makes of it is
/// [`crate::card_path`]'s answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Tokens of a sequence.
    pub sequence_length: u32,
    /// The arithmetic asked for.
    pub precision: Precision,
    /// The arithmetic of cards that lack `precision`; without it such a card is refused.
    pub fallback: Option<Precision>,
    /// The attention kernel asked for.
    pub attention: AttentionKernel,
    /// Cards without FlashAttention run unfused attention; else such a card is refused.
    pub attention_fallback: bool,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// Bytes of a gradient in the buffer and in the all-reduce, 2 or 4.
    pub gradient_bytes: u32,
    /// The weight-gradient product adds to the gradient buffer itself; else a kernel of its own
    /// does after each micro-batch. Megatron-LM fuses since 2022.
    pub fused_gradient_accumulation: bool,
}

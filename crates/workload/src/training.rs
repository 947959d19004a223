//! How a model is trained: the choices that change kernels and memory.

use serde::{Deserialize, Serialize};

use crate::{Adapters, Holds};

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
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// Tokens of a sequence; none where samples are images.
    pub sequence_length: Option<u32>,
    /// Tokens of a target sequence, of models that have an encoder and a decoder; as many as of a
    /// sequence unless given.
    pub target_length: Option<u32>,
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
    /// How tokens fall on experts.
    pub expert_load: ExpertLoad,
    /// What the software holds beside what the mathematics asks for.
    pub holds: Holds,
    /// Low-rank adapters that are trained in place of the model; all of it is trained, unless
    /// given.
    pub adapters: Option<Adapters>,
}

impl Training {
    /// Tokens of a sequence. A sample that is no sequence counts as one.
    pub fn tokens(&self) -> u32 {
        self.sequence_length.unwrap_or(1)
    }

    /// Tokens of a target sequence.
    pub fn target_tokens(&self) -> u32 {
        self.target_length.unwrap_or_else(|| self.tokens())
    }
}

/// How tokens fall on the experts of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpertLoad {
    /// Tokens of the busiest expert-parallel rank over the mean of all ranks, at least 1. The others
    /// wait for it, so all are taken to be as busy. Without expert parallelism every rank gets all
    /// tokens, whatever their experts; with `n` ranks the busiest gets at most `n` times the mean.
    pub imbalance: f64,
    /// What an expert takes on.
    pub capacity: Capacity,
}

impl Default for ExpertLoad {
    fn default() -> Self {
        Self { imbalance: 1.0, capacity: Capacity::Dropless }
    }
}

/// What an expert takes on of the tokens that are routed to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Capacity {
    /// All of them.
    Dropless,
    /// So many times the mean: tokens beyond are dropped, missing ones are made up for by padding
    /// (Fedus et al. 2021, arXiv 2101.03961, section 2.2).
    Padded(f64),
}

//! How a model is trained: the choices that change kernels and memory.

use serde::{Deserialize, Serialize};

use crate::{Adapters, CardPath, Fusion, Holds, HostLaunch};

/// The arithmetic of the matrix products. The 16-bit ones are mixed-precision training: 16-bit
/// parameters and activations, fp32 master parameters. The 8- and 4-bit ones are bf16 training whose
/// linear layers in transformer layers multiply quantised operands ([`crate::Quantisation`]); the core
/// of attention, routers, embedding and head stay in bf16, as Transformer Engine has it.
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
    /// fp8; Hopper and later.
    Fp8(Fp8Recipe),
    /// fp8 with a scale for each 32 elements, which the tensor cores apply; Blackwell.
    Mxfp8,
    /// fp4 with a scale for each 16 elements, which the tensor cores apply; Blackwell.
    Nvfp4,
}

/// Where the scales of fp8 operands come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Fp8Recipe {
    /// One for each tensor, from its largest magnitudes in earlier iterations.
    Delayed,
    /// One for each tensor, from its largest magnitude now.
    Current,
    /// One for each 1 x 128 elements of an activation or gradient and each 128 x 128 of a weight
    /// (DeepSeek-V3).
    Block,
}

impl Precision {
    /// Bytes of an activation or a parameter as it is stored. Quantised operands are copies.
    pub fn element_bytes(self) -> u32 {
        match self {
            Self::Fp32 | Self::Tf32 => 4,
            Self::Fp16 | Self::Bf16 | Self::Fp8(_) | Self::Mxfp8 | Self::Nvfp4 => 2,
        }
    }

    /// Whether parameters are stored in 16 bits, so that the optimizer wants wider ones beside them.
    pub fn mixed(self) -> bool {
        self.element_bytes() == 2
    }
}

/// How attention scores are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AttentionKernel {
    /// Batched products, a fused scale-mask-softmax, dropout: the scores go through memory.
    Unfused,
    /// FlashAttention: the scores stay on the chip.
    Flash,
}

/// The optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Optimizer {
    /// Adam: two moments.
    Adam {
        /// One kernel over all parameters; else a chain of elementwise kernels.
        fused: bool,
        /// How both moments are stored.
        moments: Moments,
    },
    /// SGD with momentum: one moment.
    Sgd,
}

impl Optimizer {
    /// Bytes of the moments of a parameter.
    pub fn moment_bytes(self) -> f64 {
        match self {
            Self::Adam { moments: Moments::Fp32, .. } => 8.0,
            Self::Adam { moments: Moments::Bf16, .. } | Self::Sgd => 4.0,
        }
    }
}

/// How Adam's moments are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Moments {
    /// In fp32.
    #[default]
    Fp32,
    /// In bf16 (DeepSeek-V3, arXiv 2412.19437, section 3.3.3).
    Bf16,
}

/// What the optimizer adds its steps to, where parameters are stored in 16 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MasterWeights {
    /// fp32 parameters beside the 16-bit ones.
    #[default]
    Fp32,
    /// The 16-bit parameters themselves.
    None,
}

/// How tokens travel to the experts of other ranks. Results come back as they are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ExpertDispatch {
    /// As they are stored.
    #[default]
    Stored,
    /// In fp8 with an fp32 scale for each 128 elements (DeepSeek-V3, arXiv 2412.19437, section
    /// 3.3.3).
    Fp8,
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
    /// The newest version of FlashAttention that the software has; each card runs the newest of its
    /// architecture unless given.
    pub flash_version: Option<u8>,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// Bytes of a gradient in the buffer, 2 or 4.
    pub gradient_bytes: u32,
    /// Bytes of a gradient on its way between replicas, 2 or 4, if not those of the buffer.
    pub reduce_bytes: Option<u32>,
    /// What the optimizer adds its steps to.
    pub master_weights: MasterWeights,
    /// The weight-gradient product adds to the gradient buffer itself; else a kernel of its own
    /// does after each micro-batch. Megatron-LM fuses since 2022.
    pub fused_gradient_accumulation: bool,
    /// Which other chains of operations run as one kernel.
    pub fusion: Fusion,
    /// How the host launches kernels.
    pub host_launch: HostLaunch,
    /// How tokens fall on experts.
    pub expert_load: ExpertLoad,
    /// How tokens travel to the experts of other ranks.
    pub expert_dispatch: ExpertDispatch,
    /// Streaming multiprocessors of each card that only communication uses: kernels run on the others,
    /// and what moves beside them takes none from them.
    pub communication_multiprocessors: u32,
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

    /// Bytes of an element on its way to the experts of other ranks: of tokens in the forward pass,
    /// of the gradients of experts' results in the backward pass. What comes back, results and the
    /// tokens' gradients, has the bytes that it is stored in.
    pub fn dispatch_bytes(&self, path: &CardPath) -> f64 {
        match self.expert_dispatch {
            ExpertDispatch::Stored => f64::from(path.precision.element_bytes()),
            ExpertDispatch::Fp8 => 1.0 + 4.0 / 128.0,
        }
    }

    /// Bytes of the fp32 parameters that the optimizer keeps beside those of `path`.
    pub(crate) fn master_bytes(&self, path: &CardPath) -> f64 {
        let kept = path.precision.mixed() && self.master_weights == MasterWeights::Fp32;
        if kept { 4.0 } else { 0.0 }
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

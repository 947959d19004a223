//! How the model is trained.

use motley_workload::{
    Adapters, AttentionKernel, ExpertDispatch, ExpertLoad, Fusion, Holds, HostLaunch,
    MasterWeights, Moments, Optimizer, Precision,
};
use serde::{Deserialize, Serialize};

use super::is_default;

/// How the model is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Training")]
pub struct RawTraining {
    /// Samples of an iteration: sequences, or images.
    pub global_batch: u32,
    /// Tokens of a sequence; models of images have none, all others need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence_length: Option<u32>,
    /// Tokens of a target sequence, of models with encoder and decoder; `sequence_length` unless
    /// given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_length: Option<u32>,
    /// The arithmetic asked for.
    pub precision: Precision,
    /// The arithmetic of cards that lack `precision`; such cards are refused unless it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Precision>,
    /// The attention kernel; `FlashWhereSupported` unless given.
    #[serde(default)]
    pub attention: RawAttention,
    /// The newest version of FlashAttention that the software has; each card runs the newest of its
    /// architecture unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flash_version: Option<u8>,
    /// The optimizer; fused Adam unless given.
    #[serde(default)]
    pub optimizer: RawOptimizer,
    /// Bytes of a gradient in the buffer: 4, Megatron-LM's choice for bf16, unless given; 2 is its
    /// choice for fp16.
    #[serde(default = "fp32_gradients")]
    pub gradient_bytes: u32,
    /// Bytes of a gradient on its way between replicas; those of the buffer unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduce_bytes: Option<u32>,
    /// What the optimizer adds its steps to where parameters are stored in 16 bits: fp32 parameters
    /// beside them, unless given.
    #[serde(default, skip_serializing_if = "is_default")]
    pub master_weights: MasterWeights,
    /// The weight-gradient product adds to the gradient buffer itself; the default, and
    /// Megatron-LM's since 2022.
    #[serde(default = "fused")]
    pub fused_gradient_accumulation: bool,
    /// Which other chains of operations run as one kernel: all, unless given.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fusion: Fusion,
    /// How the host launches kernels: eagerly, unless given.
    #[serde(default, skip_serializing_if = "is_default")]
    pub host_launch: HostLaunch,
    /// How tokens fall on experts: evenly, and none is dropped, unless given.
    #[serde(default, skip_serializing_if = "is_default")]
    pub expert_load: ExpertLoad,
    /// How tokens travel to the experts of other ranks: as they are stored, unless given.
    #[serde(default, skip_serializing_if = "is_default")]
    pub expert_dispatch: ExpertDispatch,
    /// Streaming multiprocessors of each card that only communication uses; none unless given.
    #[serde(default, skip_serializing_if = "is_default")]
    pub communication_multiprocessors: u32,
    /// What the software holds beside what the mathematics asks for; what Megatron-LM does, unless
    /// given.
    #[serde(default, skip_serializing_if = "is_default")]
    pub holds: Holds,
    /// Low-rank adapters that are trained in place of the model; all of it is trained, unless
    /// given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapters: Option<Adapters>,
}

fn fp32_gradients() -> u32 {
    4
}

/// The attention kernel, and what cards do that have no FlashAttention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Attention")]
pub enum RawAttention {
    /// Unfused on every card.
    Unfused,
    /// FlashAttention on every card; cards without it are refused.
    Flash,
    /// FlashAttention where a card has it, else unfused.
    #[default]
    FlashWhereSupported,
}

impl RawAttention {
    /// The kernel asked for, and whether cards without it run unfused.
    pub fn kernel(self) -> (AttentionKernel, bool) {
        match self {
            Self::Unfused => (AttentionKernel::Unfused, false),
            Self::Flash => (AttentionKernel::Flash, false),
            Self::FlashWhereSupported => (AttentionKernel::Flash, true),
        }
    }
}

/// The optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Optimizer")]
pub enum RawOptimizer {
    /// Adam.
    Adam {
        /// One kernel over all parameters.
        #[serde(default = "fused")]
        fused: bool,
        /// How both moments are stored; in fp32 unless given.
        #[serde(default, skip_serializing_if = "is_default")]
        moments: Moments,
    },
    /// SGD with momentum.
    Sgd,
}

fn fused() -> bool {
    true
}

impl Default for RawOptimizer {
    fn default() -> Self {
        Self::Adam { fused: fused(), moments: Moments::default() }
    }
}

impl From<RawOptimizer> for Optimizer {
    fn from(raw: RawOptimizer) -> Self {
        match raw {
            RawOptimizer::Adam { fused, moments } => Self::Adam { fused, moments },
            RawOptimizer::Sgd => Self::Sgd,
        }
    }
}

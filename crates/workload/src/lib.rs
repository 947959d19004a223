//! What a training step computes: models, their operators, how long each takes on a card, and the
//! memory that they need.
//!
//! | question | answer |
//! |---|---|
//! | what may a file say of a model | [`Description`], [`Preset`] |
//! | what is the model | [`Model`], its [`Part`]s, the kinds of its layers |
//! | how is it trained | [`Training`], [`Adapters`], [`Shard`] |
//! | what can a card do | [`card_path`] |
//! | which kernels run | [`blocks`], [`optimizer_step`] |
//! | how long do they take | [`KernelModel`], a user's [`Profile`] |
//! | how much work is it | [`flops`], [`model_flops`], [`recomputed_flops`] |
//! | does it fit | [`memory`], [`activations`], [`shard_limits`] |
//!
//! A model is an embedding, a stack of layers that may be unlike, and a head. Each of these parts is
//! a few blocks, because tensor parallelism communicates between them. This crate knows one card
//! and one rank: it does not know links, collectives, schedules or other cards.

mod activation;
mod adapters;
mod block;
mod card_path;
mod description;
mod flops;
mod fusion;
mod gemm;
mod holds;
mod host;
mod kernel;
mod memory;
mod model;
mod operator;
mod optimizer;
mod preset;
mod profile;
mod quantisation;
mod recompute;
mod shard;
mod training;

pub use activation::{Activations, activations};
pub use adapters::Adapters;
pub use block::{Block, Exchange, ExchangeKind, InnerExchange, ProcessGroup, Repeat, blocks};
pub use card_path::{CardPath, Obstacle, Unsupported, card_path, card_peak};
pub use description::{
    DenseShape, Description, FieldPath, FieldStep, LearnedOrRotary, ModelError, RON_EXTENSIONS,
    Run, Stack,
};
pub use flops::{flops, model_flops, recomputed_flops};
pub use fusion::Fusion;
pub use holds::{ActivationInputs, AutogradGradients, CrossEntropy, Holds, StageOutputs};
pub use host::HostLaunch;
pub use kernel::KernelModel;
pub use memory::{MemoryUse, StageLoad, memory, step_memory};
pub use model::{
    Attention, AttentionMask, Branches, Classifier, Convolution, Embedding, Experts, Extent,
    FeedForward, FullyConnected, Head, Images, Join, KindId, LanguageHead, Layer, LayerKind, Mlp,
    Model, Norm, NormPlacement, Operation, Padding, ParameterCount, Part, Pool, Positions,
    Projection, Projections, QkNorm, Residual, Router, SharedExpert, Spread, TokenEmbedding,
    Transformer,
};
pub use operator::{
    ConvolutionPass, ConvolutionWork, Deferral, FlashAttention, GroupedGemm, Operands, Operator,
    Pass, Work,
};
pub use optimizer::{host_optimizer_step, optimizer_step};
pub use preset::{ActiveCount, Preset, PublishedCount};
pub use profile::{
    CollectiveCurve, Profile, ProfiledCollective, ProfiledCollectiveKind, ProfiledKernel,
    ProfiledLayer, ProfiledNodes, ProfiledPart, Reach, TensorExchange,
};
pub use quantisation::Quantisation;
pub use recompute::{Recompute, RecomputeModule, RecomputeModules};
pub use shard::{ContextExchange, Shard, ShardError, sequence_limits, shard_limits};
pub use training::{
    AttentionKernel, Capacity, ExpertDispatch, ExpertLoad, Fp8Recipe, MasterWeights, Moments,
    Optimizer, Precision, Training,
};

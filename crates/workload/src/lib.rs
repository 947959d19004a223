//! What a training step computes: model shapes, their operators, how long each takes on a card, and
//! the memory that they need.
//!
//! | question | answer |
//! |---|---|
//! | what is the model | [`Model`], [`Model::preset`] |
//! | how is it trained | [`Training`], [`Shard`] |
//! | what can a card do | [`card_path`] |
//! | which kernels run | [`operators`], [`attention_core_forward`], [`optimizer_step`] |
//! | how long do they take | [`KernelModel`] |
//! | how much work is it | [`model_flops`], [`layer_forward_flops`], [`head_forward_flops`] |
//! | does it fit | [`memory`], [`ActivationSizes`], [`tensor_parallel_limits`] |
//!
//! A layer is split into two blocks, attention and MLP, because tensor parallelism communicates
//! between them; embedding and head are blocks of their own. This crate knows one card and one
//! tensor-parallel rank: it does not know links, collectives, schedules or other cards.

mod activation;
mod block;
mod card_path;
mod flops;
mod gemm;
mod kernel;
mod memory;
mod model;
mod operator;
mod optimizer;
mod preset;
mod shard;
mod training;
mod validate;

pub use activation::{ActivationSizes, layer_activation_bytes};
pub use block::{Block, attention_core_forward, operators};
pub use card_path::{CardPath, Obstacle, Unsupported, card_path};
pub use flops::{head_forward_flops, layer_forward_flops, model_flops};
pub use kernel::KernelModel;
pub use memory::{MemoryUse, StageLoad, memory};
pub use model::{AttentionMask, Model, Norm, Positions};
pub use operator::{Deferral, Operator, Pass, Work};
pub use optimizer::optimizer_step;
pub use preset::Preset;
pub use shard::{Shard, TensorParallelError, sequence_parallel_limit, tensor_parallel_limits};
pub use training::{AttentionKernel, Optimizer, Precision, Recompute, Training};
pub use validate::ModelError;

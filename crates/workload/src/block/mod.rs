//! Blocks of a model as lists of operators on one tensor-parallel rank.
//!
//! The kernels are Megatron-LM's with its elementwise fusions (bias with GELU, bias with dropout and
//! residual; scale with mask and softmax), which other stacks reach by similar fusions.
//! Communication is not in these lists: the scheduler puts it between blocks.

mod attention;
mod embedding;
mod head;
mod linear;
mod mlp;
mod rows;

use crate::{CardPath, Model, Operator, Pass, Shard, Training};
use rows::Rows;

/// A part of the model between two points of tensor-parallel communication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Block {
    /// Word, position and token-type embedding, dropout.
    Embedding,
    /// Norm, query-key-value product, attention core, projection, residual.
    Attention,
    /// Norm, up product, activation, down product, residual.
    Mlp,
    /// BERT's dense layer, final norm, logits, vocabulary-parallel cross entropy.
    Head,
}

/// The kernels of `block` for one micro-batch on one rank, in launch order.
///
/// Without sequence parallelism every rank computes norms, dropout and residuals of all tokens;
/// with it, of its share.
pub fn operators(
    model: &Model,
    training: &Training,
    path: &CardPath,
    block: Block,
    pass: Pass,
    shard: &Shard,
) -> Vec<Operator> {
    let rows = Rows::new(model, training, path, shard);
    match (block, pass) {
        (Block::Embedding, Pass::Forward) => embedding::forward(&rows),
        (Block::Embedding, Pass::Backward) => embedding::backward(&rows),
        (Block::Attention, Pass::Forward) => attention::forward(&rows),
        (Block::Attention, Pass::Backward) => attention::backward(&rows),
        (Block::Mlp, Pass::Forward) => mlp::forward(&rows),
        (Block::Mlp, Pass::Backward) => mlp::backward(&rows),
        (Block::Head, Pass::Forward) => head::forward(&rows),
        (Block::Head, Pass::Backward) => head::backward(&rows),
    }
}

/// The part of the attention block's forward pass that selective recomputation repeats in the
/// backward pass: scores, softmax, dropout, values. Empty for FlashAttention, whose backward kernel
/// does it anyway.
pub fn attention_core_forward(
    model: &Model,
    training: &Training,
    path: &CardPath,
    shard: &Shard,
) -> Vec<Operator> {
    let rows = Rows::new(model, training, path, shard);
    attention::unfused_core_forward(&rows).unwrap_or_default()
}

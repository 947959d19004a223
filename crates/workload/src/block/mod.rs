//! Parts of a model as blocks of operators on one tensor-parallel rank.
//!
//! A block lies between two points of tensor-parallel communication. A transformer layer has two,
//! attention and feed-forward, or one if they run in parallel; a decoder's layer has a third for
//! the encoder's output; embedding and head are one block each. Communication is not in the lists:
//! the scheduler puts it between blocks, and where a block says that ranks exchange something in the
//! middle of it.
//!
//! The kernels are Megatron-LM's with its elementwise fusions (bias with GELU, bias with dropout and
//! residual; scale with mask and softmax), but for what [`crate::Fusion`] leaves apart.

mod attention;
mod context;
mod convolution;
mod core;
mod embedding;
mod experts;
mod head;
mod inputs;
mod inside;
mod latent;
mod linear;
mod mlp;
mod piece;
mod prediction;
mod repeat;
mod rows;
mod transformer;
mod unfused;

use crate::activation::Kept;
use crate::model::Extent;
use crate::{CardPath, Embedding, Head, Layer, Model, Operator, Part, Pass, Shard, Training};
pub use inside::{ExchangeKind, InnerExchange, ProcessGroup};
pub(crate) use repeat::Condition;
pub use repeat::Repeat;
use rows::Rows;

/// A block of a part, for one micro-batch on one rank.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The kernels of the forward pass, in launch order. Without sequence parallelism every rank
    /// computes norms, dropout and residuals of all tokens; with it, of its share.
    pub forward: Vec<Operator>,
    /// The kernels of the backward pass, in launch order, the deferrable ones last.
    pub backward: Vec<Operator>,
    /// What its backward pass begins with if modules are computed again instead of kept.
    pub repeats: Vec<Repeat>,
    /// What tensor-parallel ranks exchange around it.
    pub exchange: Exchange,
    /// What ranks exchange in the middle of its passes, in order, by pass.
    pub inside: [Vec<InnerExchange>; 2],
    /// What it keeps for the backward pass.
    pub(crate) kept: Kept,
}

/// What the ranks of a tensor-parallel group exchange around a block, in elements of a whole
/// micro-batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Exchange {
    /// Its input, split by columns from here on: gathered before the forward pass under sequence
    /// parallelism; its gradient is summed up after the backward pass.
    pub gathered: f64,
    /// Its output, partial sums up to here: summed up after the forward pass.
    pub reduced: f64,
}

impl Block {
    /// The kernels of a pass.
    pub fn operators(&self, pass: Pass) -> &[Operator] {
        match pass {
            Pass::Forward => &self.forward,
            Pass::Backward => &self.backward,
        }
    }

    /// What ranks exchange in the middle of a pass.
    pub fn exchanges(&self, pass: Pass) -> &[InnerExchange] {
        &self.inside[pass as usize]
    }
}

/// The blocks of a part, in the order of the forward pass.
pub fn blocks(
    model: &Model,
    part: Part,
    training: &Training,
    path: &CardPath,
    shard: &Shard,
) -> Vec<Block> {
    let rows = |extent: Extent, dropout: bool| Rows::new(extent, dropout, training, path, shard);
    match part {
        Part::Embedding => match &model.embedding {
            Embedding::Tokens(tokens) => {
                vec![embedding::block(&rows(model.embedding.output(), tokens.dropout), tokens)]
            }
            Embedding::Images(images) => {
                vec![convolution::images(&rows(model.embedding.output(), false), *images)]
            }
        },
        Part::Layer(kind) => {
            let kind = model.layer_kind(kind);
            match &kind.layer {
                Layer::Convolutional(operations) => {
                    vec![convolution::block(&rows(kind.output, false), operations, kind.input)]
                }
                Layer::Transformer(layer) => {
                    let rows = rows(kind.output, layer.dropout);
                    let entry = model.tokens().filter(|_| kind.enters_target()).map(|tokens| {
                        embedding::entry(
                            &Rows::new(kind.output, tokens.dropout, training, path, shard),
                            tokens,
                            layer.norm,
                        )
                    });
                    let joined = model.tokens().filter(|_| kind.predicts());
                    let joined: Vec<Block> = joined
                        .map(|tokens| prediction::blocks(&rows, tokens, layer.norm))
                        .unwrap_or_default();
                    let own: Vec<Block> =
                        joined.into_iter().chain(transformer::blocks(&rows, layer)).collect();
                    entry.into_iter().chain(vec![own; kind.layers()].concat()).collect()
                }
            }
        }
        Part::Head => match (&model.head, model.tokens()) {
            (Head::Language(head), Some(tokens)) => {
                let input = model.head_input();
                let block = head::block(&rows(input, false), *head, tokens.vocab);
                vec![block; input.scored() as usize]
            }
            (Head::Classifier(head), _) => {
                let input = model.head_input();
                vec![convolution::classifier(&rows(input, false), *head, input)]
            }
            (Head::Language(_), None) => vec![],
        },
    }
}

//! What a module for multi-token prediction does before its layer: each token's hidden state and the
//! embedding of the next token are normalised, joined and projected to the width of the stream
//! (DeepSeek-V3, arXiv 2412.19437, section 2.2; Megatron-Core's `MultiTokenPredictionLayer`).

use super::linear::{Linear, Names, deferred};
use super::rows::{Rows, elementwise};
use super::{Block, Exchange, ExchangeKind, InnerExchange, ProcessGroup, embedding};
use crate::Deferral;
use crate::activation::Kept;
use crate::model::{Norm, TokenEmbedding, prediction_weight};

const JOIN: Names = Names {
    forward: "join next token",
    input: "join next token input gradient",
    weight: "join next token weight gradient",
};

/// The embedding of the next tokens; norms, and the projection of both.
pub(super) fn blocks(rows: &Rows, tokens: &TokenEmbedding, norm: Norm) -> Vec<Block> {
    let words = TokenEmbedding {
        learned_positions: 0,
        token_types: 0,
        norm: None,
        dropout: false,
        ..tokens.clone()
    };
    vec![embedding::block(rows, &words), join(rows, norm)]
}

fn join(rows: &Rows, norm: Norm) -> Block {
    let product = Linear::new(rows, JOIN, &[prediction_weight(rows.hidden)]);
    let (stream, element) = (rows.stream(), rows.element);
    // Two streams are read and one of twice the width written, or the other way round.
    let joined = |name| elementwise(name, 4.0 * element * stream);

    let mut forward = vec![rows.norm_forward(norm); 2].concat();
    forward.push(joined("concatenate"));
    forward.extend(product.forward());

    let mut backward = product.input_gradient();
    backward.push(joined("concatenate backward"));
    backward.extend(vec![rows.norm_backward(norm); 2].concat());
    // The hidden state goes to the head as well.
    backward.push(elementwise("stream gradient sum", 3.0 * element * stream));
    backward.extend(deferred(product.weight_gradient(), Deferral::Exchange));

    // Every rank has a part of the width, and wants the whole of its tokens.
    let whole = |at: usize| InnerExchange {
        group: ProcessGroup::Tensor,
        kind: ExchangeKind::AllGather,
        elements: rows.whole_stream(),
        begins: at,
        needed: at,
    };
    let gradient = rows.shard.sequence_parallel.then(|| whole(0));
    let inside = [vec![whole(forward.len())], gradient.into_iter().collect()];
    let input = 2.0 * stream;
    let stored = if product.keeps_input() { element } else { 0.0 };
    let kept_input = (stored + product.quantised_input()) * input;
    Block {
        forward,
        backward,
        repeats: Vec::new(),
        exchange: Exchange { gathered: 2.0 * rows.whole_stream(), reduced: 0.0 },
        inside,
        kept: Kept {
            // Inputs of the norms, and of the product.
            stream: 2.0 * element * stream + kept_input,
            split: product.kept_inside(),
            waiting: kept_input + product.kept_inside() + product.waiting_gradient(),
            ..Kept::default()
        },
    }
}

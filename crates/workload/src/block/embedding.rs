//! The embedding block.

use super::rows::{Rows, rows_moved};
use super::{Block, Exchange};
use crate::activation::Kept;
use crate::model::{Norm, TokenEmbedding};

/// Words, positions and token types, dropout.
///
/// Every rank gathers its part of the vocabulary for all tokens: rows of other ranks are zeros, but
/// written all the same. Backward, the gradient of each row is read and added to its table: read,
/// read, written. Nothing runs backward where the tables are frozen.
pub(super) fn block(rows: &Rows, tokens: &TokenEmbedding) -> Block {
    let (all, tables) = (rows.whole_stream(), tokens.tables());
    let gathered = 2.0 * rows.element * all + 3.0 * rows.element * all * (tables - 1.0);
    let mut forward = vec![rows_moved("embedding", gathered)];
    let mut backward = Vec::new();
    forward.extend(tokens.norm.into_iter().flat_map(|norm| rows.norm_forward(norm)));
    if tokens.dropout {
        forward.push(rows.dropout_of("embedding dropout", rows.stream()));
    }
    if rows.trained() {
        backward.extend(rows.dropout_backward());
        backward.extend(tokens.norm.into_iter().flat_map(|norm| rows.norm_backward(norm)));
        backward.push(rows_moved("embedding backward", 3.0 * rows.element * all * tables));
    }
    Block {
        forward,
        backward,
        repeats: Vec::new(),
        exchange: Exchange { gathered: 0.0, reduced: all },
        inside: Default::default(),
        // Token ids as 64-bit integers, dropout's mask.
        kept: Kept {
            stream: 8.0 * rows.tokens as f64 + rows.mask() * rows.stream(),
            ..Kept::default()
        },
    }
}

/// Where the decoder begins: the encoder's last norm, and the embedding of the target sequence.
pub(super) fn entry(rows: &Rows, tokens: &TokenEmbedding, norm: Norm) -> Block {
    let source = rows.source();
    let mut block = block(rows, tokens);
    block.forward.splice(0..0, source.norm_forward(norm));
    block.backward.extend(source.norm_backward(norm));
    block.kept.stream += source.element * source.stream();
    block
}

//! The embedding block.

use motley_units::Bytes;

use super::rows::Rows;
use crate::{Operator, Positions, Work};

/// Tables that are added up for each token: words, positions, token types.
fn tables(rows: &Rows) -> f64 {
    let positions = match rows.model.positions {
        Positions::Learned { .. } => 1.0,
        Positions::Rotary => 0.0,
    };
    1.0 + positions + if rows.model.token_types > 0 { 1.0 } else { 0.0 }
}

/// Every rank gathers its part of the vocabulary for all tokens: rows of other ranks are zeros, but
/// written all the same.
pub(super) fn forward(rows: &Rows) -> Vec<Operator> {
    let all = rows.tokens as f64 * f64::from(rows.model.hidden);
    let gathered = 2.0 * rows.element * all + 3.0 * rows.element * all * (tables(rows) - 1.0);
    let gather = Work::Embedding { bytes: Bytes(gathered) };
    let mut ops = vec![Operator::new("embedding", gather)];
    if rows.model.masked_language_head() {
        ops.push(rows.norm_forward());
    }
    ops.extend(rows.dropout_forward("embedding dropout", rows.stream()));
    ops
}

/// The gradient of each row is read and added to its table: read, read, written.
pub(super) fn backward(rows: &Rows) -> Vec<Operator> {
    let all = rows.tokens as f64 * f64::from(rows.model.hidden);
    let mut ops = Vec::new();
    ops.extend(rows.dropout_backward());
    if rows.model.masked_language_head() {
        ops.push(rows.norm_backward());
    }
    let scatter = Work::Embedding { bytes: Bytes(3.0 * rows.element * all * tables(rows)) };
    ops.push(Operator::new("embedding backward", scatter));
    ops
}

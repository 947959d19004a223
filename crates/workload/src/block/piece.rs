//! What stands between a norm and a residual.

use super::linear::deferred;
use super::rows::Rows;
use super::{Block, Exchange};
use crate::activation::Kept;
use crate::model::NormPlacement;
use crate::{Deferral, Operator};

/// The work of an attention or a feed-forward, without norm and residual around it.
#[derive(Default)]
pub(super) struct Piece {
    pub(super) forward: Vec<Operator>,
    /// All but what may be deferred.
    pub(super) backward: Vec<Operator>,
    /// Weight gradients of what reads the piece's input.
    pub(super) deferrable: Vec<Operator>,
    pub(super) recomputed: Vec<Operator>,
    /// What is kept inside of it; its input is the block's matter.
    pub(super) kept: Kept,
    /// Whether its input is kept as it is stored, also while weight gradients wait.
    pub(super) keeps_input: bool,
    /// Bytes that are kept of an element of its input in quantised copies, likewise.
    pub(super) quantised_input: f64,
    /// Elements that tensor-parallel ranks gather before the matrices that they share.
    pub(super) gathered: f64,
}

/// A block of one piece, or of several that run in parallel, with norms and residual.
/// `norms` is how many norms stand before them: one, or one for each.
pub(super) fn block(
    rows: &Rows,
    placement: NormPlacement,
    norms: usize,
    pieces: Vec<Piece>,
) -> Block {
    let parts = pieces.len() as f64;
    let after = if placement == NormPlacement::BeforeAndAfter { pieces.len() } else { 0 };
    let stream = rows.stream();

    let mut forward = vec![rows.norm_forward(); norms];
    let mut backward: Vec<Operator> =
        (0..pieces.len()).filter_map(|_| rows.dropout_backward()).collect();
    backward.extend(std::iter::repeat_n(rows.norm_backward(), after));
    let (mut deferrable, mut recomputed) = (Vec::new(), Vec::new());
    let mut exchange = Exchange { gathered: 0.0, reduced: rows.whole_stream() };
    // Input of the norms; their outputs, where products want them, and quantised copies of these;
    // inputs of norms behind.
    let outputs = if pieces.iter().any(|piece| piece.keeps_input) { norms } else { 0 };
    let copies = pieces.iter().map(|piece| piece.quantised_input).sum::<f64>() * stream;
    let mut kept = Kept {
        stream: (1 + outputs + after) as f64 * rows.element * stream
            + parts * rows.mask() * stream
            + copies,
        waiting: outputs as f64 * rows.element * stream + copies,
        ..Kept::default()
    };
    for piece in pieces {
        forward.extend(piece.forward);
        backward.extend(piece.backward);
        deferrable.extend(piece.deferrable);
        recomputed.extend(piece.recomputed);
        kept = kept.and(piece.kept);
        // Parallel pieces read the same gathered input.
        exchange.gathered = exchange.gathered.max(piece.gathered);
    }
    forward.extend(std::iter::repeat_n(rows.norm_forward(), after));
    forward.push(rows.residual_forward(parts));
    backward.extend(std::iter::repeat_n(rows.norm_backward(), norms));
    backward.push(rows.residual_backward(parts));
    backward.extend(deferred(deferrable, Deferral::Exchange));
    Block { forward, backward, recomputed, exchange, kept }
}

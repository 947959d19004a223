//! What stands between a norm and a residual.

use super::linear::{INPUT, deferred, quantise};
use super::repeat::Repeat;
use super::rows::Rows;
use super::{Block, Exchange, ExchangeKind, InnerExchange, ProcessGroup};
use crate::activation::Kept;
use crate::model::{Norm, NormPlacement};
use crate::{Deferral, Operator, Pass, Quantisation, RecomputeModule};

/// The work of an attention or a feed-forward, without norm and residual around it.
#[derive(Default)]
pub(super) struct Piece {
    pub(super) forward: Vec<Operator>,
    /// All but what may be deferred.
    pub(super) backward: Vec<Operator>,
    /// Weight gradients of what reads the piece's input.
    pub(super) deferrable: Vec<Operator>,
    /// What can be computed again of it instead of kept.
    pub(super) repeats: Vec<Repeat>,
    /// The module that it is as a whole, if that can be computed again from its input.
    pub(super) checkpoint: Option<RecomputeModule>,
    /// What is kept inside of it; its input is the block's matter.
    pub(super) kept: Kept,
    /// Whether its input is kept as it is stored, also while weight gradients wait.
    pub(super) keeps_input: bool,
    /// Bytes that are kept of an element of its input in quantised copies, likewise.
    pub(super) quantised_input: f64,
    /// Elements that tensor-parallel ranks gather before the matrices that they share.
    pub(super) gathered: f64,
    /// Elements of its output, of which every tensor-parallel rank has a partial sum.
    pub(super) reduced: f64,
    /// What is exchanged in the middle of its passes.
    pub(super) inside: [Vec<InnerExchange>; 2],
}

impl Piece {
    /// The kernels of a pass so far.
    fn kernels(&self, pass: Pass) -> usize {
        match pass {
            Pass::Forward => self.forward.len(),
            Pass::Backward => self.backward.len(),
        }
    }

    /// What follows in a pass needs the result of an exchange.
    pub(super) fn exchange(
        &mut self,
        pass: Pass,
        group: ProcessGroup,
        kind: ExchangeKind,
        elements: f64,
    ) {
        self.begin(pass, group, kind, elements);
    }

    /// An exchange begins here; its result is needed by what follows, unless [`Piece::finish`] says
    /// where. Returns which of the pass it is.
    pub(super) fn begin(
        &mut self,
        pass: Pass,
        group: ProcessGroup,
        kind: ExchangeKind,
        elements: f64,
    ) -> usize {
        let here = self.kernels(pass);
        let inside = &mut self.inside[pass as usize];
        inside.push(InnerExchange { group, kind, elements, begins: here, needed: here });
        inside.len() - 1
    }

    /// The same, computed again as a whole if `module` is.
    pub(super) fn checkpointed(mut self, module: RecomputeModule) -> Self {
        self.repeats.push(Repeat {
            exchange: Exchange { gathered: self.gathered, reduced: self.reduced },
            inside: self.inside[Pass::Forward as usize].clone(),
            ..Repeat::new(module, self.kept.bytes(), self.forward.clone())
        });
        self.checkpoint = Some(module);
        self
    }

    /// What follows in a pass needs the result of the exchange that began as `begun`-th.
    pub(super) fn finish(&mut self, pass: Pass, begun: usize) {
        self.inside[pass as usize][begun].needed = self.kernels(pass);
    }
}

/// A block of one piece, or of several that run in parallel, with norms and residual.
/// `norm` is the kind of norms and where they stand, `norms` how many stand before them: one, or one
/// for each.
pub(super) fn block(
    rows: &Rows,
    (norm, placement): (Norm, NormPlacement),
    norms: usize,
    pieces: Vec<Piece>,
) -> Block {
    let count = pieces.len();
    let parts = count as f64;
    let after = if placement == NormPlacement::BeforeAndAfter { pieces.len() } else { 0 };
    let stream = rows.stream();

    let mut forward = vec![rows.norm_forward(norm); norms].concat();
    let mut backward: Vec<Operator> =
        (0..pieces.len()).filter_map(|_| rows.dropout_backward()).collect();
    backward.extend(std::iter::repeat_n(rows.norm_backward(norm), after).flatten());
    let mut deferrable = Vec::new();
    let mut exchange = Exchange::default();
    let mut inside: [Vec<InnerExchange>; 2] = Default::default();
    // Input of the norms; their outputs, where products want them, and quantised copies of these;
    // inputs of norms behind.
    let outputs = if pieces.iter().any(|piece| piece.keeps_input) { norms } else { 0 };
    let copies = pieces.iter().map(|piece| piece.quantised_input).sum::<f64>() * stream;
    let stored = outputs as f64 * rows.element * stream;
    // A norm that is not one kernel keeps the fp32 copy of its input and what is normalised, too.
    let unfused = norm == Norm::RmsNorm && !rows.training.fusion.norm;
    let upcast = if unfused { 4.0 + rows.element } else { 0.0 };
    let mut kept = Kept {
        stream: (1 + after) as f64 * rows.element * stream
            + stored
            + (norms + after) as f64 * upcast * stream
            + parts * rows.mask() * stream
            + copies,
        waiting: stored + copies,
        ..Kept::default()
    };
    let mut repeats =
        norm_repeats(rows, &forward, stored + norms as f64 * upcast * stream, &pieces);
    for piece in pieces {
        for (all, (own, before)) in
            inside.iter_mut().zip(piece.inside.into_iter().zip([forward.len(), backward.len()]))
        {
            all.extend(own.into_iter().map(|exchange| exchange.after(before)));
        }
        forward.extend(piece.forward);
        backward.extend(piece.backward);
        deferrable.extend(piece.deferrable);
        repeats.extend(piece.repeats);
        kept = kept.and(piece.kept);
        // Parallel pieces read the same gathered input.
        exchange.gathered = exchange.gathered.max(piece.gathered);
        exchange.reduced = exchange.reduced.max(piece.reduced);
    }
    forward.extend(std::iter::repeat_n(rows.norm_forward(norm), after).flatten());
    forward.extend(rows.residual_forward(count));
    backward.extend(std::iter::repeat_n(rows.norm_backward(norm), norms).flatten());
    backward.push(rows.residual_backward(parts));
    backward.extend(deferred(deferrable, Deferral::Exchange));
    Block { forward, backward, repeats, exchange, inside, kept }
}

/// What is computed again where the outputs of the norms before `pieces` are dropped, of which so many
/// bytes are kept as they are stored, and what becomes of these outputs where a piece is computed
/// again from them.
fn norm_repeats(rows: &Rows, norms: &[Operator], stored: f64, pieces: &[Piece]) -> Vec<Repeat> {
    use RecomputeModule::LayerNorm;
    let stream = rows.stream();
    let mut repeats = Vec::new();
    let copies: f64 = pieces.iter().map(|piece| piece.quantised_input).sum();
    if stored + copies > 0.0 {
        repeats.push(Repeat::new(LayerNorm, stored, norms.to_vec()));
    }
    for piece in pieces {
        // The copies that weight gradients want are written from the output. A checkpointed piece
        // writes them itself, from the output, which is kept for it if for nobody else.
        let copies = piece.quantised_input * stream;
        let operand = rows.path.quantisation.map_or(1.0, Quantisation::operand_bytes);
        let count = (piece.quantised_input / operand).round() as usize;
        let quantised = quantise(rows, rows.path.quantisation, &INPUT, stream, false);
        if copies > 0.0 {
            let again = vec![quantised; count].concat();
            repeats.push(Repeat::new(LayerNorm, copies, again).unless(piece.checkpoint));
        }
        if let Some(module) = piece.checkpoint {
            let kept = if piece.keeps_input { 0.0 } else { rows.element * stream };
            repeats.push(Repeat::new(module, copies, Vec::new()));
            repeats.push(Repeat::new(module, -kept, Vec::new()).unless([LayerNorm]));
        }
    }
    repeats
}

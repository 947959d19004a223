//! A mixture of experts: router, permutation, one product over all experts of the rank.
//!
//! Tokens are sorted by expert, each expert multiplies its rows, the results are sorted back and
//! added up with the router's weights (Gale et al. 2022, arXiv 2211.15841; Megatron-LM's
//! `MoELayer`).
//!
//! Where experts are split as all other matrices are, a tensor-parallel group gathers its tokens, and
//! each rank multiplies them all with its part of every expert. Else each rank routes its own tokens,
//! sorted by expert, to the ranks that have these, and gets their results back (Megatron-LM's
//! all-to-all dispatcher); ranks that split an expert gather its rows and add up its results. DeepEP's
//! kernels take tokens as they lie and bring each once to a rank, which spreads it over its experts, and
//! add up what comes back on the way.
//!
//! The router's weights multiply the inputs of the second product, inside the activation kernel
//! (Megatron-Core since 0.12), so that the outputs need not be kept for the gradients of weights.

use super::linear::{
    GRADIENT, INPUT, Linear, Names, Quantising, quantise, quantised, weight_gradient,
};
use super::mlp;
use super::piece::Piece;
use super::repeat::Repeat;
use super::rows::{Rows, elementwise, rows_moved};
use super::{Exchange, ExchangeKind, ProcessGroup};
use crate::activation::Kept;
use crate::model::{Experts, Mlp};
use crate::{Capacity, GroupedGemm, Operator, Pass, Quantisation, RecomputeModule, Work};

const ROUTER: Names =
    Names { forward: "router", input: "router input gradient", weight: "router weight gradient" };
const SHARED_GATE: Names = Names {
    forward: "shared expert gate",
    input: "shared expert gate input gradient",
    weight: "shared expert gate weight gradient",
};

/// Bytes of an fp32 score.
const SCORE: f64 = 4.0;
/// Bytes of a choice: an fp32 weight and a 64-bit expert.
const CHOICE: f64 = 12.0;

pub(super) fn piece(rows: &Rows, bank: &Experts) -> Piece {
    let local = Local::new(rows, bank);
    let routed = Routed::new(rows, bank, &local);
    let router = Linear::new(rows, ROUTER, &[bank.router_weight(rows.hidden)]);
    let mut piece = Piece { keeps_input: rows.trained(), ..Piece::default() };
    if routed.inside {
        (piece.gathered, piece.reduced) = (rows.whole_stream(), rows.whole_stream());
    }
    let scores = rows.own_tokens * f64::from(bank.experts);
    let choices = rows.own_tokens * f64::from(bank.top_k);
    let shared = bank.shared_mlp().map(|mlp| Shared::new(rows, bank, mlp, routed.inside));

    piece.forward.extend(router.forward());
    piece.forward.extend(selection(bank, scores, choices));
    piece.forward.extend(routed.in_order("permute tokens", 2.0 * routed.copies));
    let beside = rows.shard.overlap_shared_expert;
    let ahead = |piece: &mut Piece| {
        if let (true, Some(shared)) = (beside, &shared) {
            shared.forward_into(piece);
        }
    };
    routed.out_and_beside(&mut piece, Pass::Forward, ExchangeKind::Dispatch(bank.spread()), ahead);
    piece.forward.extend(routed.sorted("sort rows by expert"));
    piece.forward.extend(local.quantise(&INPUT, local.up().inputs, rows.trained()));
    piece.forward.push(local.product("expert up", &local.up()));
    piece.forward.push(local.activation());
    piece.forward.extend(local.quantise(&INPUT, local.down().inputs, rows.trained()));
    piece.forward.push(local.product("expert down", &local.down()));
    piece.forward.extend(routed.sorted("sort rows by rank"));
    routed.back(&mut piece, Pass::Forward, ExchangeKind::Combine(bank.spread()));
    // Reads every expert's row, writes one sum for each token; backward the other way round.
    let gathered = routed.copies + routed.stream;
    piece.forward.extend(routed.in_order("unpermute tokens", gathered));

    piece.backward.extend(routed.in_order("unpermute tokens backward", gathered));
    let ahead = |piece: &mut Piece| {
        if let (true, Some(shared)) = (beside, &shared) {
            shared.backward_into(piece);
        }
    };
    routed.out_and_beside(&mut piece, Pass::Backward, ExchangeKind::Dispatch(bank.spread()), ahead);
    piece.backward.extend(routed.sorted("sort gradients by expert"));
    piece.backward.extend(local.bias_gradient(local.down().outputs));
    piece.backward.extend(local.quantise(&GRADIENT, local.down().outputs, rows.trained()));
    piece.backward.push(local.product("expert down input gradient", &local.down().transposed()));
    piece.backward.extend(local.weight_gradient("expert down weight gradient", &local.down()));
    let (inputs, outputs) = (local.up().outputs, local.down().inputs);
    piece.backward.push(rows.activation_gradient(local.rows, inputs, outputs));
    piece.backward.extend(local.bias_gradient(local.up().outputs));
    piece.backward.extend(local.quantise(&GRADIENT, local.up().outputs, rows.trained()));
    piece.backward.push(local.product("expert up input gradient", &local.up().transposed()));
    piece.backward.extend(routed.sorted("sort gradients by rank"));
    routed.back(&mut piece, Pass::Backward, ExchangeKind::Combine(bank.spread()));
    piece.backward.extend(routed.in_order("permute tokens backward", gathered));
    piece.backward.push(elementwise("router softmax backward", 3.0 * SCORE * scores));
    piece.backward.extend(router.backward());
    piece.deferrable.extend(local.weight_gradient("expert up weight gradient", &local.up()));

    // Scores and choices; rows in the order of experts, before the products and after the first.
    let stored = local.up().outputs;
    let inputs = rows.hidden as f64 + local.down().inputs;
    piece.kept = Kept {
        stream: SCORE * scores + CHOICE * choices,
        split: (rows.activation_input().0 * stored + local.operand_bytes() * inputs) * local.rows,
        widest: local.rows * local.up().outputs,
        waiting: router.waiting_gradient() + local.waiting(),
        ..Kept::default()
    };
    piece.repeats.extend(local.activated_again());
    if let Some(shared) = shared {
        if !beside {
            shared.forward_into(&mut piece);
            shared.backward_into(&mut piece);
        }
        shared.finish(&mut piece);
    }
    piece
}

/// The way of a rank's tokens to experts and back.
struct Routed<'a> {
    rows: &'a Rows<'a>,
    /// They stay in their tensor-parallel group.
    inside: bool,
    /// Elements of the tokens that the rank routes.
    stream: f64,
    /// Elements of those tokens, once for each of their experts.
    copies: f64,
    /// Elements that the busiest rank sends or receives; its neighbours wait for it.
    sent: f64,
    /// Elements of the rows of the rank's experts.
    arrived: f64,
    /// Elements of the rows that come to the rank.
    received: f64,
    /// Experts on the rank.
    experts: f64,
}

impl<'a> Routed<'a> {
    fn new(rows: &'a Rows<'a>, bank: &Experts, local: &Local) -> Self {
        let inside = rows.shard.keeps_tokens();
        let stream = if inside { rows.whole_stream() } else { rows.stream() };
        let copies = if inside { local.stream() } else { stream * f64::from(bank.top_k) };
        let ranks = f64::from(rows.shard.expert_parallel.max(1));
        let share = if rows.shard.forwards_tokens && !inside {
            bank.spread().parts_met(ranks) / f64::from(bank.top_k.max(1))
        } else {
            1.0
        };
        Self {
            rows,
            inside,
            stream,
            copies,
            sent: stream * f64::from(bank.top_k) * local.load,
            arrived: local.stream(),
            received: local.stream() * share,
            experts: local.experts,
        }
    }

    /// Rows on their way to experts, with what runs beside that; then those that split an expert
    /// gather its rows.
    fn out_and_beside(
        &self,
        piece: &mut Piece,
        pass: Pass,
        kind: ExchangeKind,
        beside: impl FnOnce(&mut Piece),
    ) {
        if self.inside {
            beside(piece);
            return;
        }
        let begun = piece.begin(pass, ProcessGroup::Expert, kind, self.sent);
        beside(piece);
        piece.finish(pass, begun);
        let gathered = ExchangeKind::AllGather;
        piece.exchange(pass, ProcessGroup::ExpertTensor, gathered, self.arrived);
    }

    /// The way back.
    fn back(&self, piece: &mut Piece, pass: Pass, kind: ExchangeKind) {
        if !self.inside {
            let added = ExchangeKind::ReduceScatter;
            piece.exchange(pass, ProcessGroup::ExpertTensor, added, self.arrived);
            piece.exchange(pass, ProcessGroup::Expert, kind, self.sent);
        }
    }

    /// Rows come in the order of ranks; several experts want theirs together.
    fn sorted(&self, name: &'static str) -> Option<Operator> {
        let apart = !self.inside && self.rows.shard.expert_parallel > 1 && self.experts > 1.0;
        apart.then(|| rows_moved(name, self.rows.element * (self.received + self.arrived)))
    }

    /// The rank's own tokens into the order of experts, or back, where that is wanted.
    fn in_order(&self, name: &'static str, elements: f64) -> Option<Operator> {
        let wanted = self.inside || !self.rows.shard.forwards_tokens;
        wanted.then(|| rows_moved(name, self.rows.element * elements))
    }
}

/// From scores to choices: softmax or sigmoid; the best groups, if only some stand for election;
/// the best experts; how many tokens each expert gets, and their places in its rows.
fn selection(bank: &Experts, scores: f64, choices: f64) -> Vec<Operator> {
    let mut ops = vec![elementwise("router softmax", 2.0 * SCORE * scores)];
    if bank.router.groups().is_some() {
        ops.push(elementwise("best groups", SCORE * scores));
        ops.push(elementwise("mask groups", 2.0 * SCORE * scores));
    }
    ops.push(elementwise("best experts", SCORE * scores + CHOICE * choices));
    ops.push(elementwise("count tokens of experts", CHOICE * choices));
    ops.push(elementwise("order tokens by expert", 2.0 * CHOICE * choices));
    ops
}

/// The MLP that every token visits: without norm and residual of its own, its output added to the
/// experts'.
struct Shared<'a> {
    rows: &'a Rows<'a>,
    mlp: Piece,
    gate: Option<Linear<'a>>,
    /// Its tokens are gathered, and its partial sums added up, together with those of the experts.
    inside: bool,
    /// Elements of the tokens that it works on outside of its products.
    stream: f64,
}

impl<'a> Shared<'a> {
    fn new(rows: &'a Rows<'a>, bank: &Experts, mlp: Mlp, inside: bool) -> Self {
        let gate =
            bank.shared_gate(rows.hidden).map(|weight| Linear::new(rows, SHARED_GATE, &[weight]));
        let stream = if inside { rows.whole_stream() } else { rows.stream() };
        Self { rows, mlp: mlp::piece(rows, mlp), gate, inside, stream }
    }

    fn tensor(&self, piece: &mut Piece, pass: Pass, kind: ExchangeKind) {
        if !self.inside {
            piece.exchange(pass, ProcessGroup::Tensor, kind, self.rows.whole_stream());
        }
    }

    fn forward_into(&self, piece: &mut Piece) {
        let bytes = self.rows.element * self.stream;
        self.tensor(piece, Pass::Forward, ExchangeKind::AllGather);
        piece.forward.extend(self.mlp.forward.iter().cloned());
        self.tensor(piece, Pass::Forward, ExchangeKind::ReduceScatter);
        if let Some(gate) = &self.gate {
            piece.forward.extend(gate.forward());
            piece.forward.push(elementwise("gate shared expert", 2.0 * bytes));
        }
    }

    fn backward_into(&self, piece: &mut Piece) {
        let bytes = self.rows.element * self.stream;
        if let Some(gate) = &self.gate {
            piece.backward.push(elementwise("gate shared expert backward", 3.0 * bytes));
            piece.backward.extend(gate.backward());
        }
        self.tensor(piece, Pass::Backward, ExchangeKind::AllGather);
        piece.backward.extend(self.mlp.backward.iter().cloned());
        self.tensor(piece, Pass::Backward, ExchangeKind::ReduceScatter);
    }

    /// What is left: the sums, the weight gradients that may wait, what is kept.
    fn finish(self, piece: &mut Piece) {
        use RecomputeModule::{LayerNorm, Moe, SharedExperts};
        let bytes = self.rows.element * self.stream;
        let mut kept = self.mlp.kept;
        if let Some(gate) = &self.gate {
            kept.split += bytes;
            kept.waiting += gate.waiting_gradient();
        }
        let mut again = Piece::default();
        self.forward_into(&mut again);
        let around = if self.inside { self.rows.whole_stream() } else { 0.0 };
        piece.repeats.push(Repeat {
            exchange: Exchange { gathered: around, reduced: around },
            inside: std::mem::take(&mut again.inside[Pass::Forward as usize]),
            ..Repeat::new(SharedExperts, kept.bytes(), again.forward).unless([Moe])
        });
        let copies = self.mlp.quantised_input * self.rows.stream();
        piece.repeats.push(Repeat::new(SharedExperts, copies, Vec::new()).unless([Moe, LayerNorm]));
        piece.deferrable.extend(self.mlp.deferrable);
        piece.kept = piece.kept.and(kept);
        piece.quantised_input += self.mlp.quantised_input;
        piece.forward.push(elementwise("add shared expert", 3.0 * bytes));
        piece.backward.push(elementwise("shared expert gradient sum", 3.0 * bytes));
    }
}

/// The experts of one rank and the rows that come to them.
struct Local<'a> {
    rank: &'a Rows<'a>,
    bank: &'a Experts,
    /// Experts on this rank.
    experts: f64,
    /// Rows of all of them together.
    rows: f64,
    /// Ranks that split an expert.
    split: f64,
    /// Rows of the busiest rank over their mean.
    load: f64,
}

/// One expert's matrix, as this rank has it.
struct Matrix {
    inputs: f64,
    outputs: f64,
}

impl Matrix {
    fn transposed(&self) -> Self {
        Self { inputs: self.outputs, outputs: self.inputs }
    }
}

impl<'a> Local<'a> {
    fn new(rank: &'a Rows<'a>, bank: &'a Experts) -> Self {
        let shard = rank.shard;
        let parallel = f64::from(shard.expert_parallel.max(1));
        let split = f64::from(shard.expert_tensor_parallel.max(1));
        let experts = f64::from(bank.experts) / parallel;
        // The ranks that hold all experts once bring so many tokens together; each tensor group
        // brings a micro-batch.
        let groups = parallel * split / f64::from(shard.tensor_parallel.max(1));
        let mean = rank.tokens as f64 * groups * f64::from(bank.top_k) / parallel;
        let load = match rank.training.expert_load.capacity {
            Capacity::Dropless => rank.training.expert_load.imbalance.clamp(1.0, parallel),
            Capacity::Padded(factor) => factor,
        };
        Self { rank, bank, experts, rows: mean * load, split, load }
    }

    fn up(&self) -> Matrix {
        let outputs = self.bank.expert.up_width() as f64 / self.split;
        Matrix { inputs: self.rank.hidden as f64, outputs }
    }

    fn down(&self) -> Matrix {
        let inputs = f64::from(self.bank.expert.ffn) / self.split;
        Matrix { inputs, outputs: self.rank.hidden as f64 }
    }

    /// Elements of the stream in the rows.
    fn stream(&self) -> f64 {
        self.rows * self.rank.hidden as f64
    }

    /// Experts that have rows, and rows of each: where tokens are few, some experts get none.
    fn busy(&self) -> (u64, f64) {
        let busy = self.experts.min(self.rows).max(1.0).floor();
        (busy as u64, self.rows / busy)
    }

    /// The product of every expert's rows with its matrix.
    fn product(&self, name: &'static str, matrix: &Matrix) -> Operator {
        let (groups, m) = self.busy();
        let (n, k) = (matrix.outputs, matrix.inputs);
        let work = Work::GroupedGemm(GroupedGemm { m, n, k, groups, sum_bytes: None });
        self.multiplied(Operator::new(name, work))
    }

    /// A product as the card multiplies it.
    fn multiplied(&self, product: Operator) -> Operator {
        if self.rank.path.quantisation.is_some() { quantised(product) } else { product }
    }

    /// The kernels that quantise `width` columns of all rows, for `both` kinds of product or one.
    fn quantise(&self, names: &Quantising, width: f64, both: bool) -> Vec<Operator> {
        quantise(self.rank, self.rank.path.quantisation, names, self.rows * width, both)
    }

    /// The activation function.
    fn activation(&self) -> Operator {
        self.rank.activation(self.rows, self.up().outputs, self.down().inputs)
    }

    /// The activation function again, for the weight gradient of the second product.
    fn activated_again(&self) -> Option<Repeat> {
        let dropped = self.operand_bytes() * self.rows * self.down().inputs;
        let mut operators = vec![self.activation()];
        operators.extend(self.quantise(&INPUT, self.down().inputs, false));
        let repeat = Repeat::new(RecomputeModule::MoeAct, dropped, operators);
        (dropped > 0.0).then(|| repeat.unless([RecomputeModule::Moe]))
    }

    /// Bytes of an element that the weight gradients want of their operands.
    fn operand_bytes(&self) -> f64 {
        if self.rank.trained() {
            self.rank.path.quantisation.map_or(self.rank.element, Quantisation::operand_bytes)
        } else {
            0.0
        }
    }

    /// The weight gradients of all experts. The buffers are added to by the product or by a kernel
    /// over all experts, busy or not.
    fn weight_gradient(&self, name: &'static str, matrix: &Matrix) -> Vec<Operator> {
        if !self.rank.trained() {
            return Vec::new();
        }
        let (groups, k) = self.busy();
        let (m, n) = (matrix.inputs, matrix.outputs);
        let training = self.rank.training;
        let sum_bytes = training.fused_gradient_accumulation.then_some(training.gradient_bytes);
        let work = Work::GroupedGemm(GroupedGemm { m, n, k, groups, sum_bytes });
        let product = self.multiplied(Operator::new(name, work));
        weight_gradient(self.rank, product, self.experts * m * n).collect()
    }

    /// Bytes that wait for the weight gradients: inputs of both products and gradients of their
    /// outputs.
    fn waiting(&self) -> f64 {
        let width = |matrix: &Matrix| matrix.inputs + matrix.outputs;
        let widths = width(&self.up()) + width(&self.down());
        self.operand_bytes() * self.rows * widths
    }

    /// The gradient of the experts' biases over `width` columns.
    fn bias_gradient(&self, width: f64) -> Option<Operator> {
        let biased = self.bank.expert.bias && self.rank.trained();
        biased.then(|| elementwise("bias gradient", self.rank.element * self.rows * width))
    }
}

//! A mixture of experts: router, permutation, one product over all experts of the rank.
//!
//! Tokens are sorted by expert, each expert multiplies its rows, the results are sorted back and
//! added up with the router's weights (Gale et al. 2022, arXiv 2211.15841; Megatron-LM's
//! `MoELayer`). Sending tokens to other ranks is not among the operators.

use super::linear::{
    GRADIENT, INPUT, Linear, Names, Quantising, quantise, quantised, weight_gradient,
};
use super::mlp;
use super::piece::Piece;
use super::rows::{Rows, elementwise, rows_moved};
use crate::activation::Kept;
use crate::model::Experts;
use crate::{Capacity, GroupedGemm, Operator, Quantisation, Work};

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
    let router = Linear::new(rows, ROUTER, &[bank.router_weight(rows.hidden)]);
    let mut piece =
        Piece { keeps_input: rows.trained(), gathered: rows.whole_stream(), ..Piece::default() };
    let scores = rows.own_tokens * f64::from(bank.experts);
    let choices = rows.own_tokens * f64::from(bank.top_k);

    piece.forward.extend(router.forward());
    piece.forward.extend(selection(bank, scores, choices));
    piece.forward.push(rows_moved("permute tokens", 2.0 * rows.element * local.stream()));
    piece.forward.extend(local.quantise(&INPUT, local.up().inputs));
    piece.forward.push(local.product("expert up", &local.up()));
    piece.forward.push(elementwise("activation", rows.element * local.rows * local.activated()));
    piece.forward.extend(local.quantise(&INPUT, local.down().inputs));
    piece.forward.push(local.product("expert down", &local.down()));
    // Reads every expert's row, writes one sum for each token.
    let gathered = rows.element * (local.stream() + rows.whole_stream());
    piece.forward.push(rows_moved("unpermute tokens", gathered));

    // Writes the rows' gradients, and reads rows and gradients again for those of the weights.
    let scattered = rows.element * (3.0 * local.stream() + rows.whole_stream());
    piece.backward.push(rows_moved("unpermute tokens backward", scattered));
    piece.backward.extend(local.bias_gradient(local.down().outputs));
    piece.backward.extend(local.quantise(&GRADIENT, local.down().outputs));
    piece.backward.push(local.product("expert down input gradient", &local.down().transposed()));
    piece.backward.extend(local.weight_gradient("expert down weight gradient", &local.down()));
    let moved = rows.element * local.rows * (local.activated() + local.up().outputs);
    piece.backward.push(elementwise("activation backward", moved));
    piece.backward.extend(local.bias_gradient(local.up().outputs));
    piece.backward.extend(local.quantise(&GRADIENT, local.up().outputs));
    piece.backward.push(local.product("expert up input gradient", &local.up().transposed()));
    piece.backward.push(rows_moved("permute tokens backward", gathered));
    piece.backward.push(elementwise("router softmax backward", 3.0 * SCORE * scores));
    piece.backward.extend(router.backward());
    piece.deferrable.extend(local.weight_gradient("expert up weight gradient", &local.up()));

    // Scores and choices; rows in the order of experts, before and after each product.
    let stored = local.up().outputs + rows.hidden as f64;
    let inputs = rows.hidden as f64 + local.down().inputs;
    piece.kept = Kept {
        stream: SCORE * scores + CHOICE * choices,
        split: (rows.element * stored + local.operand_bytes() * inputs) * local.rows,
        widest: local.rows * local.up().outputs,
        waiting: router.waiting_gradient() + local.waiting(),
        ..Kept::default()
    };
    add_shared(&mut piece, rows, bank);
    piece
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
fn add_shared(piece: &mut Piece, rows: &Rows, bank: &Experts) {
    let Some(mlp) = bank.shared_mlp() else { return };
    let shared = mlp::piece(rows, mlp);
    piece.forward.extend(shared.forward);
    piece.backward.extend(shared.backward);
    piece.deferrable.extend(shared.deferrable);
    piece.kept = piece.kept.and(shared.kept);
    piece.quantised_input += shared.quantised_input;
    let stream = rows.whole_stream();
    if let Some(weight) = bank.shared_gate(rows.hidden) {
        let gate = Linear::new(rows, SHARED_GATE, &[weight]);
        piece.forward.extend(gate.forward());
        piece.forward.push(elementwise("gate shared expert", 2.0 * rows.element * stream));
        piece
            .backward
            .push(elementwise("gate shared expert backward", 3.0 * rows.element * stream));
        piece.backward.extend(gate.backward());
        piece.kept.split += rows.element * stream;
        piece.kept.waiting += gate.waiting_gradient();
    }
    piece.forward.push(elementwise("add shared expert", 3.0 * rows.element * stream));
    piece.backward.push(elementwise("shared expert gradient sum", 3.0 * rows.element * stream));
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
        Self { rank, bank, experts, rows: mean * load, split }
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

    /// Elements of a row that the activation function reads and writes.
    fn activated(&self) -> f64 {
        self.up().outputs + self.down().inputs
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

    /// The kernels that quantise `width` columns of all rows.
    fn quantise(&self, names: &Quantising, width: f64) -> Vec<Operator> {
        let trained = self.rank.trained();
        quantise(self.rank, self.rank.path.quantisation, names, self.rows * width, trained)
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

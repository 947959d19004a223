//! The products of a linear layer, and of the adapters beside it.

use super::rows::{Rows, elementwise};
use crate::model::{Split, Weight};
use crate::{Deferral, Operator, Work};

/// Names of a linear layer's products.
#[derive(Clone, Copy)]
pub(super) struct Names {
    pub(super) forward: &'static str,
    pub(super) input: &'static str,
    pub(super) weight: &'static str,
}

/// Matrices that multiply the same rows in one product, on one rank.
pub(super) struct Linear<'a> {
    rows: Rows<'a>,
    names: Names,
    tokens: u64,
    pub(super) inputs: u64,
    pub(super) outputs: u64,
    /// Tokens that the bias's gradient is summed over, where there is a bias.
    bias_tokens: Option<f64>,
    adapters: Vec<Adapter>,
}

/// The two matrices of a low-rank detour, on one rank: of a matrix that is split by its outputs the
/// first is split by its rank, of one that is split by its inputs as that is; the second is always
/// split by its outputs.
struct Adapter {
    inputs: u64,
    /// Width of the first product on this rank.
    rank_share: u64,
    rank: u64,
    outputs: u64,
}

impl<'a> Linear<'a> {
    /// One product of several matrices over the tokens of the tensor-parallel region, or, of
    /// matrices that every rank holds whole, over the rank's own.
    pub(super) fn new(rows: &Rows<'a>, names: Names, weights: &[Weight]) -> Self {
        let split = weights.first().map_or(Split::Whole, |weight| weight.split);
        let tokens = if split == Split::Whole { rows.own_rows() } else { rows.tokens };
        let bias_tokens = match split {
            Split::Columns => rows.tokens as f64,
            Split::Rows | Split::Whole => rows.own_tokens,
        };
        let inputs = |weight: &Weight| match split {
            Split::Rows => rows.share(weight.inputs),
            Split::Columns | Split::Whole => weight.inputs,
        };
        let outputs = |weight: &Weight| match split {
            Split::Columns => rows.share(weight.outputs),
            Split::Rows | Split::Whole => weight.outputs,
        };
        let adapter = |weight: &Weight| {
            let adapters = rows.adapters().filter(|adapters| adapters.covers(weight))?;
            let rank = u64::from(adapters.rank);
            Some(Adapter {
                inputs: inputs(weight),
                rank_share: if split == Split::Columns { rows.share(rank) } else { rank },
                rank,
                outputs: if split == Split::Whole {
                    weight.outputs
                } else {
                    rows.share(weight.outputs)
                },
            })
        };
        Self {
            rows: *rows,
            names,
            tokens,
            inputs: weights.first().map_or(0, inputs),
            outputs: weights.iter().map(outputs).sum(),
            bias_tokens: weights.iter().any(|weight| weight.bias).then_some(bias_tokens),
            adapters: weights.iter().filter_map(adapter).collect(),
        }
    }

    /// The same over other tokens than the split says.
    pub(super) fn over(self, tokens: u64) -> Self {
        Self { tokens, bias_tokens: self.bias_tokens.map(|_| tokens as f64), ..self }
    }

    /// `Y = X W`; then for each adapter `Y += X A B`.
    pub(super) fn forward(&self) -> Vec<Operator> {
        let mut ops = vec![gemm(self.names.forward, self.tokens, self.outputs, self.inputs, 1)];
        for adapter in &self.adapters {
            let Adapter { inputs, rank_share, rank, outputs } = *adapter;
            ops.push(gemm("adapter in", self.tokens, rank_share, inputs, 1));
            ops.push(gemm("adapter out", self.tokens, outputs, rank, 1));
            ops.push(self.scaled_sum("adapter sum", outputs));
        }
        ops
    }

    /// `dX = dY W^T`; then for each adapter `dX += dY B^T A^T`.
    pub(super) fn input_gradient(&self) -> Vec<Operator> {
        let mut ops = vec![gemm(self.names.input, self.tokens, self.inputs, self.outputs, 1)];
        for adapter in &self.adapters {
            let Adapter { inputs, rank_share, rank, outputs } = *adapter;
            ops.push(gemm("adapter out input gradient", self.tokens, rank, outputs, 1));
            ops.push(gemm("adapter in input gradient", self.tokens, inputs, rank_share, 1));
            ops.push(self.scaled_sum("adapter gradient sum", inputs));
        }
        ops
    }

    /// `dW = X^T dY`, and adding it to the gradient buffer where the product does not; of a frozen
    /// matrix only the same for its adapters.
    pub(super) fn weight_gradient(&self) -> Vec<Operator> {
        let mut ops = Vec::new();
        let mut product = |name, m: u64, n: u64| {
            let product = gemm(name, m, n, self.tokens, 1);
            ops.extend(weight_gradient(&self.rows, product, m as f64 * n as f64));
        };
        if self.rows.trained() {
            product(self.names.weight, self.inputs, self.outputs);
        }
        for adapter in &self.adapters {
            product("adapter out weight gradient", adapter.rank, adapter.outputs);
            product("adapter in weight gradient", adapter.inputs, adapter.rank_share);
        }
        ops
    }

    /// The gradient of the bias: none where there is no bias, or none that is trained.
    pub(super) fn bias_gradient(&self) -> Option<Operator> {
        let tokens = self.bias_tokens.filter(|_| self.rows.trained())?;
        Some(self.rows.bias_gradient(tokens, self.outputs))
    }

    /// The whole backward pass, for what is not the first to read a block's input: there weight
    /// gradients stand apart, behind all others.
    pub(super) fn backward(&self) -> Vec<Operator> {
        let mut ops: Vec<Operator> = self.bias_gradient().into_iter().collect();
        ops.extend(self.input_gradient());
        ops.extend(self.weight_gradient());
        ops
    }

    /// Whether the weight gradients want the product's input.
    pub(super) fn keeps_input(&self) -> bool {
        self.rows.trained() || !self.adapters.is_empty()
    }

    /// Bytes that are kept of the input for the backward pass, and of the middle of adapters.
    pub(super) fn kept(&self) -> f64 {
        let input = if self.keeps_input() { self.inputs as f64 } else { 0.0 };
        self.rows.element * self.tokens as f64 * input + self.kept_inside()
    }

    /// Bytes that wait for the weight gradients once the input's gradient is there: what is kept of
    /// the input and of the middle of adapters, and the gradient of the output. Nothing where nothing
    /// is trained.
    pub(super) fn waiting(&self) -> f64 {
        self.kept() + self.waiting_gradient()
    }

    /// Bytes of the output's gradient that wait for the weight gradients.
    pub(super) fn waiting_gradient(&self) -> f64 {
        let output = if self.keeps_input() { self.outputs as f64 } else { 0.0 };
        self.rows.element * self.tokens as f64 * output
    }

    /// Bytes that are kept of the middle of adapters.
    pub(super) fn kept_inside(&self) -> f64 {
        let middle: u64 = self.adapters.iter().map(|adapter| adapter.rank_share).sum();
        self.rows.element * self.tokens as f64 * middle as f64
    }

    /// Scales one operand (read, write) and adds it to the other (read, read, write).
    fn scaled_sum(&self, name: &'static str, width: u64) -> Operator {
        elementwise(name, 5.0 * self.rows.element * self.tokens as f64 * width as f64)
    }
}

/// The gradient of so many weights, free to wait: the product, and adding its result to the gradient
/// buffer where a kernel of its own does it.
pub(super) fn weight_gradient(
    rows: &Rows,
    product: Operator,
    weights: f64,
) -> impl Iterator<Item = Operator> + use<> {
    let sum = rows.accumulation.map(|bytes| elementwise("accumulate gradient", bytes * weights));
    deferred(std::iter::once(product).chain(sum), Deferral::WeightPass)
}

/// The same operators, free to wait.
pub(super) fn deferred(
    operators: impl IntoIterator<Item = Operator>,
    deferral: Deferral,
) -> impl Iterator<Item = Operator> {
    operators.into_iter().map(move |operator| Operator { deferral, ..operator })
}

pub(super) fn gemm(name: &'static str, m: u64, n: u64, k: u64, batch: u64) -> Operator {
    Operator::new(name, Work::Gemm { m, n, k, batch })
}

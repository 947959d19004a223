//! The products of a linear layer, and of the adapters beside it.

use super::rows::{Rows, elementwise};
use crate::model::{Split, Weight};
use crate::{Deferral, Operands, Operator, Quantisation, Work};

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
    bias: bool,
    /// How its operands are quantised, if so.
    quantisation: Option<Quantisation>,
    /// Tokens of the input that this rank quantises: under sequence parallelism its own, before they
    /// are gathered.
    input_tokens: f64,
    /// Tokens of the output's gradient that this rank quantises and sums up for the bias: likewise.
    gradient_tokens: f64,
    /// Its input is kept for others as it is stored: the weight gradient quantises it again.
    shares_input: bool,
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
        let whole = rows.tokens as f64;
        let (input_tokens, gradient_tokens) = match split {
            Split::Columns => (rows.own_tokens, whole),
            Split::Rows => (whole, rows.own_tokens),
            Split::Whole => (rows.own_tokens, rows.own_tokens),
        };
        let unquantised = weights.iter().any(|weight| weight.unquantised);
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
            bias: weights.iter().any(|weight| weight.bias),
            quantisation: rows.path.quantisation.filter(|_| !unquantised),
            input_tokens,
            gradient_tokens,
            shares_input: false,
            adapters: weights.iter().filter_map(adapter).collect(),
        }
    }

    /// The same over other tokens than the split says.
    pub(super) fn over(self, tokens: u64) -> Self {
        Self { tokens, input_tokens: tokens as f64, gradient_tokens: tokens as f64, ..self }
    }

    /// The same where its input is kept for others as it is stored, too.
    pub(super) fn sharing_input(self) -> Self {
        let again = self.quantisation.is_some_and(Quantisation::quantises_again);
        Self { shares_input: again && self.rows.trained(), ..self }
    }

    /// `Y = X W`; then for each adapter `Y += X A B`.
    pub(super) fn forward(&self) -> Vec<Operator> {
        let mut ops = self.quantise_input();
        ops.push(self.product(self.names.forward, self.tokens, self.outputs, self.inputs));
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
        let mut ops = self.quantise_gradient();
        ops.push(self.product(self.names.input, self.tokens, self.inputs, self.outputs));
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
        let mut add = |product, m: u64, n: u64| {
            ops.extend(weight_gradient(&self.rows, product, m as f64 * n as f64));
        };
        if self.rows.trained() {
            let (m, n) = (self.inputs, self.outputs);
            add(self.product(self.names.weight, m, n, self.tokens), m, n);
        }
        for adapter in &self.adapters {
            let Adapter { inputs, rank_share, rank, outputs } = *adapter;
            add(gemm("adapter out weight gradient", rank, outputs, self.tokens, 1), rank, outputs);
            let product = gemm("adapter in weight gradient", inputs, rank_share, self.tokens, 1);
            add(product, inputs, rank_share);
        }
        ops
    }

    /// A product of the layer's own matrix.
    fn product(&self, name: &'static str, m: u64, n: u64, k: u64) -> Operator {
        let product = gemm(name, m, n, k, 1);
        if self.quantisation.is_some() { quantised(product) } else { product }
    }

    /// The input for the forward product, and for the weight gradient.
    fn quantise_input(&self) -> Vec<Operator> {
        let weights = self.rows.trained() && !self.shares_input;
        quantise(&self.rows, self.quantisation, &INPUT, self.input_elements(), weights)
    }

    /// The input for the weight gradient, where no copy was kept.
    fn quantise_input_again(&self) -> Vec<Operator> {
        if self.shares_input {
            quantise(&self.rows, self.quantisation, &INPUT, self.input_elements(), false)
        } else {
            Vec::new()
        }
    }

    /// Elements of the input that this rank quantises.
    fn input_elements(&self) -> f64 {
        self.input_tokens * self.inputs as f64
    }

    /// The output's gradient for the input's, and for the weights'.
    fn quantise_gradient(&self) -> Vec<Operator> {
        let elements = self.gradient_tokens * self.outputs as f64;
        let weights = self.rows.trained();
        quantise(&self.rows, self.quantisation, &GRADIENT, elements, weights)
    }

    /// The gradient of the bias: none where there is no bias, or none that is trained.
    pub(super) fn bias_gradient(&self) -> Option<Operator> {
        let summed = self.bias && self.rows.trained();
        summed.then(|| self.rows.bias_gradient(self.gradient_tokens, self.outputs))
    }

    /// The whole backward pass, for what is not the first to read a block's input: there weight
    /// gradients stand apart, behind all others.
    pub(super) fn backward(&self) -> Vec<Operator> {
        let mut ops: Vec<Operator> = self.bias_gradient().into_iter().collect();
        ops.extend(self.input_gradient());
        ops.extend(self.quantise_input_again());
        ops.extend(self.weight_gradient());
        ops
    }

    /// Whether the product's input is kept as it is stored.
    pub(super) fn keeps_input(&self) -> bool {
        let stored = self.quantisation.is_none() || self.shares_input;
        self.rows.trained() && stored || !self.adapters.is_empty()
    }

    /// Bytes of an element of the quantised input that the weight gradient wants; zero where it wants
    /// none.
    pub(super) fn quantised_input(&self) -> f64 {
        if self.shares_input { 0.0 } else { self.copy_bytes() }
    }

    /// Bytes of an element of the quantised copies that the weight gradient multiplies; zero where it
    /// multiplies none.
    fn copy_bytes(&self) -> f64 {
        let wanted = self.quantisation.filter(|_| self.rows.trained());
        wanted.map_or(0.0, Quantisation::operand_bytes)
    }

    /// Bytes of an element that the weight gradients multiply. Of a frozen matrix the adapters want it as
    /// it is stored.
    fn operand_bytes(&self) -> f64 {
        if self.keeps_input() && !self.shares_input { self.rows.element } else { self.copy_bytes() }
    }

    /// Bytes that are kept of an element of the input for the backward pass.
    pub(super) fn input_bytes(&self) -> f64 {
        if self.keeps_input() { self.rows.element } else { self.quantised_input() }
    }

    /// Bytes that are kept of the input for the backward pass, and of the middle of adapters.
    pub(super) fn kept(&self) -> f64 {
        self.input_bytes() * self.tokens as f64 * self.inputs as f64 + self.kept_inside()
    }

    /// Bytes that wait for the weight gradients once the input's gradient is there: what is kept of
    /// the input and of the middle of adapters, and the gradient of the output. Nothing where nothing
    /// is trained.
    pub(super) fn waiting(&self) -> f64 {
        let input = self.operand_bytes() * self.tokens as f64 * self.inputs as f64;
        input + self.kept_inside() + self.waiting_gradient()
    }

    /// Bytes of the output's gradient that wait for the weight gradients.
    pub(super) fn waiting_gradient(&self) -> f64 {
        self.operand_bytes() * self.tokens as f64 * self.outputs as f64
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

/// Names of the kernels that quantise a tensor: its largest magnitude, the copies.
pub(super) struct Quantising {
    look: &'static str,
    copy: &'static str,
}

/// A product's input.
pub(super) const INPUT: Quantising = Quantising { look: "largest input", copy: "quantise input" };
/// The gradient of a product's output.
pub(super) const GRADIENT: Quantising =
    Quantising { look: "largest gradient", copy: "quantise gradient" };

/// The kernels that quantise so many elements for products over rows and, if `both`, over columns.
pub(super) fn quantise(
    rows: &Rows,
    quantisation: Option<Quantisation>,
    names: &Quantising,
    elements: f64,
    both: bool,
) -> Vec<Operator> {
    let Some(quantisation) = quantisation else { return Vec::new() };
    let look = quantisation.looks_first().then(|| elementwise(names.look, rows.element * elements));
    let copies = if both { quantisation.copies() } else { 1 };
    let written = f64::from(copies) * quantisation.operand_bytes();
    let copy = elementwise(names.copy, (rows.element + written) * elements);
    look.into_iter().chain([copy]).collect()
}

/// The same product of quantised operands.
pub(super) fn quantised(mut product: Operator) -> Operator {
    product.operands = Operands::Quantised;
    product
}

pub(super) fn gemm(name: &'static str, m: u64, n: u64, k: u64, batch: u64) -> Operator {
    Operator::new(name, Work::Gemm { m, n, k, batch })
}

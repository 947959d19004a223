//! The products that read a piece's input.

use super::linear::{Linear, Names};
use super::piece::Piece;
use super::rows::{Rows, elementwise};
use super::{ExchangeKind, ProcessGroup};
use crate::model::Weight;
use crate::{Operator, Pass};

/// What multiplies a piece's input: matrices side by side in one product, or each in its own.
pub(super) struct Inputs<'a> {
    rows: &'a Rows<'a>,
    products: Vec<Linear<'a>>,
}

impl<'a> Inputs<'a> {
    /// One product of all matrices.
    pub(super) fn merged(rows: &'a Rows<'a>, names: Names, weights: &[Weight]) -> Self {
        Self { rows, products: vec![Linear::new(rows, names, weights)] }
    }

    /// A product for each matrix.
    pub(super) fn apart<const N: usize>(
        rows: &'a Rows<'a>,
        names: [Names; N],
        weights: &[Weight],
    ) -> Self {
        let product = |(names, weight)| Linear::new(rows, names, std::slice::from_ref(weight));
        Self { rows, products: names.into_iter().zip(weights).map(product).collect() }
    }

    /// Columns on this rank.
    pub(super) fn outputs(&self) -> u64 {
        self.products.iter().map(|product| product.outputs).sum()
    }

    pub(super) fn forward(&self) -> Vec<Operator> {
        self.products.iter().flat_map(Linear::forward).collect()
    }

    /// Input gradients, of several products their sum; weight gradients are deferred. Without sequence
    /// parallelism each product is a column-parallel layer of its own, whose input's gradient the ranks
    /// add up themselves; the last one's is the block's matter.
    pub(super) fn backward_into(&self, piece: &mut Piece) {
        let stream = self.rows.whole_stream();
        for (index, product) in self.products.iter().enumerate() {
            if index > 0 && !self.rows.shard.sequence_parallel {
                let summed = ExchangeKind::AllReduce;
                piece.exchange(Pass::Backward, ProcessGroup::Tensor, summed, stream);
            }
            piece.backward.extend(product.bias_gradient());
            piece.backward.extend(product.input_gradient());
            if index > 0 {
                let moved = 3.0 * self.rows.element * stream;
                piece.backward.push(elementwise("input gradient sum", moved));
            }
            piece.deferrable.extend(product.weight_gradient());
        }
    }

    /// Whether the input is kept as it is stored.
    pub(super) fn keeps_input(&self) -> bool {
        self.products.iter().any(Linear::keeps_input)
    }

    /// Bytes of an element of the quantised copies of the input that weight gradients want.
    pub(super) fn quantised_input(&self) -> f64 {
        self.products.iter().map(Linear::quantised_input).sum()
    }

    /// Bytes that are kept of the middle of adapters.
    pub(super) fn kept_inside(&self) -> f64 {
        self.products.iter().map(Linear::kept_inside).sum()
    }

    /// Bytes of the outputs' gradients that wait for the weight gradients.
    pub(super) fn waiting_gradient(&self) -> f64 {
        self.products.iter().map(Linear::waiting_gradient).sum()
    }
}

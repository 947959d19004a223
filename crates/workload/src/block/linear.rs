//! The three products of a linear layer.

use super::rows::{Rows, elementwise};
use crate::{Deferral, Operator, Work};

/// A linear layer of `tokens` rows from `inputs` to `outputs` columns.
pub(super) struct Linear {
    pub(super) tokens: u64,
    pub(super) inputs: u64,
    pub(super) outputs: u64,
}

impl Linear {
    /// `Y = X W`.
    pub(super) fn forward(&self, name: &'static str) -> Operator {
        gemm(name, self.tokens, self.outputs, self.inputs, 1)
    }

    /// `dX = dY W^T`.
    pub(super) fn input_gradient(&self, name: &'static str) -> Operator {
        gemm(name, self.tokens, self.inputs, self.outputs, 1)
    }

    /// `dW = X^T dY`, and adding it to the gradient buffer where the product does not.
    pub(super) fn weight_gradient(
        &self,
        rows: &Rows,
        name: &'static str,
    ) -> impl Iterator<Item = Operator> + use<> {
        self.weight_gradient_deferred(rows, name, Deferral::WeightPass)
    }

    /// `dW` of a block's first linear layer, which may run while the input's gradient is exchanged.
    pub(super) fn deferrable_weight_gradient(
        &self,
        rows: &Rows,
        name: &'static str,
    ) -> impl Iterator<Item = Operator> + use<> {
        self.weight_gradient_deferred(rows, name, Deferral::Exchange)
    }

    fn weight_gradient_deferred(
        &self,
        rows: &Rows,
        name: &'static str,
        deferral: Deferral,
    ) -> impl Iterator<Item = Operator> + use<> {
        let product = gemm(name, self.inputs, self.outputs, self.tokens, 1);
        let weights = self.inputs as f64 * self.outputs as f64;
        let accumulation =
            rows.accumulation.map(|bytes| elementwise("accumulate gradient", bytes * weights));
        std::iter::once(product)
            .chain(accumulation)
            .map(move |operator| Operator { deferral, ..operator })
    }
}

pub(super) fn gemm(name: &'static str, m: u64, n: u64, k: u64, batch: u64) -> Operator {
    Operator::new(name, Work::Gemm { m, n, k, batch })
}

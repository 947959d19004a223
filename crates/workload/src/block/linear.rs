//! The three products of a linear layer.

use super::rows::{Rows, elementwise};
use crate::{Operator, Work};

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
    pub(super) fn weight_gradient(&self, rows: &Rows, name: &'static str) -> Vec<Operator> {
        let mut ops = vec![gemm(name, self.inputs, self.outputs, self.tokens, 1)];
        let weights = self.inputs as f64 * self.outputs as f64;
        ops.extend(
            rows.accumulation.map(|bytes| elementwise("accumulate gradient", bytes * weights)),
        );
        ops
    }

    /// `dW`, which may run while the input's gradient is all-reduced.
    pub(super) fn deferrable_weight_gradient(
        &self,
        rows: &Rows,
        name: &'static str,
    ) -> impl Iterator<Item = Operator> + use<> {
        self.weight_gradient(rows, name)
            .into_iter()
            .map(|operator| Operator { deferrable: true, ..operator })
    }
}

pub(super) fn gemm(name: &'static str, m: u64, n: u64, k: u64, batch: u64) -> Operator {
    Operator::new(name, Work::Gemm { m, n, k, batch })
}

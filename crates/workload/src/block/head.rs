//! The head block: BERT's dense layer, final norm, logits, cross entropy.

use super::linear::Linear;
use super::rows::{Rows, elementwise};
use crate::Operator;

/// BERT's dense layer runs whole on every rank.
fn dense(rows: &Rows) -> Option<Linear> {
    rows.model.masked_language_head().then(|| Linear {
        tokens: rows.tokens,
        inputs: rows.hidden(),
        outputs: rows.hidden(),
    })
}

fn logits(rows: &Rows) -> Linear {
    Linear {
        tokens: rows.tokens,
        inputs: rows.hidden(),
        outputs: rows.share(u64::from(rows.model.vocab)),
    }
}

/// Logits of this rank's part of the vocabulary.
fn logit_count(rows: &Rows) -> f64 {
    rows.tokens as f64 * logits(rows).outputs as f64
}

/// The cast to fp32, where the logits are narrower.
fn cast(rows: &Rows, name: &'static str) -> Option<Operator> {
    rows.path.precision.mixed().then(|| elementwise(name, (rows.element + 4.0) * logit_count(rows)))
}

/// Cross entropy in fp32 as four kernels: the maximum (read), its subtraction (read, write), the
/// exponentials (read, write) with their sum (read), the division (read, write).
pub(super) fn forward(rows: &Rows) -> Vec<Operator> {
    let mut ops = Vec::new();
    if let Some(dense) = dense(rows) {
        let moved = 2.0 * rows.element * rows.tokens as f64 * rows.hidden() as f64;
        ops.push(dense.forward("head dense"));
        ops.push(elementwise("head activation", moved));
    }
    ops.push(rows.norm_forward());
    ops.push(logits(rows).forward("logits"));
    ops.extend(cast(rows, "logits to fp32"));
    ops.push(elementwise("cross entropy", 8.0 * 4.0 * logit_count(rows)));
    ops
}

/// The loss's gradient from the kept probabilities (read, write), its cast, the products.
pub(super) fn backward(rows: &Rows) -> Vec<Operator> {
    let logits = logits(rows);
    let mut ops = vec![elementwise("cross entropy backward", 2.0 * 4.0 * logit_count(rows))];
    ops.extend(cast(rows, "logit gradients from fp32"));
    ops.push(logits.input_gradient("logits input gradient"));
    ops.push(rows.norm_backward());
    if let Some(dense) = dense(rows) {
        let moved = 3.0 * rows.element * rows.tokens as f64 * rows.hidden() as f64;
        ops.push(elementwise("head activation backward", moved));
        ops.extend(rows.bias_backward(rows.tokens as f64, rows.hidden()));
        ops.push(dense.input_gradient("head dense input gradient"));
        ops.extend(dense.weight_gradient(rows, "head dense weight gradient"));
    }
    ops.extend(logits.deferrable_weight_gradient(rows, "logits weight gradient"));
    ops
}

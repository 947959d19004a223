//! The MLP block.

use super::linear::Linear;
use super::rows::{Rows, elementwise};
use crate::Operator;

/// Gate and input are one product, as implementations run them.
fn up(rows: &Rows) -> Linear {
    let gates = if rows.model.gated_mlp { 2 } else { 1 };
    Linear {
        tokens: rows.tokens,
        inputs: rows.hidden(),
        outputs: gates * rows.share(u64::from(rows.model.ffn)),
    }
}

fn down(rows: &Rows) -> Linear {
    Linear {
        tokens: rows.tokens,
        inputs: rows.share(u64::from(rows.model.ffn)),
        outputs: rows.hidden(),
    }
}

pub(super) fn forward(rows: &Rows) -> Vec<Operator> {
    let (up, down) = (up(rows), down(rows));
    let read_and_written = (up.outputs + down.inputs) as f64;
    vec![
        rows.norm_forward(),
        up.forward("mlp up"),
        elementwise("activation", rows.element * rows.tokens as f64 * read_and_written),
        down.forward("mlp down"),
        rows.residual_forward(),
    ]
}

pub(super) fn backward(rows: &Rows) -> Vec<Operator> {
    let (up, down) = (up(rows), down(rows));
    // Reads the output's gradient and the kept input, writes the input's gradient.
    let moved = (down.inputs + 2 * up.outputs) as f64;
    let mut ops = Vec::new();
    ops.extend(rows.dropout_backward());
    ops.extend(rows.bias_backward(rows.own_tokens, rows.hidden()));
    ops.push(down.input_gradient("mlp down input gradient"));
    ops.extend(down.weight_gradient(rows, "mlp down weight gradient"));
    ops.push(elementwise("activation backward", rows.element * rows.tokens as f64 * moved));
    ops.extend(rows.bias_backward(rows.tokens as f64, up.outputs));
    ops.push(up.input_gradient("mlp up input gradient"));
    ops.push(rows.norm_backward());
    ops.push(rows.residual_backward());
    ops.extend(up.deferrable_weight_gradient(rows, "mlp up weight gradient"));
    ops
}

//! The attention block.

use motley_units::Bytes;

use super::linear::{Linear, gemm};
use super::rows::{Rows, elementwise};
use crate::{AttentionKernel, AttentionMask, Operator, Pass, Positions, Work};

fn query_key_value(rows: &Rows) -> Linear {
    let model = rows.model;
    Linear {
        tokens: rows.tokens,
        inputs: rows.hidden(),
        outputs: rows.share(model.query_width()) + 2 * rows.share(model.kv_width()),
    }
}

fn projection(rows: &Rows) -> Linear {
    Linear {
        tokens: rows.tokens,
        inputs: rows.share(rows.model.query_width()),
        outputs: rows.hidden(),
    }
}

pub(super) fn forward(rows: &Rows) -> Vec<Operator> {
    let mut ops = vec![rows.norm_forward(), query_key_value(rows).forward("qkv")];
    ops.extend(rotary(rows));
    match unfused_core_forward(rows) {
        Some(core) => ops.extend(core),
        None => ops.push(flash(rows, Pass::Forward)),
    }
    ops.push(projection(rows).forward("projection"));
    ops.push(rows.residual_forward());
    ops
}

pub(super) fn backward(rows: &Rows) -> Vec<Operator> {
    let (qkv, projection) = (query_key_value(rows), projection(rows));
    let mut ops = Vec::new();
    ops.extend(rows.dropout_backward());
    ops.extend(rows.bias_backward(rows.own_tokens, rows.hidden()));
    ops.push(projection.input_gradient("projection input gradient"));
    ops.extend(projection.weight_gradient(rows, "projection weight gradient"));
    match unfused_core_backward(rows) {
        Some(core) => ops.extend(core),
        None => ops.push(flash(rows, Pass::Backward)),
    }
    ops.extend(rotary(rows));
    ops.extend(rows.bias_backward(rows.tokens as f64, qkv.outputs));
    ops.push(qkv.input_gradient("qkv input gradient"));
    ops.push(rows.norm_backward());
    ops.push(rows.residual_backward());
    ops.extend(qkv.deferrable_weight_gradient(rows, "qkv weight gradient"));
    ops
}

/// Rotation of queries and keys, the same in both directions: reads and writes them.
fn rotary(rows: &Rows) -> Option<Operator> {
    (rows.model.positions == Positions::Rotary).then(|| {
        let model = rows.model;
        let width = rows.share(model.query_width()) + rows.share(model.kv_width());
        elementwise("rotary", 2.0 * rows.element * rows.tokens as f64 * width as f64)
    })
}

fn flash(rows: &Rows, pass: Pass) -> Operator {
    let name = match pass {
        Pass::Forward => "flash attention",
        Pass::Backward => "flash attention backward",
    };
    let work = Work::FlashAttention {
        batch: rows.batch,
        heads: rows.share(u64::from(rows.model.heads)),
        kv_heads: rows.share(u64::from(rows.model.kv_heads)),
        sequence: rows.sequence,
        head_dim: u64::from(rows.model.head_dim),
        causal: rows.model.attention == AttentionMask::Causal,
        pass,
    };
    Operator::new(name, work)
}

/// The unfused core's sizes.
struct Core {
    /// Products: sequences times heads.
    batch: u64,
    /// Tokens of a sequence.
    sequence: u64,
    /// Width of a head.
    head_dim: u64,
    /// Scores of all heads.
    scores: f64,
    /// Elements of the heads' outputs.
    outputs: f64,
    /// The share of the scores that the softmax reads: half under a causal mask, whose kernel
    /// skips what lies above the diagonal but writes zeros there.
    visible: f64,
}

fn core(rows: &Rows) -> Option<Core> {
    if rows.path.attention == AttentionKernel::Flash {
        return None;
    }
    let batch = rows.batch * rows.share(u64::from(rows.model.heads));
    let (sequence, head_dim) = (rows.sequence, u64::from(rows.model.head_dim));
    Some(Core {
        batch,
        sequence,
        head_dim,
        scores: batch as f64 * sequence as f64 * sequence as f64,
        outputs: batch as f64 * sequence as f64 * head_dim as f64,
        visible: match rows.model.attention {
            AttentionMask::Causal => 0.5,
            AttentionMask::Bidirectional => 1.0,
        },
    })
}

/// Scores, softmax, dropout, values, and the copy of the heads' outputs into token order. `None`
/// for FlashAttention.
pub(super) fn unfused_core_forward(rows: &Rows) -> Option<Vec<Operator>> {
    let Core { batch, sequence: s, head_dim: d, scores, outputs, visible } = core(rows)?;
    let softmax = Work::Softmax { bytes: Bytes(rows.element * (1.0 + visible) * scores) };
    let mut ops = vec![gemm("scores", s, s, d, batch), Operator::new("softmax", softmax)];
    ops.extend(rows.dropout_forward("attention dropout", scores));
    ops.push(gemm("values", s, d, s, batch));
    ops.push(elementwise("transpose heads", 2.0 * rows.element * outputs));
    Some(ops)
}

fn unfused_core_backward(rows: &Rows) -> Option<Vec<Operator>> {
    let Core { batch, sequence: s, head_dim: d, scores, outputs, visible } = core(rows)?;
    let mut ops = vec![
        elementwise("transpose heads backward", 2.0 * rows.element * outputs),
        gemm("probabilities gradient", s, s, d, batch),
        gemm("values gradient", s, d, s, batch),
    ];
    if rows.model.dropout {
        ops.push(elementwise(
            "attention dropout backward",
            (2.0 * rows.element + rows.mask) * scores,
        ));
    }
    // Reads probabilities and their gradient, writes the scores' gradient.
    let softmax = Work::Softmax { bytes: Bytes(rows.element * (1.0 + 2.0 * visible) * scores) };
    ops.push(Operator::new("softmax backward", softmax));
    ops.push(gemm("queries gradient", s, d, s, batch));
    ops.push(gemm("keys gradient", s, d, s, batch));
    Some(ops)
}

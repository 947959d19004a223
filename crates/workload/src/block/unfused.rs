//! Chains of operations that run as a kernel each, as eager PyTorch runs the models of Hugging Face's
//! `transformers` (`modeling_llama.py`). Each reads its operands from memory and writes its result.

use motley_units::Bytes;

use super::rows::{Rows, elementwise};
use crate::{Operator, Work};

/// Names of a chain's kernels, and the bytes of an element that each moves.
type Chain = Vec<(&'static str, f64)>;

fn kernels(chain: Chain, elements: f64) -> Vec<Operator> {
    let moved = chain.into_iter().filter(|&(_, bytes)| bytes > 0.0);
    moved.map(|(name, bytes)| elementwise(name, bytes * elements)).collect()
}

/// Bytes of a cast between elements as they are stored and fp32; none where they are that.
fn cast(rows: &Rows) -> f64 {
    if rows.path.precision.mixed() { rows.element + 4.0 } else { 0.0 }
}

/// RMS norm in fp32 (`LlamaRMSNorm`): its statistics are too small to count but by the kernels that
/// sum them up.
pub(super) fn rms_norm(rows: &Rows, elements: f64) -> Vec<Operator> {
    let e = rows.element;
    let chain = vec![
        ("norm to fp32", cast(rows)),
        ("norm square", 8.0),
        ("norm mean", 4.0),
        ("norm scale", 8.0),
        ("norm from fp32", cast(rows)),
        ("norm weight", 2.0 * e),
    ];
    kernels(chain, elements)
}

/// Its gradient, kernel by kernel as autograd finds it: through the weight, the scale, the mean and
/// the square, whose gradient is added to that of the scale.
pub(super) fn rms_norm_gradient(rows: &Rows, elements: f64) -> Vec<Operator> {
    let e = rows.element;
    let trained = if rows.trained() { e } else { 0.0 };
    let chain = vec![
        ("norm weight backward", 2.0 * e),
        ("norm weight gradient", 3.0 * trained),
        ("norm weight gradient sum", trained),
        ("norm from fp32 backward", cast(rows)),
        ("norm scale backward", 8.0),
        ("norm scale gradient", 12.0),
        ("norm scale gradient sum", 4.0),
        ("norm square backward", 8.0),
        ("norm gradient sum", 12.0),
        ("norm to fp32 backward", cast(rows)),
    ];
    kernels(chain, elements)
}

/// Rotation of queries or keys (`apply_rotary_pos_emb`), in either direction: times cosines; the half
/// turned, its sign and the concatenation, times sines; the sum.
pub(super) fn rotary(rows: &Rows, elements: f64) -> Vec<Operator> {
    let e = rows.element;
    let chain = vec![
        ("rotary cosine", 2.0 * e),
        ("rotary sign", e),
        ("rotary concatenation", 2.0 * e),
        ("rotary sine", 2.0 * e),
        ("rotary sum", 3.0 * e),
    ];
    kernels(chain, elements)
}

/// Activation of the gate, product with the other half; so many elements of each.
pub(super) fn gated_activation(rows: &Rows, elements: f64) -> Vec<Operator> {
    let e = rows.element;
    kernels(vec![("activation", 2.0 * e), ("gate product", 3.0 * e)], elements)
}

/// The product's two gradients, then the activation's.
pub(super) fn gated_activation_gradient(rows: &Rows, elements: f64) -> Vec<Operator> {
    let e = rows.element;
    let product = "gate product backward";
    kernels(
        vec![(product, 3.0 * e), (product, 3.0 * e), ("activation backward", 3.0 * e)],
        elements,
    )
}

/// The bias added, where there is one, before the activation.
pub(super) fn activation(rows: &Rows, bias: bool, elements: f64) -> Vec<Operator> {
    let e = rows.element;
    let bias = if bias { 2.0 * e } else { 0.0 };
    kernels(vec![("activation bias", bias), ("activation", 2.0 * e)], elements)
}

/// Dropout of each part's output, and its sum with the stream.
pub(super) fn residual(rows: &Rows, parts: usize, dropout: bool) -> Vec<Operator> {
    let stream = rows.stream();
    let one = || {
        let dropped = dropout.then(|| rows.dropout_of("dropout", stream));
        dropped.into_iter().chain([elementwise("residual", 3.0 * rows.element * stream)])
    };
    (0..parts).flat_map(|_| one()).collect()
}

/// Scale, mask and softmax in fp32, whose result is stored; the whole square, as no kernel knows the
/// mask.
pub(super) fn softmax(rows: &Rows, scores: f64) -> Vec<Operator> {
    let e = rows.element;
    let mut ops = kernels(vec![("scale scores", 2.0 * e), ("mask scores", 2.0 * e)], scores);
    let softmax = Work::Softmax { bytes: Bytes((e + 4.0) * scores) };
    ops.push(Operator::new("softmax", softmax));
    ops.extend(kernels(vec![("probabilities from fp32", cast(rows))], scores));
    ops
}

/// Their gradients: the softmax's reads probabilities and their gradient in fp32.
pub(super) fn softmax_gradient(rows: &Rows, scores: f64) -> Vec<Operator> {
    let e = rows.element;
    let mut ops = kernels(vec![("probabilities from fp32 backward", cast(rows))], scores);
    let softmax = Work::Softmax { bytes: Bytes((8.0 + e) * scores) };
    ops.push(Operator::new("softmax backward", softmax));
    ops.extend(kernels(
        vec![("mask scores backward", 2.0 * e), ("scale scores backward", 2.0 * e)],
        scores,
    ));
    ops
}

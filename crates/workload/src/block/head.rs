//! The head of a language model: BERT's dense layer, final norm, logits, vocabulary-parallel cross
//! entropy.

use super::linear::{Linear, Names, deferred};
use super::rows::{Rows, elementwise};
use super::{Block, Exchange};
use crate::activation::Kept;
use crate::model::{LanguageHead, Weight};
use crate::{CrossEntropy, Deferral};

const DENSE: Names = Names {
    forward: "head dense",
    input: "head dense input gradient",
    weight: "head dense weight gradient",
};
const LOGITS: Names =
    Names { forward: "logits", input: "logits input gradient", weight: "logits weight gradient" };

pub(super) fn block(rows: &Rows, head: LanguageHead, vocab: u32) -> Block {
    let hidden = rows.hidden;
    let bias = head.bias && !head.masked;
    let logits =
        Linear::new(rows, LOGITS, &[Weight::columns(hidden, vocab.into(), bias).never_quantised()]);
    // Runs whole on every rank, over all tokens.
    let dense = head.masked.then(|| {
        Linear::new(rows, DENSE, &[Weight::whole(hidden, hidden, true).never_quantised()])
            .over(rows.tokens)
    });
    let (element, whole) = (rows.element, rows.whole_stream());
    // Logits of this rank's part of the vocabulary.
    let count = rows.tokens as f64 * logits.outputs as f64;
    // What the loss is computed over.
    let holds = &rows.training.holds;
    let seen = if holds.split_logits { count } else { rows.tokens as f64 * f64::from(vocab) };
    let gathered = if holds.split_logits { 0.0 } else { element * seen };
    let one_kernel = holds.cross_entropy == CrossEntropy::OneKernel;
    let cast = (rows.path.precision.mixed() && !one_kernel).then_some((element + 4.0) * count);
    // Bytes of what the loss reads.
    let width = if one_kernel { element } else { 4.0 };

    let mut forward = Vec::new();
    if let Some(dense) = &dense {
        forward.extend(dense.forward());
        forward.push(elementwise("head activation", 2.0 * element * whole));
    }
    forward.extend(rows.norm_forward(head.norm));
    forward.extend(logits.forward());
    forward.extend(cast.map(|bytes| elementwise("logits to fp32", bytes)));
    if head.softcap {
        forward.push(elementwise("cap logits", 2.0 * width * count));
    }
    // In fp32, four kernels: the maximum (read), its subtraction (read, write), the exponentials
    // (read, write) with their sum (read), the division (read, write). Fused, the subtraction and the
    // exponentials are one. In one kernel the maximum and the sum are read for, one after the other.
    let accesses = match holds.cross_entropy {
        CrossEntropy::Unfused => 8.0,
        CrossEntropy::Fused => 6.0,
        CrossEntropy::OneKernel => 2.0,
    };
    forward.push(elementwise("cross entropy", accesses * width * count));

    // From the kept probabilities, or logits (read, write).
    let mut backward = vec![elementwise("cross entropy backward", 2.0 * width * count)];
    if head.softcap {
        backward.push(elementwise("cap logits backward", 3.0 * width * count));
    }
    backward.extend(cast.map(|bytes| elementwise("logit gradients from fp32", bytes)));
    backward.extend(logits.bias_gradient());
    backward.extend(logits.input_gradient());
    backward.extend(rows.norm_backward(head.norm));
    if let Some(dense) = &dense {
        backward.push(elementwise("head activation backward", 3.0 * element * whole));
        backward.extend(dense.backward());
    }
    backward.extend(deferred(logits.weight_gradient(), Deferral::Exchange));

    Block {
        forward,
        backward,
        repeats: Vec::new(),
        exchange: Exchange { gathered: whole, reduced: 0.0 },
        inside: Default::default(),
        kept: Kept {
            // Inputs of norm and logits product.
            stream: 2.0 * element * rows.stream(),
            // Probabilities in fp32, or logits as they are stored; the capped logits.
            split: (width + if head.softcap { width } else { 0.0 }) * seen,
            // The logits as the product puts them out, and their fp32 copy beside the exponentials,
            // which become the probabilities.
            passing: if cast.is_some() { element * count } else { 0.0 }
                + gathered
                + if holds.cross_entropy == CrossEntropy::Unfused { 4.0 * seen } else { 0.0 },
            // The logits' gradient, in the place of the probabilities until it is cast, or beside what it
            // is made of.
            returning: if cast.is_some() || one_kernel { element * seen } else { 0.0 },
            // Input and gradient of the logits product, and of BERT's dense layer.
            waiting: if logits.keeps_input() { element * rows.stream() } else { 0.0 }
                + logits.waiting_gradient()
                + dense.as_ref().map_or(0.0, Linear::waiting),
            ..Kept::default()
        },
    }
}

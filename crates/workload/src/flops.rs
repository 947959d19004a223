//! The model's floating-point operations by the field's convention, for MFU.
//!
//! Counted are the matrix products of one sequence, attention over the full square also where the
//! mask is causal, the backward pass as twice the forward pass, nothing for recomputation. For a
//! GPT shape this is `72 s l h^2 (1 + s / 6h + V / 12lh)`, equation 7 of Korthikanti et al. 2022
//! (arXiv 2205.05198) for one sequence.

use motley_units::Flops;

use crate::Model;

/// Forward pass of one layer over one sequence.
pub fn layer_forward_flops(model: &Model, sequence_length: u32) -> Flops {
    let s = f64::from(sequence_length);
    Flops(2.0 * s * model.layer_matrix_elements() + 4.0 * s * s * model.query_width() as f64)
}

/// Forward pass of the head over one sequence: the logits, and BERT's dense layer before them.
pub fn head_forward_flops(model: &Model, sequence_length: u32) -> Flops {
    let hidden = f64::from(model.hidden);
    let dense = if model.masked_language_head() { hidden } else { 0.0 };
    Flops(2.0 * f64::from(sequence_length) * hidden * (f64::from(model.vocab) + dense))
}

/// Forward and backward pass of the whole model over one sequence.
pub fn model_flops(model: &Model, sequence_length: u32) -> Flops {
    let layers = f64::from(model.layers) * layer_forward_flops(model, sequence_length).0;
    Flops(3.0 * (layers + head_forward_flops(model, sequence_length).0))
}

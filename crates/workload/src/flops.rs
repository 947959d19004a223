//! The model's floating-point operations by the field's convention, for MFU.
//!
//! Counted are the matrix products of one sample, attention over the full square also where the mask
//! is causal, but not beyond a window; of experts those that a token visits; the backward pass as a
//! product for the input's and one for the weights' gradient, the latter only of what is trained;
//! nothing for recomputation. For a GPT shape this is `72 s l h^2 (1 + s / 6h + V / 12lh)`, equation
//! 7 of Korthikanti et al. 2022 (arXiv 2205.05198) for one sequence.

use motley_units::Flops;

use crate::model::{Attention, Head, LayerKind, Weight, WeightRows};
use crate::{AttentionKernel, CardPath, Model, Part, Pass, Recompute, RecomputeModule, Training};

/// One pass of a part over one sample.
pub fn flops(model: &Model, part: Part, training: &Training, pass: Pass) -> Flops {
    let products = match part {
        Part::Embedding => Products::default(),
        Part::Layer(kind) => layer_products(model.layer_kind(kind), training),
        Part::Head => head_products(model, training),
    };
    Flops(match pass {
        Pass::Forward => products.matrices + products.cores + products.adapters,
        Pass::Backward if training.adapters.is_none() => 2.0 * (products.matrices + products.cores),
        Pass::Backward => products.matrices + 2.0 * (products.cores + products.adapters),
    })
}

/// Forward and backward pass of the whole model over one sample.
pub fn model_flops(model: &Model, training: &Training) -> Flops {
    let both = |part| {
        flops(model, part, training, Pass::Forward).0
            + flops(model, part, training, Pass::Backward).0
    };
    Flops(model.parts().map(both).sum())
}

/// What recomputation repeats of a part for one sample: its forward pass, or the products of modules,
/// of the core of attention scores and values where it is unfused. What the backward kernel of FlashAttention recomputes on chip is its own
/// affair and not counted.
pub fn recomputed_flops(
    model: &Model,
    part: Part,
    training: &Training,
    path: &CardPath,
    recompute: Recompute,
) -> Flops {
    let Some(kind) = model.kind(part) else { return Flops(0.0) };
    if recompute == Recompute::Full {
        return flops(model, part, training, Pass::Forward);
    }
    let modules = recompute.modules();
    let of_core = if modules.contains(RecomputeModule::CoreAttn) {
        cores(kind, training)
            .filter(|(attention, _)| attention.kernel(path) == AttentionKernel::Unfused)
            .map(|(_, flops)| flops)
            .sum()
    } else {
        0.0
    };
    let weights = kind.transformer().map(|layer| layer.repeated_weights(kind.hidden(), modules));
    let weights = weights.unwrap_or_default();
    let of_weights: f64 = weights.iter().map(|weight| product(weight, kind, training)).sum();
    Flops(of_core + kind.layers() as f64 * of_weights)
}

/// A matrix's forward product of one sample.
fn product(weight: &Weight, kind: &LayerKind, training: &Training) -> f64 {
    2.0 * rows_of(weight, kind, training) * weight.elements() * weight.visits()
}

/// Rows of a sample that a matrix multiplies.
fn rows_of(weight: &Weight, kind: &LayerKind, training: &Training) -> f64 {
    match weight.rows {
        WeightRows::Stream => kind.output.rows(training) as f64,
        WeightRows::Source => f64::from(training.tokens()),
        WeightRows::Pixels(pixels) => pixels as f64,
    }
}

/// Forward products of one sample.
#[derive(Clone, Copy, Debug, Default)]
struct Products {
    /// With the model's own matrices.
    matrices: f64,
    /// Scores and values of attention: no weights.
    cores: f64,
    /// With the matrices of adapters.
    adapters: f64,
}

fn layer_products(kind: &LayerKind, training: &Training) -> Products {
    let mut products = Products {
        cores: cores(kind, training).map(|(_, flops)| flops).sum(),
        ..Products::default()
    };
    for weight in kind.weights() {
        let rows = rows_of(&weight, kind, training);
        products.matrices += product(&weight, kind, training);
        let adapters = training.adapters.as_ref();
        products.adapters +=
            adapters.map_or(0.0, |adapters| 2.0 * rows * adapters.parameters(&weight));
    }
    products
}

/// The attentions of a layer with the FLOPs of their scores and values.
fn cores<'k>(
    kind: &'k LayerKind,
    training: &Training,
) -> impl Iterator<Item = (&'k Attention, f64)> + use<'k> {
    let queries = kind.output.rows(training);
    let of = move |attention: &'k Attention, keys: u64| {
        let widths = (attention.query_width() + attention.output_width()) as f64;
        (attention, 2.0 * queries as f64 * keys as f64 * widths)
    };
    let source = u64::from(training.tokens());
    let layer = kind.transformer();
    let own = layer.map(|layer| of(&layer.attention, layer.attention.reach(queries)));
    let cross = layer.and_then(|layer| layer.cross_attention.as_ref());
    let both: Vec<_> = own.into_iter().chain(cross.map(|cross| of(cross, source))).collect();
    vec![both; kind.layers()].into_iter().flatten()
}

/// The logits, and BERT's dense layer before them.
fn head_products(model: &Model, training: &Training) -> Products {
    let width = model.head_input().width() as f64;
    let outputs = match &model.head {
        Head::Language(head) => {
            let vocab = model.tokens().map_or(0.0, |tokens| f64::from(tokens.vocab));
            vocab + if head.masked { width } else { 0.0 }
        }
        Head::Classifier(head) => f64::from(head.classes),
    };
    let rows = model.head_rows(training) as f64;
    Products { matrices: 2.0 * rows * width * outputs, ..Products::default() }
}

//! Multi-head latent attention, as it is trained: keys and values are expanded for all heads.
//!
//! The projections to the latents are not split: every tensor rank computes them, under sequence
//! parallelism of its own tokens, and the ranks gather the latents instead of the stream
//! (Megatron-LM's `MLASelfAttention`).

use super::Exchange;
use super::core::Core;
use super::linear::{Linear, Names};
use super::piece::Piece;
use super::repeat::Repeat;
use super::rows::{Rows, elementwise};
use crate::RecomputeModule;
use crate::activation::Kept;
use crate::model::{Attention, Latents, Norm, Split, Weight};

const INTO: Names = Names {
    forward: "into latent",
    input: "into latent input gradient",
    weight: "into latent weight gradient",
};
const OUT_OF: Names = Names {
    forward: "out of latent",
    input: "out of latent input gradient",
    weight: "out of latent weight gradient",
};

/// `latents` are the matrices of `attention`.
pub(super) fn piece(rows: &Rows, attention: &Attention, latents: &Latents) -> Piece {
    let linears = |names, weights: &[Weight]| -> Vec<Linear> {
        weights
            .iter()
            .map(|weight| Linear::new(rows, names, std::slice::from_ref(weight)))
            .collect()
    };
    let (into, out_of) = (linears(INTO, &latents.into), linears(OUT_OF, &latents.out_of));
    let core = Core::within(rows, attention);
    let tokens = rows.tokens as f64;

    // Latents are normalised on their own: what is rotated of the keys is not a part of them.
    let normed = rows.own_tokens * out_of.iter().map(|linear| linear.inputs as f64).sum::<f64>();
    let heads = rows.share(u64::from(attention.heads)) as f64;
    // Queries are rotated in place; the one rotated key is copied beside those of every head.
    let queries = 2.0 * rows.element * tokens * heads * attention.rotated() as f64;
    let keys = 2.0 * rows.element * tokens * heads * attention.key_dim() as f64;

    let mut piece = Piece {
        keeps_input: into.iter().any(Linear::keeps_input),
        quantised_input: into.iter().map(Linear::quantised_input).sum(),
        gathered: tokens * gathered_width(latents),
        reduced: rows.whole_stream(),
        ..Piece::default()
    };
    piece.forward.extend(into.iter().flat_map(Linear::forward));
    let mut expanded = rows.norm_of("latent norm", Norm::RmsNorm, normed);
    expanded.extend(out_of.iter().flat_map(Linear::forward));
    expanded.push(elementwise("rotary", queries));
    expanded.push(elementwise("assemble keys", keys));
    piece.forward.extend(expanded.iter().cloned());
    core.forward_into(&mut piece);

    core.backward_into(&mut piece);
    piece.backward.push(elementwise("assemble keys backward", keys));
    piece.backward.push(elementwise("rotary", queries));
    piece.backward.extend(out_of.iter().flat_map(Linear::input_gradient));
    // The gradients that travel are the latents'.
    piece.deferrable.extend(out_of.iter().flat_map(Linear::weight_gradient));
    piece.backward.extend(rows.norm_gradient("latent norm backward", Norm::RmsNorm, normed));
    piece.backward.extend(into.iter().flat_map(Linear::backward));

    // Latents before their norm, and after it where products want them; queries, keys and values of
    // all heads.
    let wanted = |linear: &Linear| linear.input_bytes() * rows.own_tokens * linear.inputs as f64;
    let wanted: f64 = out_of.iter().map(wanted).sum();
    let inside: f64 = into.iter().chain(&out_of).map(Linear::kept_inside).sum();
    let widths = (2 * attention.key_dim() + attention.value_dim()) as f64;
    let heads = rows.element * tokens * heads * widths;
    let out = out_of.iter().map(Linear::kept_inside).sum::<f64>();
    // Under sequence parallelism latents are kept by the ranks that made them.
    let gathered = if rows.shard.sequence_parallel { piece.gathered } else { 0.0 };
    piece.repeats.push(Repeat {
        exchange: Exchange { gathered, reduced: 0.0 },
        ..Repeat::new(RecomputeModule::MlaUpProj, heads + wanted + out, expanded)
    });
    piece.kept = piece.kept.and(Kept {
        stream: rows.element * normed + wanted,
        split: inside + heads,
        waiting: inside
            + into.iter().chain(&out_of).map(Linear::waiting_gradient).sum::<f64>()
            + wanted,
        ..Kept::default()
    });
    piece
}

/// Width of what tensor ranks gather: the latents with the rotated key, and the stream where queries
/// are projected from it directly.
fn gathered_width(latents: &Latents) -> f64 {
    let width = |weight: &Weight| match weight.split {
        Split::Whole => weight.outputs as f64,
        Split::Columns | Split::Rows => weight.inputs as f64,
    };
    latents.into.iter().map(width).sum()
}

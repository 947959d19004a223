//! Attention with grouped key and value heads.

use super::core::Core;
use super::inputs::Inputs;
use super::linear::{Linear, Names};
use super::piece::Piece;
use super::rows::{Rows, elementwise};
use super::{ExchangeKind, ProcessGroup, unfused};
use crate::activation::Kept;
use crate::model::{Attention, Norm, cross_inputs};
use crate::shard::copies_key_heads;
use crate::{Operator, Pass};

const QKV: Names =
    Names { forward: "qkv", input: "qkv input gradient", weight: "qkv weight gradient" };
const QUERY: Names =
    Names { forward: "query", input: "query input gradient", weight: "query weight gradient" };
const KEY: Names =
    Names { forward: "key", input: "key input gradient", weight: "key weight gradient" };
const VALUE: Names =
    Names { forward: "value", input: "value input gradient", weight: "value weight gradient" };
const KEY_VALUE: Names = Names {
    forward: "key, value",
    input: "key, value input gradient",
    weight: "key, value weight gradient",
};

/// Attention of the stream to itself.
pub(super) fn within(rows: &Rows, attention: &Attention) -> Piece {
    let weights = attention.inputs(rows.hidden);
    let qkv = if rows.training.fusion.qkv {
        Inputs::merged(rows, QKV, &weights)
    } else {
        Inputs::apart(rows, [QUERY, KEY, VALUE], &weights)
    };
    let core = Core::within(rows, attention);
    let normed = QkNormed::new(rows, attention);
    let joined = Joined::new(rows, attention);
    let mut piece = Piece {
        keeps_input: qkv.keeps_input(),
        quantised_input: qkv.quantised_input(),
        gathered: rows.whole_stream(),
        reduced: rows.whole_stream(),
        // Queries, keys and values.
        kept: Kept {
            split: qkv.kept_inside() + rows.element * rows.tokens as f64 * qkv.outputs() as f64,
            waiting: qkv.kept_inside() + qkv.waiting_gradient(),
            ..Kept::default()
        },
        ..Piece::default()
    };

    piece.forward.extend(qkv.forward());
    joined.forward_into(&mut piece);
    normed.forward_into(&mut piece);
    piece.forward.extend(rotary(rows, attention));
    core.forward_into(&mut piece);

    core.backward_into(&mut piece);
    piece.backward.extend(rotary(rows, attention));
    normed.backward_into(&mut piece);
    joined.backward_into(&mut piece);
    qkv.backward_into(&mut piece);
    piece
}

/// Attention of the target sequence to the encoder's output.
pub(super) fn across(rows: &Rows, attention: &Attention) -> Piece {
    let source = rows.source();
    let weights = cross_inputs(attention, rows.hidden);
    let query = Linear::new(rows, QUERY, &weights[..1]);
    let key_value = Linear::new(&source, KEY_VALUE, &weights[1..]);
    let core = Core::across(rows, &source, attention);
    let inside = query.kept_inside() + key_value.kept_inside();
    let mut piece = Piece {
        keeps_input: query.keeps_input(),
        quantised_input: query.quantised_input(),
        gathered: rows.whole_stream(),
        reduced: rows.whole_stream(),
        // What the encoder put out is there for all layers; quantised copies are each layer's own.
        kept: Kept {
            split: inside
                + key_value.quantised_input() * source.tokens as f64 * key_value.inputs as f64
                + rows.element * rows.tokens as f64 * query.outputs as f64
                + rows.element * source.tokens as f64 * key_value.outputs as f64,
            waiting: inside + query.waiting_gradient() + key_value.waiting_gradient(),
            ..Kept::default()
        },
        ..Piece::default()
    };

    piece.forward.extend(query.forward());
    piece.forward.extend(key_value.forward());
    core.forward_into(&mut piece);

    core.backward_into(&mut piece);
    piece.backward.extend(key_value.bias_gradient());
    piece.backward.extend(key_value.input_gradient());
    // The encoder's output gathers gradients from every layer of the decoder.
    let gathered = 3.0 * rows.element * source.whole_stream();
    piece.backward.push(elementwise("encoder gradient sum", gathered));
    piece.backward.extend(key_value.weight_gradient());
    piece.backward.extend(query.bias_gradient());
    piece.backward.extend(query.input_gradient());
    piece.deferrable.extend(query.weight_gradient());
    piece
}

/// Rotation of queries and keys, the same in both directions: reads and writes what is rotated.
fn rotary(rows: &Rows, attention: &Attention) -> Vec<Operator> {
    let rotated = attention.rotated();
    if rotated == 0 {
        return Vec::new();
    }
    let of = |heads: u32| rows.tokens as f64 * rows.share(u64::from(heads) * rotated) as f64;
    let (queries, keys) = (of(attention.heads), of(attention.kv_heads()));
    if rows.training.fusion.rotary {
        vec![elementwise("rotary", 2.0 * rows.element * (queries + keys))]
    } else {
        [unfused::rotary(rows, queries), unfused::rotary(rows, keys)].concat()
    }
}

/// Queries, keys and values of all heads, where there are fewer key and value heads than tensor ranks:
/// each rank multiplies with its part of the matrix, gathers the results, and picks its query heads and
/// their key and value head out of these (Megatron-LM's `Attention`).
struct Joined<'a> {
    rows: &'a Rows<'a>,
    /// Elements of all heads, if they are gathered.
    whole: Option<f64>,
    /// Elements that this rank keeps of keys and values beyond its part of the product.
    copied: f64,
}

impl<'a> Joined<'a> {
    fn new(rows: &'a Rows<'a>, attention: &Attention) -> Self {
        let degree = rows.shard.tensor_parallel;
        let tokens = rows.tokens as f64;
        let pair = (attention.key_dim() + attention.value_dim()) as f64;
        let heads = f64::from(attention.kv_heads());
        let whole = (attention.query_width() as f64 + heads * pair) * tokens;
        Self {
            rows,
            whole: copies_key_heads(attention, degree).then_some(whole),
            copied: pair * tokens * (1.0 - heads / f64::from(degree.max(1))),
        }
    }

    /// The parts are gathered by rank and copied into the order of tokens.
    fn forward_into(&self, piece: &mut Piece) {
        if let Some(whole) = self.whole {
            let gathered = ExchangeKind::AllGather;
            piece.exchange(Pass::Forward, ProcessGroup::Tensor, gathered, whole);
            piece.forward.push(elementwise("join heads", 2.0 * self.rows.element * whole));
            piece.kept.split += self.rows.element * self.copied;
        }
    }

    fn backward_into(&self, piece: &mut Piece) {
        if let Some(whole) = self.whole {
            piece.backward.push(elementwise("part heads", 2.0 * self.rows.element * whole));
            let summed = ExchangeKind::ReduceScatter;
            piece.exchange(Pass::Backward, ProcessGroup::Tensor, summed, whole);
        }
    }
}

/// Normalisation of queries and keys.
struct QkNormed<'a> {
    rows: &'a Rows<'a>,
    /// Elements that are normalised on this rank.
    elements: Option<f64>,
}

impl<'a> QkNormed<'a> {
    fn new(rows: &'a Rows<'a>, attention: &Attention) -> Self {
        let width = rows.share(attention.query_width()) + rows.share(attention.key_width());
        let elements = attention.qk_norm.is_some().then_some(rows.tokens as f64 * width as f64);
        Self { rows, elements }
    }

    fn forward_into(&self, piece: &mut Piece) {
        if let Some(elements) = self.elements {
            let norm = self.rows.norm_of("query and key norm", Norm::RmsNorm, elements);
            piece.forward.extend(norm);
            piece.kept.split += self.rows.element * elements;
        }
    }

    fn backward_into(&self, piece: &mut Piece) {
        let name = "query and key norm backward";
        let backward = self.elements.map(|all| self.rows.norm_gradient(name, Norm::RmsNorm, all));
        piece.backward.extend(backward.into_iter().flatten());
    }
}

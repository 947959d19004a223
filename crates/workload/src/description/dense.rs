//! The short form: a dense transformer of equal layers.

use serde::{Deserialize, Serialize};

use super::check::{Checker, limits};
use super::{FieldPath, ModelError};
use crate::Model;
use crate::model::{
    Attention, AttentionMask, Embedding, FeedForward, Head, LanguageHead, Layer, Mlp, Norm,
    Positions, Projections, TokenEmbedding, Transformer,
};

/// A dense transformer of equal layers.
#[expect(clippy::struct_excessive_bools, reason = "independent yes-no facts of an architecture")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Shape")]
pub struct DenseShape {
    /// What it is called.
    pub name: String,
    /// Transformer layers.
    pub layers: u32,
    /// Width of the residual stream.
    pub hidden: u32,
    /// Inner width of the MLP; four times `hidden` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ffn: Option<u32>,
    /// Query heads.
    pub heads: u32,
    /// Key and value heads; as many as `heads` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_heads: Option<u32>,
    /// Width of a head; `hidden / heads` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_dim: Option<u32>,
    /// Rows of the word embedding, as padded.
    pub vocab: u32,
    /// Three matrices in the MLP instead of two.
    #[serde(default)]
    pub gated_mlp: bool,
    /// One matrix for embedding and head; the default.
    #[serde(default = "yes")]
    pub tied_embeddings: bool,
    /// How positions enter.
    pub positions: LearnedOrRotary,
    /// The normalisation; `LayerNorm` unless given.
    #[serde(default = "layer_norm")]
    pub norm: Norm,
    /// Which positions a position sees; `Causal` unless given.
    #[serde(default = "causal")]
    pub attention: AttentionMask,
    /// Biases in the linear layers; the default.
    #[serde(default = "yes")]
    pub biases: bool,
    /// Dropout after attention probabilities, projection, MLP and embedding; the default.
    #[serde(default = "yes")]
    pub dropout: bool,
    /// Rows of the token-type embedding, 2 for BERT; 0 unless given. Models that have one have
    /// BERT's norm after the embedding and its masked-language head.
    #[serde(default)]
    pub token_types: u32,
}

/// How positions enter a dense transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Positions")]
pub enum LearnedOrRotary {
    /// A learned embedding of so many rows.
    Learned {
        /// The longest sequence.
        max: u32,
    },
    /// Rotation of queries and keys.
    Rotary,
}

fn yes() -> bool {
    true
}

fn layer_norm() -> Norm {
    Norm::LayerNorm
}

fn causal() -> AttentionMask {
    AttentionMask::Causal
}

impl DenseShape {
    /// The same with every default written out.
    #[must_use]
    pub fn filled_in(&self) -> Self {
        Self {
            ffn: Some(self.ffn.unwrap_or(self.hidden.saturating_mul(4))),
            kv_heads: Some(self.kv_heads.unwrap_or(self.heads)),
            head_dim: Some(self.head_dim.unwrap_or(self.hidden / self.heads.max(1))),
            ..self.clone()
        }
    }

    pub(super) fn build(&self) -> Result<Model, Vec<ModelError>> {
        let errors = self.check();
        if errors.is_empty() { Ok(self.model()) } else { Err(errors) }
    }

    fn model(&self) -> Model {
        let Self { layers, hidden, heads, vocab, norm, biases, dropout, token_types, .. } = *self;
        let filled = self.filled_in();
        let (learned_positions, positions) = match self.positions {
            LearnedOrRotary::Learned { max } => (max, Positions::Embedded),
            LearnedOrRotary::Rotary => (0, Positions::Rotary),
        };
        let masked = token_types > 0;
        let embedding = TokenEmbedding {
            learned_positions,
            token_types,
            norm: masked.then_some(norm),
            dropout,
            ..TokenEmbedding::new(vocab, hidden)
        };
        let projections = Projections::Grouped {
            kv_heads: filled.kv_heads.unwrap_or_default(),
            head_dim: filled.head_dim.unwrap_or_default(),
        };
        let attention = Attention {
            mask: self.attention,
            qkv_bias: biases,
            output_bias: biases,
            dropout,
            ..Attention::new(heads, projections, positions)
        };
        let ffn = filled.ffn.unwrap_or_default();
        let mlp = FeedForward::Dense(Mlp { ffn, gated: self.gated_mlp, bias: biases });
        let layer =
            Layer::Transformer(Transformer { dropout, ..Transformer::new(attention, mlp, norm) });
        let head = LanguageHead { masked, ..LanguageHead::new(norm, self.tied_embeddings) };
        Model::new(
            self.name.clone(),
            Embedding::Tokens(embedding),
            std::iter::repeat_n(layer, layers as usize),
            0,
            Head::Language(head),
        )
    }

    fn check(&self) -> Vec<ModelError> {
        let mut checker = Checker::new(&self.name);
        let root = FieldPath::default();
        let filled = self.filled_in();
        let kv_heads = filled.kv_heads.unwrap_or_default();
        let head_dim = filled.head_dim.unwrap_or_default();
        checker.size(&root.field("layers"), self.layers, limits::LAYERS);
        checker.size(&root.field("hidden"), self.hidden, limits::WIDTH);
        checker.size(&root.field("ffn"), filled.ffn.unwrap_or_default(), limits::FFN);
        checker.size(&root.field("heads"), self.heads, limits::HEADS);
        checker.size(&root.field("kv_heads"), kv_heads, limits::HEADS);
        checker.size(&root.field("head_dim"), head_dim, limits::HEADS);
        checker.size(&root.field("vocab"), self.vocab, limits::ROWS);
        if let LearnedOrRotary::Learned { max } = self.positions {
            checker.size(&root.field("positions").field("max"), max, limits::ROWS);
        }
        checker.size_or_none(&root.field("token_types"), self.token_types, limits::WIDTH);
        checker.groups(&root.field("kv_heads"), self.heads, kv_heads);
        checker.head_width(&root.field("heads"), self.heads, head_dim, self.hidden, 4);
        checker.errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut DenseShape), expected: &[&str]) {
        let mut shape = DenseShape {
            name: "small".to_owned(),
            layers: 32,
            hidden: 4096,
            ffn: Some(11_008),
            heads: 32,
            kv_heads: Some(32),
            head_dim: Some(128),
            vocab: 32_000,
            gated_mlp: true,
            tied_embeddings: false,
            positions: LearnedOrRotary::Rotary,
            norm: Norm::RmsNorm,
            attention: AttentionMask::Causal,
            biases: false,
            dropout: false,
            token_types: 0,
        };
        change(&mut shape);
        let found: Vec<String> = shape.check().iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (message, part) in found.iter().zip(expected) {
            assert!(message.contains(part), "{message} lacks {part}");
        }
    }

    #[test]
    fn each_slip_is_named() {
        check(|_| (), &[]);
        check(|m| m.layers = 0, &["`layers` is 0"]);
        check(|m| m.layers = 10_001, &["`layers` is 10001"]);
        check(|m| m.kv_heads = Some(5), &["kv_heads must divide"]);
        check(|m| m.kv_heads = Some(0), &["`kv_heads` is 0"]);
        check(|m| m.positions = LearnedOrRotary::Learned { max: 0 }, &["`positions.max` is 0"]);
        check(|m| m.head_dim = Some(1280), &["far from hidden"]);
        check(|m| m.head_dim = Some(0), &["`head_dim` is 0", "far from hidden"]);
        check(|m| m.token_types = u32::MAX, &["`token_types`"]);
    }
}

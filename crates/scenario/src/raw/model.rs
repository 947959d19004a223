//! What is trained: a preset's name or a shape.

use motley_workload::{AttentionMask, Norm, Positions};
use serde::{Deserialize, Serialize};

/// The model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Model")]
pub enum RawModel {
    /// A published shape by its name.
    Preset(String),
    /// A shape.
    Shape {
        /// What it is called.
        name: String,
        /// Transformer layers.
        layers: u32,
        /// Width of the residual stream.
        hidden: u32,
        /// Inner width of the MLP; four times `hidden` unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ffn: Option<u32>,
        /// Query heads.
        heads: u32,
        /// Key and value heads; as many as `heads` unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kv_heads: Option<u32>,
        /// Width of a head; `hidden / heads` unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        head_dim: Option<u32>,
        /// Rows of the word embedding, as padded.
        vocab: u32,
        /// Three matrices in the MLP instead of two.
        #[serde(default)]
        gated_mlp: bool,
        /// One matrix for embedding and head; the default.
        #[serde(default = "yes")]
        tied_embeddings: bool,
        /// How positions enter.
        positions: RawPositions,
        /// The normalisation; `LayerNorm` unless given.
        #[serde(default = "layer_norm")]
        norm: Norm,
        /// Which positions a position sees; `Causal` unless given.
        #[serde(default = "causal")]
        attention: AttentionMask,
        /// Biases in the linear layers; the default.
        #[serde(default = "yes")]
        biases: bool,
        /// Dropout; the default.
        #[serde(default = "yes")]
        dropout: bool,
        /// Rows of the token-type embedding, 2 for BERT; 0 unless given.
        #[serde(default)]
        token_types: u32,
    },
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

/// How positions enter the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Positions")]
pub enum RawPositions {
    /// A learned embedding of so many rows.
    Learned {
        /// The longest sequence.
        max: u32,
    },
    /// Rotation of queries and keys.
    Rotary,
}

impl From<RawPositions> for Positions {
    fn from(raw: RawPositions) -> Self {
        match raw {
            RawPositions::Learned { max } => Self::Learned { max },
            RawPositions::Rotary => Self::Rotary,
        }
    }
}

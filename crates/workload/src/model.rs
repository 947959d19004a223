//! The shape of a transformer and its parameter count.

use serde::{Deserialize, Serialize};

/// A transformer of equal layers: an embedding, `layers` times attention and MLP, a head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "independent yes-no facts of an architecture")]
pub struct Model {
    /// What it is called.
    pub name: String,
    /// Transformer layers.
    pub layers: u32,
    /// Width of the residual stream.
    pub hidden: u32,
    /// Inner width of the MLP.
    pub ffn: u32,
    /// Query heads.
    pub heads: u32,
    /// Key and value heads; equal to `heads` without grouped-query attention.
    pub kv_heads: u32,
    /// Width of a head.
    pub head_dim: u32,
    /// Rows of the word embedding, padded as the run pads it.
    pub vocab: u32,
    /// The MLP multiplies a gate with its input (`SwiGLU`): three matrices instead of two.
    pub gated_mlp: bool,
    /// The head multiplies with the word embedding instead of a matrix of its own.
    pub tied_embeddings: bool,
    /// How positions enter.
    pub positions: Positions,
    /// The normalisation before each block.
    pub norm: Norm,
    /// Which positions a position sees.
    pub attention: AttentionMask,
    /// The linear layers add biases.
    pub biases: bool,
    /// Dropout after attention probabilities, projection, MLP and embedding.
    pub dropout: bool,
    /// Rows of the token-type embedding, 2 for BERT, else 0. Models that have one carry BERT's
    /// masked-language head: a dense layer with norm before the output product.
    pub token_types: u32,
}

/// How positions enter the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Positions {
    /// A learned embedding of so many rows.
    Learned {
        /// The longest sequence.
        max: u32,
    },
    /// Rotation of queries and keys; no parameters.
    Rotary,
}

/// The normalisation of a block's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Norm {
    /// Mean and variance, scale and shift.
    LayerNorm,
    /// Root mean square and scale.
    RmsNorm,
}

impl Norm {
    /// Parameters for each channel.
    fn per_channel(self) -> f64 {
        match self {
            Self::LayerNorm => 2.0,
            Self::RmsNorm => 1.0,
        }
    }
}

/// Which positions a position sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttentionMask {
    /// Itself and those before it.
    Causal,
    /// All.
    Bidirectional,
}

impl Model {
    /// Width of all query heads together.
    pub fn query_width(&self) -> u64 {
        u64::from(self.heads) * u64::from(self.head_dim)
    }

    /// Width of all key heads, and of all value heads, together.
    pub fn kv_width(&self) -> u64 {
        u64::from(self.kv_heads) * u64::from(self.head_dim)
    }

    /// Width that the MLP's first product puts out: twice `ffn` with a gate.
    pub fn mlp_up_width(&self) -> u64 {
        u64::from(self.ffn) * if self.gated_mlp { 2 } else { 1 }
    }

    /// Elements of a layer's matrices: query, key, value, projection, MLP.
    pub(crate) fn layer_matrix_elements(&self) -> f64 {
        let hidden = f64::from(self.hidden);
        let attention = hidden * (2 * self.query_width() + 2 * self.kv_width()) as f64;
        let mlp = hidden * (self.mlp_up_width() + u64::from(self.ffn)) as f64;
        attention + mlp
    }

    /// Parameters of one layer: matrices, biases, two norms.
    pub fn layer_parameters(&self) -> f64 {
        let hidden = f64::from(self.hidden);
        let biases = if self.biases {
            (self.query_width() + 2 * self.kv_width() + self.mlp_up_width()) as f64 + 2.0 * hidden
        } else {
            0.0
        };
        self.layer_matrix_elements() + biases + 2.0 * self.norm.per_channel() * hidden
    }

    /// Parameters of the word, position and token-type embeddings. BERT's norm after the
    /// embedding counts here, too.
    pub fn embedding_parameters(&self) -> f64 {
        let positions = match self.positions {
            Positions::Learned { max } => max,
            Positions::Rotary => 0,
        };
        let rows = f64::from(self.vocab) + f64::from(positions) + f64::from(self.token_types);
        let norm = if self.masked_language_head() { self.norm.per_channel() } else { 0.0 };
        (rows + norm) * f64::from(self.hidden)
    }

    /// Parameters of the head: the final norm, the output matrix if it is not the embedding's,
    /// and BERT's dense layer and output bias.
    pub fn head_parameters(&self) -> f64 {
        let hidden = f64::from(self.hidden);
        let vocab = f64::from(self.vocab);
        let norm = self.norm.per_channel() * hidden;
        let output = if self.tied_embeddings { 0.0 } else { hidden * vocab };
        let dense =
            if self.masked_language_head() { hidden * hidden + hidden + vocab } else { 0.0 };
        norm + output + dense
    }

    /// All parameters.
    pub fn parameters(&self) -> f64 {
        f64::from(self.layers) * self.layer_parameters()
            + self.embedding_parameters()
            + self.head_parameters()
    }

    /// Whether the head is BERT's: a dense layer and a norm before the output product.
    pub(crate) fn masked_language_head(&self) -> bool {
        self.token_types > 0
    }
}

//! What stands before the stack.

use serde::{Deserialize, Serialize};

use super::{Extent, Norm};

/// What makes the first layer's input of a sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Embedding {
    /// Sequences of tokens, looked up in a table.
    Tokens(TokenEmbedding),
    /// Images, as they are.
    Images(Images),
}

/// Tables of token embeddings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenEmbedding {
    /// Rows of the word embedding, as padded.
    pub vocab: u32,
    /// Width of the residual stream.
    pub hidden: u32,
    /// Rows of a learned position embedding, which limit the sequence; 0: there is none.
    #[serde(default)]
    pub learned_positions: u32,
    /// Rows of a token-type embedding (BERT: 2); 0: there is none.
    #[serde(default)]
    pub token_types: u32,
    /// The sum is normalised (BERT, BLOOM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm: Option<Norm>,
    /// Dropout of the sum.
    #[serde(default)]
    pub dropout: bool,
}

/// The size of input images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Images {
    /// Colours.
    #[serde(default = "colours")]
    pub channels: u32,
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

fn colours() -> u32 {
    3
}

impl Embedding {
    /// What it puts out.
    pub fn output(&self) -> Extent {
        match *self {
            Self::Tokens(TokenEmbedding { hidden, .. }) => Extent::Sequence { hidden },
            Self::Images(Images { channels, height, width }) => {
                Extent::Image { channels, height, width }
            }
        }
    }
}

impl TokenEmbedding {
    /// A word embedding alone.
    pub fn new(vocab: u32, hidden: u32) -> Self {
        Self { vocab, hidden, learned_positions: 0, token_types: 0, norm: None, dropout: false }
    }

    /// Parameters of all tables, and of the norm behind them.
    pub(crate) fn parameters(&self) -> f64 {
        let rows =
            f64::from(self.vocab) + f64::from(self.learned_positions) + f64::from(self.token_types);
        let norm = self.norm.map_or(0.0, Norm::per_channel);
        (rows + norm) * f64::from(self.hidden)
    }

    /// Parameters of the word embedding alone.
    pub(crate) fn words(&self) -> f64 {
        f64::from(self.vocab) * f64::from(self.hidden)
    }

    /// Tables that are added up for each token.
    pub(crate) fn tables(&self) -> f64 {
        1.0 + f64::from(u8::from(self.learned_positions > 0))
            + f64::from(u8::from(self.token_types > 0))
    }
}

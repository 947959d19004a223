//! What stands behind the stack.

use serde::{Deserialize, Serialize};

use super::Norm;

/// What makes a loss of the last layer's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Head {
    /// Scores for every word of the vocabulary at every token, and cross entropy.
    Language(LanguageHead),
    /// Scores for a few classes of a whole sample, and cross entropy.
    Classifier(Classifier),
}

/// A language model's head.
#[expect(clippy::struct_excessive_bools, reason = "independent yes-no facts of an architecture")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageHead {
    /// The norm before the output matrix.
    pub norm: Norm,
    /// The output matrix is the word embedding.
    #[serde(default)]
    pub tied: bool,
    /// BERT's masked-language head: a dense layer with an activation function before the norm, a
    /// bias for every word.
    #[serde(default)]
    pub masked: bool,
    /// The output matrix adds a bias for every word.
    #[serde(default)]
    pub bias: bool,
    /// Scores pass through a tangent.
    #[serde(default)]
    pub softcap: bool,
}

/// An image model's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classifier {
    /// How many classes there are.
    pub classes: u32,
}

impl LanguageHead {
    /// A norm and the output matrix.
    pub fn new(norm: Norm, tied: bool) -> Self {
        Self { norm, tied, masked: false, bias: false, softcap: false }
    }

    /// Parameters, the output matrix only if it is not the embedding's.
    pub(crate) fn parameters(self, vocab: u32, hidden: u32) -> f64 {
        let (hidden, vocab) = (f64::from(hidden), f64::from(vocab));
        let norm = self.norm.per_channel() * hidden;
        let output = if self.tied { 0.0 } else { hidden * vocab };
        let dense = if self.masked { hidden * hidden + hidden } else { 0.0 };
        let bias = if self.masked || self.bias { vocab } else { 0.0 };
        norm + output + dense + bias
    }
}

//! Normalisation layers.

use serde::{Deserialize, Serialize};

/// The normalisation of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Norm {
    /// Mean and variance, scale and shift.
    LayerNorm,
    /// Mean and variance, scale only, of models that have no biases at all.
    LayerNormWithoutBias,
    /// Root mean square and scale.
    RmsNorm,
}

impl Norm {
    /// Parameters for each channel.
    pub fn per_channel(self) -> f64 {
        match self {
            Self::LayerNorm => 2.0,
            Self::LayerNormWithoutBias | Self::RmsNorm => 1.0,
        }
    }
}

//! What passes from layer to layer.

use serde::Serialize;

use crate::Training;

/// What one sample is between two layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Extent {
    /// The hidden states of a sequence: `sequence_length x hidden`.
    Sequence {
        /// Width of the residual stream.
        hidden: u32,
    },
    /// The hidden states of the target sequence, `target_length x hidden`, and beside them the
    /// encoder's output, which every further layer of a decoder wants.
    Target {
        /// Width of the residual stream.
        hidden: u32,
    },
    /// The hidden states of a sequence as the stack leaves them, and those of each module for
    /// multi-token prediction beside them: `(1 + depth) x sequence_length x hidden`. The head scores
    /// all of them.
    Predictions {
        /// Width of the residual stream.
        hidden: u32,
        /// Modules.
        depth: u32,
    },
    /// Feature maps: `channels x height x width`.
    Image {
        /// Feature maps.
        channels: u32,
        /// Rows of a map.
        height: u32,
        /// Columns of a map.
        width: u32,
    },
}

impl Extent {
    /// Rows of a sample that a layer works on: the tokens of its stream, or the pixels of a map.
    pub fn rows(self, training: &Training) -> u64 {
        match self {
            Self::Sequence { .. } | Self::Predictions { .. } => u64::from(training.tokens()),
            Self::Target { .. } => u64::from(training.target_tokens()),
            Self::Image { .. } => self.pixels(),
        }
    }

    /// Width of a row: of the residual stream, or the number of feature maps.
    pub fn width(self) -> u64 {
        u64::from(match self {
            Self::Sequence { hidden }
            | Self::Target { hidden }
            | Self::Predictions { hidden, .. } => hidden,
            Self::Image { channels, .. } => channels,
        })
    }

    /// How often a head scores each row: once, and once more for each module for multi-token
    /// prediction.
    pub(crate) fn scored(self) -> u64 {
        match self {
            Self::Predictions { depth, .. } => 1 + u64::from(depth),
            Self::Sequence { .. } | Self::Target { .. } | Self::Image { .. } => 1,
        }
    }

    /// Pixels of a map; of what is no map, one.
    pub fn pixels(self) -> u64 {
        match self {
            Self::Image { height, width, .. } => u64::from(height) * u64::from(width),
            Self::Sequence { .. } | Self::Target { .. } | Self::Predictions { .. } => 1,
        }
    }

    /// Elements of a sample that cross a boundary between stages here.
    pub fn elements(self, training: &Training) -> f64 {
        let rows = match self {
            Self::Target { .. } => self.rows(training) + u64::from(training.tokens()),
            Self::Predictions { .. } => self.rows(training) * self.scored(),
            Self::Sequence { .. } | Self::Image { .. } => self.rows(training),
        };
        rows as f64 * self.width() as f64
    }
}

//! How well the constants of an architecture meet measured kernels: written by `cargo xtask fit`
//! together with the constants.

use serde::{Deserialize, Serialize};

/// The fit of one architecture's constants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fit {
    /// The id of the architecture.
    pub id: String,
    /// Series of measured kernels, each with how far predictions are off.
    pub series: Vec<FitSeries>,
}

/// Kernels of one kind that one source measured on one card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitSeries {
    /// What kind of kernel, and on which unit: `matrix product, Bf16Tensor`.
    pub kernel: String,
    /// The id of the card.
    pub device: String,
    /// Who measured.
    pub source: String,
    /// Whether constants were fitted to the points that are for fitting, or all are only held against
    /// the constants.
    pub fitted: bool,
    /// What the source times beside the kernel, found with the constants and no part of them.
    pub beside: String,
    /// On points that are for fitting.
    pub fit: FitQuality,
    /// On points that nothing is ever fitted to.
    pub test: FitQuality,
}

/// The errors of some points, |predicted / measured - 1|.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitQuality {
    /// How many.
    pub points: u32,
    /// The error that half of the points stay below.
    pub median: f64,
    /// The error that nine in ten stay below.
    pub p90: f64,
}

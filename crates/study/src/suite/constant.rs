//! Constants that were set on what a source of the suite measured.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// A constant of the model and the source that it was set on: for that source, errors are not those of
/// predictions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// The first word of the ids of the source's runs.
    pub source: String,
    /// Which constant.
    pub constant: String,
    /// What of the source it was set on.
    pub from: MeasuredOn,
    /// By which of its figures.
    pub evidence: String,
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all(serialize = "snake_case"))]
pub enum MeasuredOn {
    /// The time of whole iterations, the very figures that are compared.
    Runs,
    /// The time of a layer.
    Layers,
    /// Kernels by themselves.
    Kernels,
    /// Collectives by themselves.
    Collectives,
    /// The memory of whole iterations.
    Memory,
}

impl MeasuredOn {
    /// The name, in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Runs => "whole runs",
            Self::Layers => "layers",
            Self::Kernels => "kernels",
            Self::Collectives => "collectives",
            Self::Memory => "memory of runs",
        }
    }
}

static CONSTANTS: LazyLock<Vec<Constant>> = LazyLock::new(|| {
    ron::from_str(include_str!("../../data/constants.ron"))
        .expect("the file is compiled in and read by the tests")
});

/// All of them, as `data/constants.ron` lists them.
pub fn constants() -> &'static [Constant] {
    &CONSTANTS
}

//! All entries together, read from the files that are compiled in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Architecture, Device, Nic, NodeDesign};

/// Where a value was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// An address, or `none` for values from memory.
    pub url: String,
    /// What it is.
    pub what: String,
}

/// Everything that the project knows of hardware, each kind by id, ordered by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// Cards.
    pub devices: BTreeMap<String, Device>,
    /// Kernel constants by architecture.
    pub architectures: BTreeMap<String, Architecture>,
    /// Node designs.
    pub nodes: BTreeMap<String, NodeDesign>,
    /// NICs.
    pub nics: BTreeMap<String, Nic>,
    /// What the source keys stand for.
    pub sources: BTreeMap<String, Source>,
}

/// A catalogue file that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// The file is not what it should be.
    #[error("{file}:{line}:{column}: {message}")]
    Malformed {
        /// Which file.
        file: &'static str,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong.
        message: String,
    },
}

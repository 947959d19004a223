//! Values that say how they are known.

use serde::{Deserialize, Serialize};

/// A value with how it is known and its source: one or more keys of `data/sources.ron`, separated
/// by spaces, or for `Assumed` and `Derived` a sentence that says why or how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Cited<T> {
    /// Read in the source.
    Verified(T, String),
    /// Remembered from the source, not read again.
    Recalled(T, String),
    /// Computed from other values.
    Derived(T, String),
    /// A judgement; the sentence gives its reason.
    Assumed(T, String),
}

impl<T> Cited<T> {
    /// The value.
    pub fn get(&self) -> &T {
        match self {
            Self::Verified(value, _)
            | Self::Recalled(value, _)
            | Self::Derived(value, _)
            | Self::Assumed(value, _) => value,
        }
    }

    /// Where it comes from.
    pub fn source(&self) -> &str {
        match self {
            Self::Verified(_, source)
            | Self::Recalled(_, source)
            | Self::Derived(_, source)
            | Self::Assumed(_, source) => source,
        }
    }

    /// `verified`, `recalled`, `derived` or `assumed`.
    pub fn status(&self) -> &'static str {
        match self {
            Self::Verified(..) => "verified",
            Self::Recalled(..) => "recalled",
            Self::Derived(..) => "derived",
            Self::Assumed(..) => "assumed",
        }
    }
}

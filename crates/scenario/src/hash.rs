//! The identity of a scenario.

use crate::raw::RawScenario;

/// A change of the form that is hashed changes this, and with it every hash.
const FORM: &str = "motley scenario 1\n";

/// BLAKE3 of everything that the simulation depends on, in hexadecimal.
///
/// Texts that mean the same have the same hash: spaces, comments, the order of fields, the unit
/// that a quantity is written in and whether a default is written out do not matter; nor do
/// question, sources and published figures, which no result depends on.
pub fn scenario_hash(raw: &RawScenario) -> String {
    let mut bare = raw.clone();
    bare.question = None;
    bare.sources.clear();
    bare.published.clear();
    let mut hasher = blake3::Hasher::new();
    hasher.update(FORM.as_bytes());
    hasher.update(bare.to_ron().as_bytes());
    hasher.finalize().to_hex().to_string()
}

//! Finding equals.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

/// What is known already, by fingerprint of what must be equal. Whoever looks for an equal need not
/// have written down what it looks for.
#[derive(Debug)]
pub(crate) struct Known<T> {
    by_fingerprint: HashMap<u64, Vec<T>>,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { by_fingerprint: HashMap::new() }
    }
}

impl<T> Known<T> {
    /// The one that is `equal`, among those of this fingerprint.
    pub(crate) fn find(&self, fingerprint: u64, equal: impl Fn(&T) -> bool) -> Option<&T> {
        self.by_fingerprint.get(&fingerprint)?.iter().find(|known| equal(known))
    }

    /// Enters one that was not found.
    pub(crate) fn enter(&mut self, fingerprint: u64, new: T) {
        self.by_fingerprint.entry(fingerprint).or_default().push(new);
    }
}

/// Equal lists have equal fingerprints.
pub(crate) fn fingerprint(parts: impl Iterator<Item = impl Hash>) -> u64 {
    let mut hasher = FxHasher::default();
    parts.for_each(|part| part.hash(&mut hasher));
    hasher.finish()
}

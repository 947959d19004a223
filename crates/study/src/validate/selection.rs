//! Which rows are predicted.

use motley_scenario::nearest;

use super::facts::Key;
use super::grouping::Grouping;
use crate::runs::{Row, Runs};

/// Which rows are predicted: those that match a filter of every key that has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    filters: Vec<(Key, String)>,
    limit: Option<usize>,
}

/// A filter or a grouping that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not something that rows are told apart by{}; known: {}", meant(.name), known())]
pub struct SelectionError {
    name: String,
}

fn meant(name: &str) -> String {
    let similar = nearest(name, Key::ALL.iter().map(|(known, _)| *known));
    similar.map(|similar| format!("; did you mean `{similar}`?")).unwrap_or_default()
}

fn known() -> String {
    Key::ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

fn key(name: &str) -> Result<Key, SelectionError> {
    Key::named(name).ok_or_else(|| SelectionError { name: name.to_owned() })
}

impl Selection {
    /// Filters are `TEXT`, a part of the id, or `KEY=TEXT`, a part of what the key says. Several
    /// of one key are alternatives. `limit` is how many rows are taken, from the first.
    ///
    /// # Errors
    /// If a key does not exist.
    pub fn new(
        filters: impl IntoIterator<Item = impl AsRef<str>>,
        limit: Option<usize>,
    ) -> Result<Self, SelectionError> {
        let filters = filters.into_iter().map(|filter| {
            let filter = filter.as_ref();
            match filter.split_once('=') {
                Some((name, text)) => Ok((key(name)?, text.to_owned())),
                None => Ok((Key::Id, filter.to_owned())),
            }
        });
        Ok(Self { filters: filters.collect::<Result<_, SelectionError>>()?, limit })
    }

    /// How many of the rows it takes.
    pub fn count(&self, runs: &Runs) -> usize {
        self.choose(runs).len()
    }

    pub(super) fn choose<'r>(&self, runs: &'r Runs) -> Vec<&'r (Row, Vec<String>)> {
        let limit = self.limit.unwrap_or(usize::MAX);
        runs.rows.iter().filter(|(row, _)| self.takes(row)).take(limit).collect()
    }

    fn takes(&self, row: &Row) -> bool {
        self.filters.iter().all(|(key, _)| {
            let value = key.of(row);
            self.filters.iter().any(|(other, text)| other == key && value.contains(text.as_str()))
        })
    }
}

impl Grouping {
    /// Keys with commas between them: `source,strategy`.
    ///
    /// # Errors
    /// If a key does not exist.
    pub fn parse(text: &str) -> Result<Self, SelectionError> {
        text.split(',').map(|name| key(name.trim())).collect::<Result<_, _>>().map(Self)
    }
}

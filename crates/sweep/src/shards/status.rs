//! How far a sweep is.

use std::fmt::Write as _;

use super::log;
use super::part::{self, Identity};
use super::{Sweep, SweepError};

/// How far a shard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardState {
    /// Its part is whole.
    Done,
    /// It has no part, but so many rows are finished.
    Missing {
        /// Rows in its log.
        finished: u64,
    },
    /// Its part is not what was written, or not of this plan; running the shard writes it anew.
    Corrupt,
}

impl Sweep {
    /// How far a shard is, and how many rows it has when it is done.
    ///
    /// # Errors
    /// If its part is there and cannot be read.
    pub fn state(&self, shard: u32) -> Result<(ShardState, u64), SweepError> {
        let range = self.range(shard);
        let rows = range.clone().filter(|&index| self.study.has(index)).count() as u64;
        let path = self.path(shard, "jsonl");
        let identity = Identity { plan: self.hash(), shard, range: range.clone() };
        let whole =
            part::is_whole(&path, &identity, rows).map_err(|error| SweepError::io(&path, error))?;
        let state = match whole {
            Some(true) => ShardState::Done,
            Some(false) => ShardState::Corrupt,
            None => {
                let log = self.path(shard, "log");
                let metrics = self.study.metrics().len();
                ShardState::Missing { finished: log::count(&log, self.hash(), &range, metrics) }
            }
        };
        Ok((state, rows))
    }
}

/// Ascending numbers as Slurm's `--array` takes them: `3,7-9`.
pub fn id_list(ids: &[u32]) -> String {
    let mut text = String::new();
    let mut rest = ids;
    while let Some(&first) = rest.first() {
        let run = rest.iter().zip(first..).take_while(|(id, expected)| **id == *expected).count();
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = match run {
            1 => write!(text, "{comma}{first}"),
            _ => write!(text, "{comma}{first}-{}", rest[run - 1]),
        };
        rest = &rest[run..];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::id_list;

    #[test]
    fn lists_are_as_short_as_slurm_takes_them() {
        let check = |ids: &[u32], expected: &str| assert_eq!(id_list(ids), expected);
        check(&[], "");
        check(&[3], "3");
        check(&[3, 7, 8, 9], "3,7-9");
        check(&[0, 1, 3, 5, 6], "0-1,3,5-6");
    }
}

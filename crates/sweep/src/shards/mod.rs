//! A sweep in a folder: points dealt out in shards, each shard's results in a part, parts merged.
//!
//! ```text
//! plan.json, study.ron, base.ron, profile-0.ron ...   all that a shard needs, under one hash
//! parts/part-00017.log                                rows of a shard that is under way
//! parts/part-00017.jsonl                              a shard that is done, checked by a hash
//! ```
//!
//! Everything that changes is either appended to with a checksum on each line or put in its place whole,
//! so that a process may be killed at any moment, and run anywhere that sees the folder. Shards are
//! ranges of points: what is merged is the same however many there are.

mod log;
mod merge;
mod part;
mod plan;
mod run;
mod status;

use std::io;
use std::path::{Path, PathBuf};

use motley_scenario::Failure;

use crate::table::TableError;

pub use plan::Sweep;
pub use run::{Ended, Limits, Tally};
pub use status::{ShardState, id_list};

/// Why a sweep could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// A file could not be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The study is not usable.
    #[error(transparent)]
    Study(#[from] Failure),
    /// The table could not be written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The folder is not that of a sweep.
    #[error("{}: {what}", path.display())]
    Folder {
        /// Which folder or file.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// Some shards are not done.
    #[error(
        "{missing} of {shards} shards are not done: {list}; run `motley sweep shard DIR --shard N` \
         for each"
    )]
    Incomplete {
        /// How many are missing or corrupt.
        missing: u32,
        /// How many there are.
        shards: u32,
        /// Which are missing, `3,7-9`.
        list: String,
    },
}

impl SweepError {
    fn io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), error }
    }

    fn folder(path: &Path, what: impl Into<String>) -> Self {
        Self::Folder { path: path.to_owned(), what: what.into() }
    }
}

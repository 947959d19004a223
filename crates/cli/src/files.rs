//! Files, written all or nothing.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use motley_sweep::Pending;

use crate::exit::{CommandFailure, print};

/// A file that does not exist yet, with the messages of the command line.
#[derive(Debug)]
pub(crate) struct PendingFile {
    pending: Pending,
    path: PathBuf,
}

impl PendingFile {
    /// Makes sure that a file can be written at `path`, before the work is done that fills it.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let pending = Pending::create(path).map_err(|error| cannot_write(path, &error))?;
        Ok(Self { pending, path: path.to_owned() })
    }

    /// Writes the content and puts the file in its place.
    pub(crate) fn write(self, bytes: &[u8]) -> anyhow::Result<()> {
        self.filled(bytes, Pending::persist)
    }

    /// The same where no file is yet; false, and nothing is written, where there is one.
    pub(crate) fn write_new(self, bytes: &[u8]) -> anyhow::Result<bool> {
        self.filled(bytes, Pending::persist_new)
    }

    fn filled<T>(
        self,
        bytes: &[u8],
        persist: impl FnOnce(Pending) -> std::io::Result<T>,
    ) -> anyhow::Result<T> {
        let Self { pending, path } = self;
        let written = pending.file().and_then(|mut file| file.write_all(bytes));
        written.and_then(|()| persist(pending)).map_err(|error| cannot_write(&path, &error))
    }
}

/// Puts a text into a file, or on standard output without one.
pub(crate) fn hand_over(text: &str, output: Option<&Path>) -> Result<(), CommandFailure> {
    match output {
        Some(path) => Ok(PendingFile::create(path)?.write(text.as_bytes())?),
        None => print(text),
    }
}

/// The kind of error alone: its text names the temporary file, which nobody asked for.
fn cannot_write(path: &Path, error: &std::io::Error) -> anyhow::Error {
    anyhow!("cannot write {}: {}", path.display(), error.kind())
}

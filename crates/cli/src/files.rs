//! Files, written all or nothing.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use tempfile::NamedTempFile;

use crate::exit::{CommandFailure, print};

/// A file that does not exist yet. It is written beside its final place and moved there, so that
/// no reader ever sees a part of it.
#[derive(Debug)]
pub(crate) struct PendingFile {
    beside: NamedTempFile,
    path: PathBuf,
}

impl PendingFile {
    /// Makes sure that a file can be written at `path`, before the work is done that fills it.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        // As any new file, open to whom the umask allows; temporary files are private otherwise.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let beside = builder.tempfile_in(folder).map_err(|error| cannot_write(path, &error))?;
        Ok(Self { beside, path: path.to_owned() })
    }

    /// Writes the content and puts the file in its place.
    pub(crate) fn write(self, bytes: &[u8]) -> anyhow::Result<()> {
        let Self { beside, path } = self.filled(bytes)?;
        beside.persist(&path).map_err(|error| cannot_write(&path, &error.error))?;
        Ok(())
    }

    /// The same where no file is yet; false, and nothing is written, where there is one.
    pub(crate) fn write_new(self, bytes: &[u8]) -> anyhow::Result<bool> {
        let Self { beside, path } = self.filled(bytes)?;
        match beside.persist_noclobber(&path) {
            Ok(_) => Ok(true),
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(cannot_write(&path, &error.error)),
        }
    }

    fn filled(mut self, bytes: &[u8]) -> anyhow::Result<Self> {
        let Self { beside, path } = &mut self;
        let written = beside.write_all(bytes).and_then(|()| beside.as_file().sync_all());
        written.map_err(|error| cannot_write(path, &error))?;
        Ok(self)
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

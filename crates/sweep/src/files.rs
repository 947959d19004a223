//! Files that appear whole or not at all, whatever happens to the process or the machine.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file that is written beside its place.
#[derive(Debug)]
pub struct Pending {
    beside: NamedTempFile,
    path: PathBuf,
}

impl Pending {
    /// For a file at `path`.
    ///
    /// # Errors
    /// If no file can be made in its folder.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".motley-");
        // As any new file, open to whom the umask allows; temporary files are private otherwise.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let beside = builder.tempfile_in(folder_of(path))?;
        Ok(Self { beside, path: path.to_owned() })
    }

    /// The file to write to.
    ///
    /// # Errors
    /// If the system has no handle left.
    pub fn file(&self) -> io::Result<File> {
        self.beside.as_file().try_clone()
    }

    /// Puts it in its place, after its content has reached the disk.
    ///
    /// # Errors
    /// If it cannot be written, or not be moved there.
    pub fn persist(self) -> io::Result<()> {
        self.beside.as_file().sync_all()?;
        self.beside.persist(&self.path).map_err(|error| error.error)?;
        sync_folder_of(&self.path);
        Ok(())
    }

    /// The same where no file is yet; false, and nothing is written, where there is one.
    ///
    /// # Errors
    /// As [`Pending::persist`].
    pub fn persist_new(self) -> io::Result<bool> {
        self.beside.as_file().sync_all()?;
        match self.beside.persist_noclobber(&self.path) {
            Ok(_) => {
                sync_folder_of(&self.path);
                Ok(true)
            }
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.error),
        }
    }
}

/// The name must reach the disk, too; not every system lets folders be opened for that.
fn sync_folder_of(path: &Path) {
    if let Ok(folder) = File::open(folder_of(path)) {
        let _ = folder.sync_all();
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Writes a whole file.
pub(crate) fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let pending = Pending::create(path)?;
    pending.file()?.write_all(bytes)?;
    pending.persist()
}

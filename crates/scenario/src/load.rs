//! The ways in: a file, a text, or values that a program made.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use motley_hardware::Catalog;
use motley_topology::Clusters;

use crate::code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::parse::parse;
use crate::profile::Profiles;
use crate::raw::RawScenario;
use crate::resolve::resolve_on;
use crate::scenario::Scenario;
use crate::set;
use crate::source::SourceFile;
use crate::syntax::Span;

/// Longer files are not read: an explicit plan for a million cards is far shorter.
const FILE_LIMIT: u64 = 256 << 20;

/// A scenario that cannot be used, and all reasons.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejected {
    /// What is wrong.
    pub diagnostics: Diagnostics,
    /// The text that the messages point into.
    pub source: SourceFile,
}

impl Rejected {
    /// All messages with their lines of the source.
    pub fn render(&self, color: bool) -> String {
        self.diagnostics.render(&self.source, color)
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Rejected {}

/// Why a file gave no scenario.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The file could not be read.
    #[error("cannot read {}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The file was read and cannot be used.
    #[error(transparent)]
    Rejected(Box<Rejected>),
}

impl Failure {
    /// The exit code of the command line: 74 for I/O, 2 for invalid input.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Io { .. } => 74,
            Self::Rejected(_) => 2,
        }
    }
}

/// Reads a scenario file and applies `path=value` overrides in their order.
///
/// # Errors
///
/// [`Failure::Io`] if the file cannot be read, else all that is wrong with its content.
pub fn load(path: &Path, overrides: &[String]) -> Result<Scenario, Failure> {
    let text = read_text(path)?;
    let profiles = Profiles::in_folder(path.parent().unwrap_or(Path::new("")));
    load_text_with(&path.display().to_string(), &text, overrides, &profiles, &Clusters::default())
        .map_err(|rejected| Failure::Rejected(Box::new(rejected)))
}

/// Reads a file as text.
///
/// # Errors
///
/// If it cannot be read, is larger than any file of motley's, or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    let io_failure = |error| Failure::Io { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io_failure)?;
    file.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(io_failure)?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(io_failure(io::Error::other("larger than 256 MiB: not a scenario file")));
    }
    utf8(&path.display().to_string(), bytes)
        .map_err(|rejected| Failure::Rejected(Box::new(rejected)))
}

/// The text of a file that messages call `name`.
pub(crate) fn utf8(name: &str, bytes: Vec<u8>) -> Result<String, Rejected> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let source = SourceFile::new(name, &String::from_utf8_lossy(error.as_bytes()));
        let bom = '\u{feff}'.len_utf8();
        let at = if error.as_bytes().starts_with(b"\xEF\xBB\xBF") { at - bom } else { at };
        let replacement = char::REPLACEMENT_CHARACTER.len_utf8();
        let diagnostic = Diagnostic::error(code::ENCODING, "the file is not UTF-8")
            .label(source.place(Span::new(at, at + replacement)), "the first byte that is not")
            .help("save the file as UTF-8 text");
        Rejected { diagnostics: diagnostic.into(), source }
    })
}

/// Reads a scenario from a text that messages call `name`, with the built-in catalogue; a profile that
/// it names is looked for from the working directory.
///
/// # Errors
///
/// All that is wrong with the text or the overrides.
pub fn load_text(name: &str, text: &str, overrides: &[String]) -> Result<Scenario, Rejected> {
    let profiles = Profiles::in_folder(Path::new(""));
    load_text_with(name, text, overrides, &profiles, &Clusters::default())
}

/// The same with profiles that are read from somewhere else, on clusters that may have been built before.
///
/// # Errors
///
/// All that is wrong with the text or the overrides.
pub fn load_text_with(
    name: &str,
    text: &str,
    overrides: &[String],
    profiles: &Profiles,
    clusters: &Clusters,
) -> Result<Scenario, Rejected> {
    let mut source = SourceFile::new(name, text);
    read(&mut source, overrides, profiles, clusters)
        .map_err(|diagnostics| Rejected { diagnostics, source })
}

fn read(
    source: &mut SourceFile,
    overrides: &[String],
    profiles: &Profiles,
    clusters: &Clusters,
) -> Result<Scenario, Diagnostics> {
    let mut refused = Diagnostics::default();
    refused.extend(overrides.iter().filter_map(|each| set::apply(source, each).err()));
    if !refused.is_empty() {
        return Err(refused);
    }
    let raw: RawScenario = parse(source)?;
    resolve_with_profile(raw, source, profiles, clusters)
}

/// Reads the profile that the scenario names, then resolves.
fn resolve_with_profile(
    raw: RawScenario,
    source: &mut SourceFile,
    profiles: &Profiles,
    clusters: &Clusters,
) -> Result<Scenario, Diagnostics> {
    let catalog = Catalog::builtin();
    let read = |name: &String| profiles.read(name, source, catalog);
    let profile = raw.profile.as_ref().map(read).transpose()?;
    resolve_on(raw, profile, source, catalog, clusters)
}

impl RawScenario {
    /// The scenario that these values describe, with the built-in catalogue; a profile that they name is
    /// looked for from the working directory.
    ///
    /// # Errors
    ///
    /// All that is wrong with it; the messages point into [`RawScenario::to_ron`].
    pub fn resolve(self) -> Result<Scenario, Rejected> {
        let mut source = SourceFile::new("scenario", &self.to_ron());
        let profiles = Profiles::in_folder(Path::new(""));
        resolve_with_profile(self, &mut source, &profiles, &Clusters::default())
            .map_err(|diagnostics| Rejected { diagnostics, source })
    }
}

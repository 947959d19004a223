//! One try to read a text.

use motley_workload::RON_EXTENSIONS;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use crate::syntax::{Path, Step};

/// Why a text was refused.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) error: ron::Error,
    /// The value that was being read.
    pub(super) path: Path,
    /// How far reading had come, in bytes.
    pub(super) offset: usize,
}

impl Refusal {
    /// The value before was not read to its end.
    pub(super) fn is_about_what_follows(&self) -> bool {
        use ron::Error as E;
        matches!(
            self.error,
            E::ExpectedComma
                | E::ExpectedStructLikeEnd
                | E::ExpectedArrayEnd
                | E::ExpectedMapEnd
                | E::ExpectedMapColon
                | E::ExpectedOptionEnd
                | E::TrailingCharacters
        )
    }
}

/// How much text may still be read in search of further mistakes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fuel {
    bytes: usize,
    attempts: usize,
}

impl Fuel {
    /// Enough for thousands of tries on an ordinary scenario, and for a few on a huge one.
    pub(super) fn for_text(text: &str) -> Self {
        Self { bytes: 4_000_000 + 4 * text.len(), attempts: 4_000 }
    }

    /// Whether there is some left for this text.
    fn burn(&mut self, text: &str) -> bool {
        let enough = self.attempts > 0 && self.bytes >= text.len();
        self.attempts = self.attempts.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(text.len());
        enough
    }
}

/// Reads a text as `T`; none without fuel.
pub(super) fn attempt<T: DeserializeOwned>(
    text: &str,
    fuel: &mut Fuel,
) -> Option<Result<T, Refusal>> {
    fuel.burn(text).then(|| read(text))
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    let options = ron::Options::default().with_default_extension(RON_EXTENSIONS);
    let mut deserializer = ron::Deserializer::from_str_with_options(text, &options)
        .map_err(|error| refusal(text, &error, Path::ROOT))?;
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = steps(error.path());
        refusal(text, &deserializer.span_error(error.into_inner()), path)
    })?;
    deserializer
        .end()
        .map_err(|error| refusal(text, &deserializer.span_error(error), Path::ROOT))?;
    Ok(value)
}

fn refusal(text: &str, error: &ron::error::SpannedError, path: Path) -> Refusal {
    Refusal { error: error.code.clone(), path, offset: offset(text, error.span.start) }
}

fn steps(path: &serde_path_to_error::Path) -> Path {
    Path(
        path.iter()
            .filter_map(|segment| match segment {
                Segment::Seq { index } => Some(Step::Index(*index)),
                Segment::Map { key } => Some(Step::Field(key.clone())),
                Segment::Enum { variant } => Some(Step::Variant(variant.clone())),
                Segment::Unknown => None,
            })
            .collect(),
    )
}

/// Line and column, both from 1, the column in characters, as a position in bytes.
fn offset(text: &str, position: ron::error::Position) -> usize {
    let line_start: usize =
        text.split_inclusive('\n').take(position.line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(line_start..).unwrap_or_default();
    let column: usize = rest.chars().take(position.col.saturating_sub(1)).map(char::len_utf8).sum();
    line_start + column
}

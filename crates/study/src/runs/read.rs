//! Files of rows, one JSON object a line.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Row;
use super::unknown::unknown_fields;

/// Longer files are not read: a million rows are shorter.
const FILE_LIMIT: u64 = 4 << 30;

/// More mistakes are counted, not shown.
const SHOWN: usize = 50;

/// The rows of some files, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Runs {
    /// Each row, and the fields that the schema does not have and that are like none of it.
    pub rows: Vec<(Row, Vec<String>)>,
}

impl Runs {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file, as messages call it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What was found and what was expected.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// Why files gave no rows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A file could not be read.
    #[error("cannot read {}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// Lines that are not rows: every mistake of every file.
    #[error("{}", list(.0))]
    Rows(Vec<Mistake>),
}

fn list(mistakes: &[Mistake]) -> String {
    let mut lines: Vec<String> = mistakes.iter().take(SHOWN).map(ToString::to_string).collect();
    if let Some(more @ 1..) = mistakes.len().checked_sub(SHOWN) {
        lines.push(format!("... and {more} more"));
    }
    lines.join("\nerror: ")
}

/// Reads files, one after the other.
///
/// # Errors
/// [`ReadError::Io`] for the first file that cannot be read, else all mistakes of all of them.
pub fn read<P: AsRef<Path>>(paths: &[P]) -> Result<Runs, ReadError> {
    let mut texts = Vec::new();
    for path in paths {
        let path = path.as_ref();
        let failure = |error| ReadError::Io { path: path.to_owned(), error };
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(FILE_LIMIT + 1).read_to_string(&mut text))
            .map_err(failure)?;
        if text.len() as u64 > FILE_LIMIT {
            return Err(failure(io::Error::other("larger than 4 GiB: not a file of runs")));
        }
        texts.push((path.display().to_string(), text));
    }
    parse(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())))
}

/// Reads texts, each with the name by which messages call it.
///
/// # Errors
/// All mistakes of all texts.
pub fn parse<'t>(texts: impl IntoIterator<Item = (&'t str, &'t str)>) -> Result<Runs, ReadError> {
    let mut runs = Runs::default();
    let mut mistakes = Vec::new();
    for (file, text) in texts {
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let number = index + 1;
            let mistake = |message| {
                mistakes.push(Mistake { file: file.to_owned(), line: number, message });
            };
            match value(line).and_then(row) {
                Err(messages) => messages.into_iter().for_each(mistake),
                Ok(row) => runs.rows.push(row),
            }
        }
    }
    if mistakes.is_empty() { Ok(runs) } else { Err(ReadError::Rows(mistakes)) }
}

/// A value without the fields that are null: the source does not state them.
fn stated(value: Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(
            object
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name, stated(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(stated).collect()),
        other => other,
    }
}

/// The value on a line, or what is wrong with it.
fn value(line: &str) -> Result<Value, Vec<String>> {
    serde_json::from_str(line).map_err(|error| {
        let text = error.to_string();
        let what = text.split(" at line ").next().unwrap_or_default().to_owned();
        vec![format!("column {}: not JSON: {what}", error.column())]
    })
}

/// A row and its fields that nobody knows, or all that is wrong with it.
pub(crate) fn row(value: Value) -> Result<(Row, Vec<String>), Vec<String>> {
    let Value::Object(object) = &value else {
        return Err(vec!["a row is a JSON object, `{\"id\": ..., \"model\": ...}`".to_owned()]);
    };
    let mut wrong = Vec::new();
    let mut unknown = Vec::new();
    for field in unknown_fields(object) {
        match field.meant {
            Some(meant) => wrong
                .push(format!("`{}` is not a field of a row; did you mean `{meant}`?", field.path)),
            None => unknown.push(field.path),
        }
    }
    let row: Row = match serde_path_to_error::deserialize(stated(value)) {
        Ok(row) => row,
        Err(error) => {
            wrong.push(format!("`{}`: {}", error.path(), error.inner()));
            return Err(wrong);
        }
    };
    if row.id.is_empty() {
        wrong.push("a row needs an `id`".to_owned());
    }
    if wrong.is_empty() { Ok((row, unknown)) } else { Err(wrong) }
}

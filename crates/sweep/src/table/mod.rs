//! Results as a table: read from any of the three formats that sweeps write.
//!
//! What a column is follows from its name, so that a file that went through other programs can still be
//! read: `axis_...` was varied, `point_index`, `replica_index` and `seed` number the rows, a column of
//! numbers is a metric, one of texts a label. Names of metrics end in their unit, as in all of motley's
//! JSON.

mod csv;
mod jsonl;
mod parquet;
mod writer;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use writer::Writer;

/// The version of the tables' shape: it grows when a column is renamed, removed or changes meaning.
pub const SCHEMA_VERSION: u32 = 1;

/// What the names of varied columns begin with.
pub const AXIS_PREFIX: &str = "axis_";

/// Columns that number the rows.
pub(crate) const INDICES: [&str; 3] = ["point_index", "replica_index", "seed"];

/// Columns that are texts even where they hold nothing, or what looks like a number.
pub(crate) const LABELS: [&str; 4] = ["status", "error", "plan", "idle_cards"];

/// What stands at one place of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A finite number, in the unit that the column's name ends in.
    Number(f64),
    /// A text.
    Text(String),
    /// Nothing: the point has no such figure.
    None,
}

impl Cell {
    /// The number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// As it is written for people; empty if it is nothing.
    pub fn written(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::None => String::new(),
        }
    }
}

impl From<Option<f64>> for Cell {
    /// Numbers that are not finite are nothing.
    fn from(number: Option<f64>) -> Self {
        number.filter(|number| number.is_finite()).map_or(Self::None, Self::Number)
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Some(number).into()
    }
}

/// What a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// Numbers the rows.
    Index,
    /// Was varied.
    Axis,
    /// Came out.
    Metric,
    /// Texts beside.
    Label,
}

/// How the cells of a column are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Whole numbers from 0, below 2^53.
    Whole,
    /// Any numbers.
    Real,
    /// Texts.
    Text,
}

/// A column to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// Its name.
    pub name: String,
    /// How its cells are stored.
    pub storage: Storage,
}

/// One column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name, which ends in its unit.
    pub name: String,
    /// What it is for.
    pub kind: ColumnKind,
    /// One cell for each row.
    pub cells: Vec<Cell>,
}

impl Column {
    /// What it is for follows from name and cells.
    fn new(name: String, cells: Vec<Cell>) -> Self {
        let texts = || cells.iter().any(|cell| cell.text().is_some());
        let kind = if INDICES.contains(&name.as_str()) {
            ColumnKind::Index
        } else if name.starts_with(AXIS_PREFIX) {
            ColumnKind::Axis
        } else if LABELS.contains(&name.as_str()) || texts() {
            ColumnKind::Label
        } else {
            ColumnKind::Metric
        };
        Self { name, kind, cells }
    }

    /// The name without what marks an axis: `tp` of `axis_tp`.
    pub fn short_name(&self) -> &str {
        self.name.strip_prefix(AXIS_PREFIX).unwrap_or(&self.name)
    }
}

/// What a table was made by and from. Parquet files hold it under the key `motley`; beside a CSV or JSONL
/// file it stands in a file of the same name with `.provenance.json` behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// See [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The version of motley.
    pub tool_version: String,
    /// The hash of the plan of the sweep.
    pub plan_hash: String,
    /// The seed of the first replica.
    pub seed: u64,
    /// What the study asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
}

/// The results of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Columns of equal length, in the order of the file.
    pub columns: Vec<Column>,
    /// What it was made by and from, if the file says so.
    pub provenance: Option<Provenance>,
}

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// A file could not be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The file's name does not say what is in it.
    #[error("{}: tables are .csv, .jsonl or .parquet files; name it so", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
    },
    /// The file is not such a table.
    #[error("{}: {what}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

impl TableError {
    fn io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), error }
    }

    fn content(path: &Path, what: &impl ToString) -> Self {
        Self::Content { path: path.to_owned(), what: what.to_string() }
    }
}

/// The formats of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// Comma-separated values with a header line.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

impl TableFormat {
    /// By the ending of a file's name.
    ///
    /// # Errors
    /// If it is none of the three.
    pub fn of(path: &Path) -> Result<Self, TableError> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("csv") => Ok(Self::Csv),
            Some("jsonl" | "ndjson") => Ok(Self::Jsonl),
            Some("parquet") => Ok(Self::Parquet),
            _ => Err(TableError::Format { path: path.to_owned() }),
        }
    }
}

/// The file beside a CSV or JSONL file that says where it is from.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".provenance.json");
    PathBuf::from(name)
}

impl Table {
    /// Reads a table; the ending of the file's name says how.
    ///
    /// # Errors
    /// If the file cannot be read or is no table.
    pub fn read(path: &Path) -> Result<Self, TableError> {
        match TableFormat::of(path)? {
            TableFormat::Csv => csv::read(path),
            TableFormat::Jsonl => jsonl::read(path),
            TableFormat::Parquet => parquet::read(path),
        }
    }

    /// From names and rows of as many cells.
    fn of_rows(names: Vec<String>, rows: Vec<Vec<Cell>>, provenance: Option<Provenance>) -> Self {
        let mut cells: Vec<Vec<Cell>> = vec![Vec::with_capacity(rows.len()); names.len()];
        for row in rows {
            for (column, cell) in cells.iter_mut().zip(row) {
                column.push(cell);
            }
        }
        let columns = names.into_iter().zip(cells).map(|(name, cells)| Column::new(name, cells));
        Self { columns: columns.collect(), provenance }
    }

    /// How many rows.
    pub fn row_count(&self) -> usize {
        self.columns.first().map_or(0, |column| column.cells.len())
    }

    /// The column of that name; an axis also by its name without `axis_`.
    pub fn column(&self, name: &str) -> Option<&Column> {
        let exact = self.columns.iter().find(|column| column.name == name);
        exact.or_else(|| self.axes().find(|column| column.short_name() == name))
    }

    /// The columns that were varied.
    pub fn axes(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.kind == ColumnKind::Axis)
    }

    /// The columns that came out.
    pub fn metrics(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.kind == ColumnKind::Metric)
    }

    /// The rows whose figures count: those with status `ok`, or all of a table without that column.
    pub fn counting_rows(&self) -> Vec<usize> {
        let status = self.column("status");
        let counts = |row: &usize| {
            status.is_none_or(|column| column.cells[*row].text().is_none_or(|text| text == "ok"))
        };
        (0..self.row_count()).filter(counts).collect()
    }
}

/// What stands in the file beside, if it is there.
fn provenance_beside(path: &Path) -> Option<Provenance> {
    serde_json::from_slice(&fs::read(beside(path)).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heading(name: &str, storage: Storage) -> Heading {
        Heading { name: name.to_owned(), storage }
    }

    fn provenance() -> Provenance {
        Provenance {
            schema_version: SCHEMA_VERSION,
            tool_version: "0.1.0".to_owned(),
            plan_hash: "ab".repeat(32),
            seed: 7,
            question: Some("how \"fast\", é?".to_owned()),
        }
    }

    /// Writes rows in each format and reads them back.
    fn check(headings: &[Heading], rows: &[Vec<Cell>], kinds: &[ColumnKind]) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.csv", "b.jsonl", "c.parquet"] {
            let path = folder.path().join(name);
            let mut bytes = Vec::new();
            for _ in 0..2 {
                let mut writer = Writer::create(&path, headings.to_vec(), provenance()).unwrap();
                for row in rows {
                    writer.row(row).unwrap();
                }
                writer.finish().unwrap();
                bytes.push(fs::read(&path).unwrap());
            }
            assert_eq!(bytes[0], bytes[1], "{name} differs when it is written again");
            let table = Table::read(&path).unwrap();
            assert_eq!(table.provenance, Some(provenance()), "{name}");
            assert_eq!(table.row_count(), rows.len(), "{name}");
            for (at, (heading, kind)) in headings.iter().zip(kinds).enumerate() {
                let column = &table.columns[at];
                assert_eq!((&column.name, column.kind), (&heading.name, *kind), "{name}");
                for (row, cell) in rows.iter().zip(&column.cells) {
                    assert_eq!(row[at], *cell, "{name}: {}", heading.name);
                }
            }
        }
    }

    #[test]
    fn tables_come_back_as_they_were_written() {
        let headings = [
            heading("point_index", Storage::Whole),
            heading("status", Storage::Text),
            heading("axis_tp", Storage::Whole),
            heading("axis_model", Storage::Text),
            heading("iteration_time_s", Storage::Real),
            heading("error", Storage::Text),
        ];
        let text = |text: &str| Cell::Text(text.to_owned());
        let rows = vec![
            vec![0.0.into(), text("ok"), 8.0.into(), text("a,\"b\""), 0.1.into(), Cell::None],
            vec![1.0.into(), text("ok"), 8.0.into(), text("é"), 1e-300.into(), Cell::None],
            vec![
                (9e15 - 1.0).into(),
                text("invalid"),
                0.0.into(),
                text("c"),
                Cell::None,
                text("two\nlines"),
            ],
        ];
        let axis = ColumnKind::Axis;
        let kinds = [
            ColumnKind::Index,
            ColumnKind::Label,
            axis,
            axis,
            ColumnKind::Metric,
            ColumnKind::Label,
        ];
        check(&headings, &rows, &kinds);
    }

    #[test]
    fn long_tables_are_written_in_groups() {
        let headings = [heading("point_index", Storage::Whole), heading("x_s", Storage::Real)];
        let rows: Vec<Vec<Cell>> =
            (0..40_000).map(|n| vec![f64::from(n).into(), (f64::from(n) / 7.0).into()]).collect();
        check(&headings, &rows, &[ColumnKind::Index, ColumnKind::Metric]);
    }

    #[test]
    fn other_files_are_refused_with_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let check = |name: &str, content: &[u8], part: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            let error = Table::read(&path).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(name), "{error}");
        };
        check("a.txt", b"", "tables are .csv");
        check("a.csv", b"a,b\n1\n", "CSV");
        check("a.jsonl", b"{\"a\": 1}\n{\"b\": 1}\n", "line 2");
        check("a.jsonl", b"[1]\n", "line 1");
        check("a.jsonl", b"{\"a\": [1]}\n", "neither number nor text");
        check("a.parquet", b"PAR1, or so it says", "arquet");
        let missing = Table::read(&folder.path().join("none.csv")).unwrap_err();
        assert!(matches!(missing, TableError::Io { .. }), "{missing}");
    }
}

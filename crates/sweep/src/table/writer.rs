//! Writing tables row by row, all or nothing.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::{Cell, Heading, Provenance, Storage, TableError, TableFormat, beside, parquet};
use crate::files::{Pending, put};

/// A table that is being written beside its place and appears there when it is whole.
pub struct Writer {
    path: PathBuf,
    headings: Vec<Heading>,
    provenance: Provenance,
    pending: Pending,
    rows: Rows,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("path", &self.path).finish_non_exhaustive()
    }
}

enum Rows {
    Csv(Box<::csv::Writer<BufWriter<File>>>),
    Jsonl(BufWriter<File>),
    Parquet(Box<parquet::Rows<BufWriter<File>>>),
}

impl Writer {
    /// A table of these columns; the ending of the file's name says in which format.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create(
        path: &Path,
        headings: Vec<Heading>,
        provenance: Provenance,
    ) -> Result<Self, TableError> {
        let format = TableFormat::of(path)?;
        let failed = |error| TableError::io(path, error);
        let pending = Pending::create(path).map_err(failed)?;
        let file = BufWriter::new(pending.file().map_err(failed)?);
        let rows = match format {
            TableFormat::Csv => {
                let mut writer = ::csv::Writer::from_writer(file);
                let names = headings.iter().map(|heading| &heading.name);
                writer.write_record(names).map_err(|error| failed(error.into()))?;
                Rows::Csv(Box::new(writer))
            }
            TableFormat::Jsonl => Rows::Jsonl(file),
            TableFormat::Parquet => {
                let rows = parquet::Rows::new(file, &headings, &provenance);
                Rows::Parquet(Box::new(rows.map_err(|error| failed(io::Error::other(error)))?))
            }
        };
        Ok(Self { path: path.to_owned(), headings, provenance, pending, rows })
    }

    /// Writes a row: one cell for each column, of the kind that it stores.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn row(&mut self, row: &[Cell]) -> Result<(), TableError> {
        debug_assert_eq!(row.len(), self.headings.len());
        let written = match &mut self.rows {
            Rows::Csv(writer) => {
                let cells = self.headings.iter().zip(row);
                writer
                    .write_record(cells.map(|(heading, cell)| field(heading, cell)))
                    .map_err(Into::into)
            }
            Rows::Jsonl(file) => file.write_all(object(&self.headings, row).as_bytes()),
            Rows::Parquet(rows) => rows.row(row).map_err(io::Error::other),
        };
        written.map_err(|error| TableError::io(&self.path, error))
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(self) -> Result<(), TableError> {
        let Self { path, provenance, pending, rows, .. } = self;
        let apart = !matches!(rows, Rows::Parquet(_));
        let flushed = match rows {
            Rows::Csv(writer) => writer
                .into_inner()
                .map_err(::csv::IntoInnerError::into_error)
                .and_then(|mut f| f.flush()),
            Rows::Jsonl(mut file) => file.flush(),
            Rows::Parquet(rows) => {
                rows.finish().map_err(io::Error::other).and_then(|mut file| file.flush())
            }
        };
        let put_all = || -> io::Result<()> {
            flushed?;
            if apart {
                let mut said = serde_json::to_string_pretty(&provenance)?;
                said.push('\n');
                put(&beside(&path), said.as_bytes())?;
            }
            pending.persist()
        };
        put_all().map_err(|error| TableError::io(&path, error))
    }
}

/// A cell in CSV. Readers tell columns of whole numbers by their first rows, so all others have a point or an
/// exponent.
fn field(heading: &Heading, cell: &Cell) -> String {
    match (cell, heading.storage) {
        (Cell::Number(number), Storage::Real) => format!("{number:?}"),
        _ => cell.written(),
    }
}

/// A row as a JSON object, keys in the order of the columns.
fn object(headings: &[Heading], row: &[Cell]) -> String {
    let mut text = String::from("{");
    for (at, (heading, cell)) in headings.iter().zip(row).enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(&serde_json::Value::from(heading.name.as_str()).to_string());
        text.push(':');
        match cell {
            Cell::None => text.push_str("null"),
            Cell::Text(value) => {
                text.push_str(&serde_json::Value::from(value.as_str()).to_string());
            }
            Cell::Number(number) if heading.storage == Storage::Whole => {
                text.push_str(&(*number as u64).to_string());
            }
            Cell::Number(number) => text.push_str(&serde_json::Value::from(*number).to_string()),
        }
    }
    text.push_str("}\n");
    text
}

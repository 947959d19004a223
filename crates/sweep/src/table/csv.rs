//! Tables as comma-separated values.

use std::path::Path;

use super::{Cell, LABELS, Table, TableError, provenance_beside};

/// Reads a table. A column all of whose cells are numbers or empty is one of numbers.
pub(super) fn read(path: &Path) -> Result<Table, TableError> {
    let bad = |error: ::csv::Error| match error.into_kind() {
        ::csv::ErrorKind::Io(error) => TableError::io(path, error),
        other => TableError::content(path, &format!("not a CSV table: {other:?}")),
    };
    let mut reader = ::csv::Reader::from_path(path).map_err(bad)?;
    let names: Vec<String> = reader.headers().map_err(bad)?.iter().map(ToOwned::to_owned).collect();
    let mut rows: Vec<::csv::StringRecord> = Vec::new();
    for record in reader.records() {
        rows.push(record.map_err(bad)?);
    }
    let is_number = |text: &str| text.parse::<f64>().is_ok_and(f64::is_finite);
    let numbers: Vec<bool> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            !LABELS.contains(&name.as_str())
                && rows.iter().map(|row| &row[at]).all(|text| text.is_empty() || is_number(text))
        })
        .collect();
    let cell = |at: usize, text: &str| {
        if text.is_empty() {
            Cell::None
        } else if numbers[at] {
            text.parse().map_or(Cell::None, Cell::Number)
        } else {
            Cell::Text(text.to_owned())
        }
    };
    let rows = rows
        .iter()
        .map(|row| row.iter().enumerate().map(|(at, text)| cell(at, text)).collect())
        .collect();
    Ok(Table::of_rows(names, rows, provenance_beside(path)))
}

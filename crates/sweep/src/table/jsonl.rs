//! Tables as one JSON object a line.

use std::fmt;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Cell, Table, TableError, provenance_beside};

/// An object with its keys in the order of the text, and values as they are written: numbers are read by
/// the standard library, which is exact.
struct Object(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Object(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Reads a table. Columns are those of the first row; a key that a row lacks is nothing.
pub(super) fn read(path: &Path) -> Result<Table, TableError> {
    let file = File::open(path).map_err(|error| TableError::io(path, error))?;
    let mut names: Vec<String> = Vec::new();
    let mut rows = Vec::new();
    for (at, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| TableError::io(path, error))?;
        if line.trim().is_empty() {
            continue;
        }
        let bad = |what: String| TableError::content(path, &format!("line {}: {what}", at + 1));
        let Object(entries) =
            serde_json::from_str(&line).map_err(|error| bad(error.to_string()))?;
        if names.is_empty() {
            names = entries.iter().map(|(name, _)| name.clone()).collect();
        }
        let mut row = vec![Cell::None; names.len()];
        for (name, value) in entries {
            let column = names.iter().position(|known| *known == name);
            let column = column.ok_or_else(|| bad(format!("the first row has no \"{name}\"")))?;
            row[column] = match value.get() {
                "null" => Cell::None,
                "true" => Cell::Number(1.0),
                "false" => Cell::Number(0.0),
                text if text.starts_with('"') => {
                    Cell::Text(serde_json::from_str(text).map_err(|error| bad(error.to_string()))?)
                }
                number => match number.parse() {
                    Ok(number) => Cell::from(Some(number)),
                    Err(_) => return Err(bad(format!("\"{name}\" is neither number nor text"))),
                },
            };
        }
        rows.push(row);
    }
    Ok(Table::of_rows(names, rows, provenance_beside(path)))
}

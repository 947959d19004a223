//! A file of the suite: a source, and tables of its runs.

use std::collections::BTreeMap;

use ron::extensions::Extensions;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::SuiteSource;
use super::merge::{at, lay};
use crate::runs::{self, Row};

/// Where runs were published.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Citation {
    /// How rows call it; rules of [`crate::translate`] read the software stack in it.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Who wrote it.
    pub authors: String,
    /// When.
    pub year: u32,
    /// Its address.
    pub url: String,
}

/// Which runs of a source are in the suite: of all that say enough, in the order of model, cards,
/// sequence and id, every so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// How many say enough.
    pub collected: usize,
    /// One of so many is taken, beginning with the first.
    pub step: usize,
}

impl Choice {
    /// How many runs that makes.
    pub fn count(self) -> usize {
        self.collected.div_ceil(self.step)
    }
}

/// Parts of a row that a word can stand for.
const PARTS: [&str; 3] = ["model", "hardware", "parallel"];

/// A file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    citation: Citation,
    key: String,
    runs: Choice,
    failures: Option<Choice>,
    remark: Option<String>,
    /// Fields of a row that all rows have.
    common: Value,
    /// What a word for `model` stands for; its name is the word unless given.
    #[serde(default)]
    models: BTreeMap<String, Value>,
    /// What a word for `hardware` stands for.
    #[serde(default)]
    machines: BTreeMap<String, Value>,
    /// What a word for `parallel` stands for.
    #[serde(default)]
    plans: BTreeMap<String, Value>,
    tables: Vec<Table>,
}

/// Rows that say the same things.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// Where in the source they are.
    place: String,
    /// Fields of a row that all rows of the table have.
    #[serde(default)]
    common: Value,
    /// What each cell of a row says: `id`, the name of a part (`model`, `hardware`, `parallel`), or a
    /// field by its path, `parallel.tp`.
    columns: Vec<String>,
    /// Cells in the order of the columns; `None` is what the source does not state.
    rows: Vec<Value>,
}

/// Reads a file, or says all that is wrong with it.
pub(super) fn read(name: &str, text: &str) -> Result<(SuiteSource, Vec<Row>), Vec<String>> {
    let options = ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME);
    let file: File = options
        .from_str(text)
        .map_err(|error| vec![format!("{name}.ron:{}: {}", error.span.start, error.code)])?;
    let mut rows = Vec::new();
    let mut mistakes = Vec::new();
    for table in &file.tables {
        for cells in &table.rows {
            match file.row(table, cells) {
                Ok(row) => rows.push(row),
                Err(found) => mistakes
                    .extend(found.into_iter().map(|what| format!("{name}.ron: {cells}: {what}"))),
            }
        }
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let source = SuiteSource {
        file: name.to_owned(),
        key: file.key,
        citation: file.citation,
        runs: file.runs,
        failures: file.failures,
        remark: file.remark,
        places: file.tables.into_iter().map(|table| table.place).collect(),
        ids: rows.iter().map(|row| row.id.clone()).collect(),
    };
    Ok((source, rows))
}

impl File {
    /// The row that cells of a table make.
    fn row(&self, table: &Table, cells: &Value) -> Result<Row, Vec<String>> {
        let cells = cells.as_array().filter(|cells| cells.len() == table.columns.len());
        let cells = cells.ok_or_else(|| vec![format!("not {} cells", table.columns.len())])?;
        let source = json!({
            "name": self.citation.name, "year": self.citation.year, "url": self.citation.url,
        });
        let mut row = at("source", source);
        lay(&mut row, &self.expanded(self.common.clone())?);
        lay(&mut row, &self.expanded(table.common.clone())?);
        // A part first, then what a row has otherwise than the part.
        let (parts, fields): (Vec<_>, Vec<_>) = table
            .columns
            .iter()
            .zip(cells)
            .partition(|(column, _)| PARTS.contains(&column.as_str()));
        for (column, cell) in parts.into_iter().chain(fields) {
            let said = match (column.as_str(), cell) {
                ("id", Value::String(id)) => json!({"id": format!("{}-{id}", self.key)}),
                (path, cell) => at(path, cell.clone()),
            };
            lay(&mut row, &self.expanded(said)?);
        }
        let (row, unknown) = runs::row(row)?;
        if unknown.is_empty() {
            Ok(row)
        } else {
            Err(unknown.iter().map(|field| format!("`{field}` is not a field of a row")).collect())
        }
    }

    /// What is said, with each word that stands for a part replaced by the part.
    fn expanded(&self, mut said: Value) -> Result<Value, Vec<String>> {
        for (place, parts) in PARTS.iter().zip([&self.models, &self.machines, &self.plans]) {
            let Some(Value::String(word)) = said.get(place) else { continue };
            let part = parts.get(word);
            let part = part.ok_or_else(|| vec![format!("`{word}` in `{place}` is not defined")])?;
            let mut found = if *place == "model" { json!({"name": word}) } else { json!({}) };
            lay(&mut found, part);
            said[place] = found;
        }
        Ok(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with these tables.
    fn file(tables: &str) -> Result<(SuiteSource, Vec<Row>), Vec<String>> {
        let text = format!(
            r#"(
                citation: (name: "n", title: "t", authors: "a", year: 2020, url: "u"),
                key: "k",
                runs: (collected: 2, step: 1),
                common: (model: (layers: 2, seq: 128), parallel: (tp: 1)),
                models: {{"small": (hidden: 8), "large": (hidden: 16, name: "L")}},
                tables: [{tables}],
            )"#
        );
        read("x", &text)
    }

    #[test]
    fn cells_lie_over_parts_over_what_is_common() {
        let (source, rows) = file(
            r#"(
                place: "p",
                common: (parallel: (tp: 2)),
                columns: ["id", "model", "model.seq", "parallel.tp", "parallel.sp"],
                rows: [("a", "small", None, None, true), ("b", "large", 256, 4, None)],
            )"#,
        )
        .unwrap();
        assert_eq!(source.ids, ["k-a", "k-b"]);
        assert_eq!(source.places, ["p"]);
        let model = |row: &Row| {
            let model = &row.model;
            (model.name.clone().unwrap(), model.layers, model.hidden, model.seq)
        };
        assert_eq!(model(&rows[0]), ("small".to_owned(), Some(2), Some(8), Some(128)));
        assert_eq!(model(&rows[1]), ("L".to_owned(), Some(2), Some(16), Some(256)));
        let parallel = |row: &Row| (row.parallel.tp, row.parallel.sp);
        assert_eq!(parallel(&rows[0]), (Some(2), Some(true)));
        assert_eq!(parallel(&rows[1]), (Some(4), None));
        assert_eq!((rows[0].source.name.as_str(), rows[0].source.year), ("n", Some(2020)));
    }

    #[test]
    fn mistakes_are_told_with_their_rows() {
        let check = |columns: &str, row: &str, part: &str| {
            let table = format!("(place: \"p\", columns: [{columns}], rows: [{row}])");
            let found = file(&table).unwrap_err().join("\n");
            assert!(found.contains(part), "{found}");
        };
        check(r#""id", "model""#, r#"("a", "tiny")"#, "`tiny` in `model` is not defined");
        check(r#""id", "model""#, r#"("a", "small", 3)"#, "not 2 cells");
        check(r#""id", "parallel.schedul""#, r#"("a", 3)"#, "did you mean `schedule`?");
        check(r#""id", "parallel.elephants""#, r#"("a", 3)"#, "is not a field of a row");
        check(r#""id", "parallel.tp""#, r#"("a", "two")"#, "expected a whole number");
    }
}

//! What a table of results says: the best rows, what a metric depends on, where it crosses a level.
//!
//! All of it works on tables alone, so on tables of any origin.

mod best;
mod break_even;
mod sensitivity;
mod text;

use crate::table::{Cell, Column, ColumnKind, Table};
use motley_scenario::nearest;
use serde::Serialize;

pub use best::{Best, BestRow, Direction, Goal, best};
pub use break_even::{Against, BreakEven, Crossing, Line, break_even};
pub use sensitivity::{Factor, Sensitivity, sensitivity};
pub use text::{best_text, break_even_text, sensitivity_text};

/// Why a table has no answer to a question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnalysisError {
    /// There is no such column.
    #[error("the table has no column \"{name}\"{}", suggestion(.like.as_deref(), .known))]
    NoColumn {
        /// What was asked for.
        name: String,
        /// A name like it.
        like: Option<String>,
        /// All names that would do.
        known: Vec<String>,
    },
    /// The column holds no numbers where numbers are needed.
    #[error("column \"{name}\" has no numbers")]
    NoNumbers {
        /// Which column.
        name: String,
    },
    /// There are too few rows.
    #[error("the table has {found} rows that count, at least {needed} are needed")]
    FewRows {
        /// Rows with status `ok` and a number.
        found: usize,
        /// How many are needed.
        needed: usize,
    },
    /// The question makes no sense.
    #[error("{0}")]
    Question(String),
}

fn suggestion(like: Option<&str>, known: &[String]) -> String {
    match like {
        Some(like) => format!("; did you mean \"{like}\"?"),
        None => format!("; it has {}", known.join(", ")),
    }
}

/// A value as JSON has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// Nothing.
    None,
}

impl From<&Cell> for Value {
    fn from(cell: &Cell) -> Self {
        match cell {
            Cell::Number(number) => Self::Number(*number),
            Cell::Text(text) => Self::Text(text.clone()),
            Cell::None => Self::None,
        }
    }
}

/// What an axis is at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// The axis.
    pub axis: String,
    /// Its value.
    pub value: Value,
}

/// The column of that name among those of some kinds.
fn column<'t>(
    table: &'t Table,
    name: &str,
    kinds: &[ColumnKind],
) -> Result<&'t Column, AnalysisError> {
    table.column(name).filter(|column| kinds.contains(&column.kind)).ok_or_else(|| {
        let names = table.columns.iter().filter(|column| kinds.contains(&column.kind));
        let known: Vec<String> = names.map(|column| column.short_name().to_owned()).collect();
        let like = nearest(name, known.iter().map(String::as_str)).map(ToOwned::to_owned);
        AnalysisError::NoColumn { name: name.to_owned(), like, known }
    })
}

/// What all axes are at in a row, but for some.
fn settings(table: &Table, row: usize, without: &[&str]) -> Vec<Setting> {
    table
        .axes()
        .filter(|axis| !without.contains(&axis.name.as_str()))
        .map(|axis| Setting {
            axis: axis.short_name().to_owned(),
            value: (&axis.cells[row]).into(),
        })
        .collect()
}

/// Columns whose values go together one to one, as axes of a zip do, are one factor: in groups, in the
/// order of the table.
fn factors<'t>(columns: &[&'t Column], rows: &[usize]) -> Vec<Vec<&'t Column>> {
    let mut factors: Vec<Vec<&Column>> = Vec::new();
    for column in columns {
        match factors.iter_mut().find(|factor| go_together(factor[0], column, rows)) {
            Some(factor) => factor.push(column),
            None => factors.push(vec![column]),
        }
    }
    factors
}

/// Whether each value of a column goes with one of another. Where all values differ, as in a sample, that
/// says nothing: then one must also rise or fall with the other.
fn go_together(one: &Column, other: &Column, rows: &[usize]) -> bool {
    let levels_of_one = levels(one, rows);
    let count = levels_of_one.iter().max().map_or(0, |level| level + 1);
    // What never varies is no factor by itself, and goes with nothing.
    if count < 2 || levels_of_one != levels(other, rows) {
        return false;
    }
    if count < rows.len() {
        return true;
    }
    let pair = |&row: &usize| Some((one.cells[row].number()?, other.cells[row].number()?));
    let Some(mut pairs) = rows.iter().map(pair).collect::<Option<Vec<_>>>() else { return false };
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    pairs.is_sorted_by(|a, b| a.1 <= b.1) || pairs.is_sorted_by(|a, b| a.1 >= b.1)
}

/// By row, which value it has, numbered in the order in which values appear: equal for columns whose
/// values go together.
fn levels(column: &Column, rows: &[usize]) -> Vec<usize> {
    let mut known = std::collections::HashMap::new();
    rows.iter()
        .map(|&row| {
            let next = known.len();
            *known.entry(column.cells[row].written()).or_insert(next)
        })
        .collect()
}

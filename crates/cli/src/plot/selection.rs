//! Which rows of a table are drawn, and that nothing else varies among them.

use motley_scenario::nearest;
use motley_sweep::{Cell, Column, ColumnKind, Table};

use crate::exit::CommandFailure;

/// More values of a column are not listed.
const LISTED: usize = 8;

/// The column of that name, if it is one of these kinds.
pub(super) fn column<'t>(
    table: &'t Table,
    name: &str,
    kinds: &[ColumnKind],
) -> Result<&'t Column, CommandFailure> {
    let fitting = || table.columns.iter().filter(|column| kinds.contains(&column.kind));
    match table.column(name) {
        Some(column) if kinds.contains(&column.kind) => Ok(column),
        found => {
            let wrong =
                if found.is_some() { "no column that can stand there" } else { "no column" };
            let hint = nearest(name, fitting().map(Column::short_name))
                .filter(|_| found.is_none())
                .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            let names: Vec<&str> = fitting().map(Column::short_name).collect();
            let choice = match names[..] {
                [] => "there is none".to_owned(),
                _ => format!("there are {}", names.join(", ")),
            };
            Err(CommandFailure::input(format!("`{name}` is {wrong}{hint}; {choice}")))
        }
    }
}

/// Rows whose figures count and that meet the conditions: for each column that conditions name, one of its
/// values.
pub(super) fn rows(table: &Table, conditions: &[String]) -> Result<Vec<usize>, CommandFailure> {
    let mut wanted: Vec<(&Column, Vec<&str>)> = Vec::new();
    for condition in conditions {
        let Some((name, value)) = condition.split_once('=') else {
            let message = format!("--where {condition}: expected COLUMN=VALUE, such as tp=8");
            return Err(CommandFailure::input(message));
        };
        let kinds = [ColumnKind::Axis, ColumnKind::Label, ColumnKind::Index, ColumnKind::Metric];
        let column = column(table, name.trim(), &kinds)?;
        if !column.cells.iter().any(|cell| is(cell, value)) {
            let values = listed(&distinct(column, 0..table.row_count()));
            let message = format!("--where {condition}: `{}` has {values}", column.short_name());
            return Err(CommandFailure::input(message));
        }
        match wanted.iter_mut().find(|(known, _)| known.name == column.name) {
            Some((_, values)) => values.push(value),
            None => wanted.push((column, vec![value])),
        }
    }
    let meets = |row: &usize| {
        wanted
            .iter()
            .all(|(column, values)| values.iter().any(|value| is(&column.cells[*row], value)))
    };
    let counting = table.counting_rows();
    let rows: Vec<usize> = counting.iter().copied().filter(meets).collect();
    if rows.is_empty() {
        let why = match (counting.is_empty(), table.row_count()) {
            (_, 0) => "the table has no rows".to_owned(),
            (true, count) => format!("of {count} rows none has the status `ok`"),
            (false, _) => "no row with the status `ok` meets all of --where".to_owned(),
        };
        return Err(CommandFailure::input(format!("nothing to draw: {why}")));
    }
    Ok(rows)
}

/// Whether a cell holds what was written: numbers may be written in any way.
fn is(cell: &Cell, written: &str) -> bool {
    match cell {
        Cell::Number(number) => {
            written.trim().parse().is_ok_and(|wanted: f64| wanted.total_cmp(number).is_eq())
        }
        other => other.written() == written.trim().trim_matches('"'),
    }
}

/// The values of a column in some rows: numbers by size, then texts as they come.
pub(super) fn distinct(column: &Column, rows: impl IntoIterator<Item = usize>) -> Vec<Cell> {
    let mut values: Vec<Cell> = Vec::new();
    for row in rows {
        if !values.contains(&column.cells[row]) {
            values.push(column.cells[row].clone());
        }
    }
    let key = |cell: &Cell| cell.number().unwrap_or(f64::INFINITY);
    values.sort_by(|a, b| key(a).total_cmp(&key(b)));
    values
}

/// That of the axes only `shown` have several values in these rows.
pub(super) fn nothing_else_varies(
    table: &Table,
    rows: &[usize],
    shown: &[&Column],
) -> Result<(), CommandFailure> {
    let others: Vec<(&Column, Vec<Cell>)> = table
        .axes()
        .filter(|axis| shown.iter().all(|column| column.name != axis.name))
        .map(|axis| (axis, distinct(axis, rows.iter().copied())))
        .filter(|(_, values)| values.len() > 1)
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    let vary: Vec<String> = others
        .iter()
        .map(|(axis, values)| format!("`{}` ({})", axis.short_name(), listed(values)))
        .collect();
    let fix: Vec<String> = others
        .iter()
        .filter_map(|(axis, values)| {
            let value = values.first()?.written();
            let quote = if value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
                ""
            } else {
                "'"
            };
            Some(format!("--where {quote}{}={value}{quote}", axis.short_name()))
        })
        .collect();
    Err(CommandFailure::input(format!(
        "points differ in {}, too, which no line can show and a mean would hide; choose, for example \
         {}, or draw one line for each value with --by",
        vary.join(" and "),
        fix.join(" ")
    )))
}

fn listed(values: &[Cell]) -> String {
    let shown: Vec<String> = values.iter().take(LISTED).map(Cell::written).collect();
    let more = if values.len() > LISTED {
        format!(", and {} more", values.len() - LISTED)
    } else {
        String::new()
    };
    shown.join(", ") + &more
}

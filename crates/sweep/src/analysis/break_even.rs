//! Where a metric crosses a level, or another metric, along an axis.

use serde::Serialize;

use super::{AnalysisError, Setting, column, factors, settings};
use crate::table::{Column, ColumnKind, Table};

/// What a metric is held against.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// A number.
    Level(f64),
    /// Another metric of the same row.
    Metric(String),
    /// The same metric where an axis has another value: the two values.
    Values {
        /// The axis.
        axis: String,
        /// Its value for the metric.
        of: String,
        /// Its value for what that is held against.
        against: String,
    },
}

/// A place at which the metric crosses what it is held against.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Crossing {
    /// The value of the axis, between two rows in a straight line.
    pub at: f64,
    /// The metric is below before and above behind.
    pub rising: bool,
}

/// One combination of all other axes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The combination.
    pub settings: Vec<Setting>,
    /// Rows on the line.
    pub row_count: usize,
    /// Where it crosses, in the order of the axis.
    pub crossings: Vec<Crossing>,
    /// The metric less what it is held against at the axis' smallest value.
    pub first_difference: f64,
    /// And at its largest.
    pub last_difference: f64,
    /// Where that is farthest from zero.
    pub largest_difference: f64,
}

/// Where a metric crosses something.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BreakEven {
    /// The axis.
    pub axis: String,
    /// The metric.
    pub metric: String,
    /// What it is held against.
    pub against: Against,
    /// One for each combination of the other axes, in the order of the table.
    pub lines: Vec<Line>,
}

/// Where a metric crosses a level, another metric or its own values elsewhere, along an axis; for each
/// combination of the other axes.
///
/// # Errors
/// If there is no such column, or the axis is not one of numbers.
pub fn break_even(
    table: &Table,
    axis: &str,
    metric: &str,
    against: &Against,
) -> Result<BreakEven, AnalysisError> {
    let along = column(table, axis, &[ColumnKind::Axis])?;
    let metric = column(table, metric, &[ColumnKind::Metric])?;
    let rows = table.counting_rows();
    if rows.iter().all(|&row| along.cells[row].number().is_none()) {
        return Err(AnalysisError::NoNumbers { name: along.short_name().to_owned() });
    }
    // What moves with the axis is not another one.
    let axes: Vec<&Column> = table.axes().collect();
    let together: Vec<&str> = factors(&axes, &rows)
        .into_iter()
        .find(|factor| factor.iter().any(|column| column.name == along.name))
        .map(|factor| factor.iter().map(|column| column.name.as_str()).collect())
        .unwrap_or_default();
    let mut without = together;
    let points: Vec<(usize, f64, f64)> = match against {
        Against::Level(level) => {
            points(&rows, along, |row| Some(metric.cells[row].number()? - level))
        }
        Against::Metric(name) => {
            let other = column(table, name, &[ColumnKind::Metric])?;
            points(&rows, along, |row| {
                Some(metric.cells[row].number()? - other.cells[row].number()?)
            })
        }
        Against::Values { axis, of, against } => {
            let switch = column(table, axis, &[ColumnKind::Axis])?;
            if without.contains(&switch.name.as_str()) {
                let message = "the axis to go along is the one to be switched; name two".to_owned();
                return Err(AnalysisError::Question(message));
            }
            let all = rows.iter().map(|&row| switch.cells[row].written()).collect::<Vec<_>>();
            for value in [of, against] {
                if !all.contains(value) {
                    let message = format!("\"{axis}\" is nowhere {value}");
                    return Err(AnalysisError::Question(message));
                }
            }
            without.push(&switch.name);
            // The row that is the same but for the switch.
            let key = |row: usize| {
                let mut key: Vec<String> = Vec::new();
                for column in table.axes().filter(|column| column.name != switch.name) {
                    key.push(column.cells[row].written());
                }
                key.extend(table.column("replica_index").map(|column| column.cells[row].written()));
                key
            };
            let mut others = std::collections::HashMap::new();
            for &row in rows.iter().filter(|&&row| switch.cells[row].written() == *against) {
                others.insert(key(row), row);
            }
            let these: Vec<usize> =
                rows.iter().copied().filter(|&row| switch.cells[row].written() == *of).collect();
            points(&these, along, |row| {
                let other = *others.get(&key(row))?;
                Some(metric.cells[row].number()? - metric.cells[other].number()?)
            })
        }
    };
    Ok(BreakEven {
        axis: along.short_name().to_owned(),
        metric: metric.name.clone(),
        against: against.clone(),
        lines: lines(table, &points, &without),
    })
}

/// Rows with their value of the axis and their difference, those that have both.
fn points(
    rows: &[usize],
    along: &Column,
    difference: impl Fn(usize) -> Option<f64>,
) -> Vec<(usize, f64, f64)> {
    let point = |&row: &usize| Some((row, along.cells[row].number()?, difference(row)?));
    rows.iter().filter_map(point).collect()
}

/// Values of the axis with differences.
type Points = Vec<(f64, f64)>;

fn lines(table: &Table, points: &[(usize, f64, f64)], without: &[&str]) -> Vec<Line> {
    let mut lines: Vec<(Vec<Setting>, Points)> = Vec::new();
    let mut known = std::collections::HashMap::new();
    for &(row, at, difference) in points {
        let settings = settings(table, row, without);
        let key = format!("{settings:?}");
        let line = *known.entry(key).or_insert_with(|| {
            lines.push((settings, Vec::new()));
            lines.len() - 1
        });
        lines[line].1.push((at, difference));
    }
    lines
        .into_iter()
        .map(|(settings, mut points)| {
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            // Replicas count as their mean.
            let merged: Points = points
                .chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq())
                .map(|same| {
                    let sum: f64 = same.iter().map(|(_, difference)| difference).sum();
                    (same[0].0, sum / same.len() as f64)
                })
                .collect();
            Line {
                settings,
                row_count: points.len(),
                crossings: crossings(&merged),
                first_difference: merged.first().map_or(0.0, |first| first.1),
                last_difference: merged.last().map_or(0.0, |last| last.1),
                largest_difference: merged
                    .iter()
                    .map(|(_, difference)| *difference)
                    .max_by(|a, b| a.abs().total_cmp(&b.abs()))
                    .unwrap_or(0.0),
            }
        })
        .collect()
}

/// Where a line through points changes its sign.
fn crossings(points: &[(f64, f64)]) -> Vec<Crossing> {
    let mut found = Vec::new();
    // The last point off zero, and where zero began since.
    let mut before: Option<(f64, f64)> = None;
    let mut touched: Option<f64> = None;
    for &(x, y) in points {
        if y == 0.0 {
            touched.get_or_insert(x);
            continue;
        }
        if let Some((x0, y0)) = before
            && (y0 < 0.0) != (y < 0.0)
        {
            let between = x0 + (x - x0) * (y0 / (y0 - y));
            found.push(Crossing { at: touched.unwrap_or(between), rising: y > 0.0 });
        }
        (before, touched) = (Some((x, y)), None);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Cell;

    fn column(name: &str, cells: impl IntoIterator<Item = Cell>) -> Column {
        let kind = if name.starts_with("axis_") { ColumnKind::Axis } else { ColumnKind::Metric };
        Column { name: name.to_owned(), kind, cells: cells.into_iter().collect() }
    }

    #[test]
    fn crossings_of_lines_are_found_where_they_are() {
        let check = |points: &[(f64, f64)], expected: &[(f64, bool)]| {
            let found: Vec<(f64, bool)> =
                crossings(points).iter().map(|crossing| (crossing.at, crossing.rising)).collect();
            assert_eq!(found, expected, "{points:?}");
        };
        check(&[(0.0, -1.0), (4.0, 3.0)], &[(1.0, true)]);
        check(&[(0.0, 1.0), (1.0, -1.0), (2.0, 3.0)], &[(0.5, false), (1.25, true)]);
        check(&[(0.0, -1.0), (1.0, 0.0), (2.0, 0.0), (3.0, 2.0)], &[(1.0, true)]);
        // Touching is not crossing.
        check(&[(0.0, 1.0), (1.0, 0.0), (2.0, 2.0)], &[]);
        check(&[(0.0, 0.0), (1.0, 2.0)], &[]);
    }

    #[test]
    fn each_combination_of_the_other_axes_has_its_line() {
        let rows: Vec<(f64, f64)> =
            [2.0, 4.0].iter().flat_map(|&k| (0..5).map(move |x| (k, f64::from(x)))).collect();
        let table = Table {
            columns: vec![
                column("axis_k", rows.iter().map(|(k, _)| (*k).into())),
                column("axis_x", rows.iter().map(|(_, x)| (*x).into())),
                column("axis_twice", rows.iter().map(|(_, x)| (2.0 * x).into())),
                column("y_s", rows.iter().map(|(k, x)| (k * x).into())),
                column("z_s", rows.iter().map(|(_, x)| (x + 1.0).into())),
            ],
            provenance: None,
        };
        let crossings = |against: Against| -> Vec<Vec<f64>> {
            let found = break_even(&table, "x", "y_s", &against).unwrap();
            found.lines.iter().map(|line| line.crossings.iter().map(|c| c.at).collect()).collect()
        };
        assert_eq!(crossings(Against::Level(6.0)), [[3.0], [1.5]]);
        let found = crossings(Against::Metric("z_s".to_owned()));
        assert!((found[0][0] - 1.0).abs() < 1e-12 && (found[1][0] - 1.0 / 3.0).abs() < 1e-12);
        let values =
            Against::Values { axis: "k".to_owned(), of: "2".to_owned(), against: "4".to_owned() };
        let found = break_even(&table, "axis_x", "y_s", &values).unwrap();
        assert_eq!(found.lines.len(), 1);
        assert!((found.lines[0].last_difference + 8.0).abs() < 1e-12);
        assert!(found.lines[0].settings.is_empty());
    }
}

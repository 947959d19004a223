//! The best rows of a table.

use serde::Serialize;

use super::{AnalysisError, Setting, Value, column, settings};
use crate::table::{ColumnKind, Table};

/// Whether more is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Less is better.
    Minimize,
    /// More is better.
    Maximize,
}

impl Direction {
    /// What is usually wanted of a metric: rates and utilisations high; times, costs, losses, bytes and
    /// counts low.
    pub fn usual(metric: &str) -> Self {
        let high = ["mfu_ratio", "hfu_ratio"].iter().any(|name| metric.ends_with(name))
            || metric.ends_with("_per_s")
            || metric == "used_card_count";
        if high { Self::Maximize } else { Self::Minimize }
    }
}

/// A metric and whether more of it is better.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Goal {
    /// The column.
    pub metric: String,
    /// Whether more is better.
    pub direction: Direction,
}

/// One of the best rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BestRow {
    /// Its number, if the table has numbers.
    pub point_index: Option<u64>,
    /// What the axes are at.
    pub settings: Vec<Setting>,
    /// The metrics of the goals, in their order.
    pub metrics: Vec<f64>,
    /// Texts of the row, such as its plan.
    pub labels: Vec<(String, Value)>,
}

/// The best rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Best {
    /// What is sought.
    pub goals: Vec<Goal>,
    /// Rows that could be compared: with status `ok`, and numbers for all goals.
    pub row_count: usize,
    /// Of several goals, rows that no other is at least as good as in all and better than in one: all of
    /// them, of which the first are below. Of one goal, all rows.
    pub candidate_count: usize,
    /// The best by the first goal, best first; of equals the one that comes first in the table.
    pub rows: Vec<BestRow>,
}

/// The `top` best rows by a goal, or the Pareto front of several, by the first.
///
/// # Errors
/// If a goal is not a metric, or no row has numbers for all.
pub fn best(table: &Table, goals: &[Goal], top: usize) -> Result<Best, AnalysisError> {
    if goals.is_empty() {
        return Err(AnalysisError::Question("the best by what? name a metric".to_owned()));
    }
    let columns = goals
        .iter()
        .map(|goal| column(table, &goal.metric, &[ColumnKind::Metric]))
        .collect::<Result<Vec<_>, _>>()?;
    // Signs make less better everywhere.
    let mut rows: Vec<(usize, Vec<f64>)> = table
        .counting_rows()
        .into_iter()
        .filter_map(|row| {
            let cells = columns.iter().zip(goals).map(|(column, goal)| {
                let sign = if goal.direction == Direction::Minimize { 1.0 } else { -1.0 };
                column.cells[row].number().map(|number| sign * number)
            });
            Some((row, cells.collect::<Option<Vec<f64>>>()?))
        })
        .collect();
    if rows.is_empty() {
        return Err(AnalysisError::FewRows { found: 0, needed: 1 });
    }
    let row_count = rows.len();
    // Lexicographically: what dominates a row comes before it.
    rows.sort_by(|(a, x), (b, y)| {
        let order = x.iter().zip(y).map(|(x, y)| x.total_cmp(y));
        order.reduce(std::cmp::Ordering::then).unwrap_or(std::cmp::Ordering::Equal).then(a.cmp(b))
    });
    if goals.len() > 1 {
        let mut front: Vec<(usize, Vec<f64>)> = Vec::new();
        for (row, costs) in rows {
            let dominated = front.iter().any(|(_, other)| {
                other != &costs && other.iter().zip(&costs).all(|(other, cost)| other <= cost)
            });
            if !dominated {
                front.push((row, costs));
            }
        }
        rows = front;
    }
    let candidate_count = rows.len();
    let index = table.column("point_index");
    let labels: Vec<_> = table
        .columns
        .iter()
        .filter(|column| column.kind == ColumnKind::Label)
        .filter(|column| !["status", "error"].contains(&column.name.as_str()))
        .collect();
    let rows = rows
        .into_iter()
        .take(top)
        .map(|(row, _)| BestRow {
            point_index: index.and_then(|column| column.cells[row].number()).map(|n| n as u64),
            settings: settings(table, row, &[]),
            metrics: columns.iter().filter_map(|column| column.cells[row].number()).collect(),
            labels: labels
                .iter()
                .map(|column| (column.name.clone(), (&column.cells[row]).into()))
                .collect(),
        })
        .collect();
    Ok(Best { goals: goals.to_vec(), row_count, candidate_count, rows })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Cell, Column};
    use proptest::prelude::*;

    fn table(rows: &[[u8; 2]]) -> Table {
        let column =
            |name: &str, kind, cells: Vec<Cell>| Column { name: name.to_owned(), kind, cells };
        let numbers =
            |at: usize| rows.iter().map(|row| f64::from(row[at]).into()).collect::<Vec<Cell>>();
        let indices = (0..rows.len()).map(|n| (n as f64).into()).collect();
        Table {
            columns: vec![
                column("point_index", ColumnKind::Index, indices),
                column("iteration_time_s", ColumnKind::Metric, numbers(0)),
                column("tokens_per_s", ColumnKind::Metric, numbers(1)),
            ],
            provenance: None,
        }
    }

    proptest! {
        #[test]
        fn the_front_is_that_of_brute_force(rows in proptest::collection::vec(any::<[u8; 2]>(), 1..60)) {
            let goals = [
                Goal { metric: "iteration_time_s".to_owned(), direction: Direction::Minimize },
                Goal { metric: "tokens_per_s".to_owned(), direction: Direction::Maximize },
            ];
            let found = best(&table(&rows), &goals, rows.len()).unwrap();
            let mut front: Vec<u64> = (0..rows.len())
                .filter(|&a| {
                    let beats = |b: usize| {
                        let ([x, y], [u, v]) = (rows[b], rows[a]);
                        x <= u && y >= v && (x < u || y > v)
                    };
                    !(0..rows.len()).any(beats)
                })
                .map(|row| row as u64)
                .collect();
            let mut said: Vec<u64> = found.rows.iter().filter_map(|row| row.point_index).collect();
            said.sort_unstable();
            front.sort_unstable();
            prop_assert_eq!(said, front);
            let times: Vec<f64> = found.rows.iter().map(|row| row.metrics[0]).collect();
            prop_assert!(times.is_sorted());
        }
    }

    #[test]
    fn rows_without_figures_do_not_count() {
        let mut table = table(&[[3, 1], [1, 1], [2, 1]]);
        let text = |text: &str| Cell::Text(text.to_owned());
        table.columns.push(Column {
            name: "status".to_owned(),
            kind: ColumnKind::Label,
            cells: vec![text("ok"), text("out_of_memory"), text("ok")],
        });
        let goal =
            |metric: &str| Goal { metric: metric.to_owned(), direction: Direction::usual(metric) };
        let found = best(&table, &[goal("iteration_time_s")], 10).unwrap();
        assert_eq!(found.row_count, 2);
        assert_eq!(
            found.rows.iter().map(|row| row.point_index).collect::<Vec<_>>(),
            [Some(2), Some(0)]
        );
        let error = best(&table, &[goal("iteration_tim_s")], 1).unwrap_err().to_string();
        assert!(error.contains("did you mean \"iteration_time_s\"?"), "{error}");
    }
}

//! How much of the variance of a metric each axis explains.
//!
//! With y the metric (its logarithm where all values are above 0), n rows and the rows of value `v` of
//! axis `i` being `n_v` of mean `m_v`, the main effect of the axis is
//!
//! ```text
//! S_i = sum over v of n_v (m_v - m)^2 / sum over rows of (y - m)^2
//! ```
//!
//! which on a full grid is the first-order Sobol index, and the effects add up to 1 less what axes do
//! together. An axis with about as many values as rows, as in samples, has its values put together in
//! bins of equally many rows; `S_i` then has taken off what chance alone gives (Kelley's epsilon squared,
//! 1935): `(k - 1) / (n - k)` of the variance within bins for `k` bins, at least 0.

use serde::Serialize;

use super::{AnalysisError, column, factors, levels};
use crate::table::{Column, ColumnKind, Table};

/// An axis with fewer rows for each value than these has its values put together in bins.
const ROWS: usize = 2;

/// What an axis explains.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Factor {
    /// The axes that move side by side.
    pub axes: Vec<String>,
    /// Its values.
    pub level_count: usize,
    /// Bins that these were put in, if they were.
    pub bin_count: Option<usize>,
    /// Its main effect as a share of the variance.
    pub main_effect_ratio: f64,
    /// Largest over smallest mean of a value, or of a bin; of logarithms the ratio of geometric means.
    pub largest_over_smallest: Option<f64>,
}

/// What a metric depends on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sensitivity {
    /// The metric.
    pub metric: String,
    /// Whether its logarithm was taken.
    pub logarithmic: bool,
    /// Rows that count.
    pub row_count: usize,
    /// The standard deviation of the metric, or of its natural logarithm.
    pub deviation: f64,
    /// The axes that vary, the strongest first.
    pub factors: Vec<Factor>,
    /// What is left: what axes do together, and scatter of replicas. Of unbalanced tables (skipped or
    /// failed points) main effects overlap, so that it can be below 0.
    pub remainder_ratio: f64,
    /// Every combination of values is there equally often.
    pub balanced: bool,
}

/// Divides the variance of a metric among axes.
///
/// # Errors
/// If there is no such metric, fewer than two rows, or nothing varies.
pub fn sensitivity(table: &Table, metric: &str) -> Result<Sensitivity, AnalysisError> {
    let column = column(table, metric, &[ColumnKind::Metric])?;
    let number = |row: usize| column.cells[row].number();
    let rows: Vec<usize> =
        table.counting_rows().into_iter().filter(|&row| number(row).is_some()).collect();
    if rows.len() < 2 {
        return Err(AnalysisError::FewRows { found: rows.len(), needed: 2 });
    }
    let values: Vec<f64> = rows.iter().filter_map(|&row| number(row)).collect();
    let logarithmic = values.iter().all(|&value| value > 0.0);
    let values: Vec<f64> =
        if logarithmic { values.iter().map(|value| libm::log(*value)).collect() } else { values };
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let total: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();

    let axes: Vec<&Column> = table.axes().collect();
    let mut found = Vec::new();
    let mut combinations = 1;
    let mut joint: Vec<Vec<usize>> = vec![Vec::new(); rows.len()];
    for factor in factors(&axes, &rows) {
        let level_of = levels(factor[0], &rows);
        let level_count = level_of.iter().max().map_or(0, |level| level + 1);
        if level_count < 2 {
            continue;
        }
        combinations = level_count.saturating_mul(combinations);
        joint.iter_mut().zip(&level_of).for_each(|(joint, level)| joint.push(*level));
        let bins = bins(factor[0], &rows, level_count);
        let groups = bins.as_ref().unwrap_or(&level_of);
        let (between, means) = between(&values, groups, mean);
        let effect = if bins.is_some() {
            let free = (means.len() - 1) as f64;
            let within = (total - between) / (count - means.len() as f64).max(1.0);
            (between - free * within).max(0.0)
        } else {
            between
        };
        let low = means.iter().copied().fold(f64::INFINITY, f64::min);
        let high = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let spread = if logarithmic { Some(libm::exp(high - low)) } else { None };
        found.push(Factor {
            axes: factor.iter().map(|axis| axis.short_name().to_owned()).collect(),
            level_count,
            bin_count: bins.is_some().then_some(means.len()),
            main_effect_ratio: if total > 0.0 { effect / total } else { 0.0 },
            largest_over_smallest: spread,
        });
    }
    if found.is_empty() {
        return Err(AnalysisError::Question("the table has no axis that varies".to_owned()));
    }
    joint.sort_unstable();
    let runs: Vec<usize> = joint.chunk_by(|a, b| a == b).map(<[_]>::len).collect();
    let balanced = runs.len() == combinations && runs.iter().all(|&run| run == runs[0]);
    found.sort_by(|a, b| b.main_effect_ratio.total_cmp(&a.main_effect_ratio));
    let explained: f64 = found.iter().map(|factor| factor.main_effect_ratio).sum();
    Ok(Sensitivity {
        metric: column.name.clone(),
        logarithmic,
        row_count: rows.len(),
        deviation: (total / count).sqrt(),
        remainder_ratio: if total > 0.0 { 1.0 - explained } else { 0.0 },
        factors: found,
        balanced,
    })
}

/// The sum of squares between groups, and their means.
fn between(values: &[f64], groups: &[usize], mean: f64) -> (f64, Vec<f64>) {
    let count = groups.iter().max().map_or(0, |group| group + 1);
    let mut sums = vec![(0.0, 0.0); count];
    for (value, &group) in values.iter().zip(groups) {
        sums[group].0 += value;
        sums[group].1 += 1.0;
    }
    let means: Vec<f64> = sums.iter().map(|(sum, count)| sum / count).collect();
    let squares = means.iter().zip(&sums).map(|(m, (_, count))| count * (m - mean).powi(2));
    (squares.sum(), means)
}

/// By row, its bin, if the values of an axis are numbers and nearly as many as rows.
fn bins(axis: &Column, rows: &[usize], level_count: usize) -> Option<Vec<usize>> {
    if level_count * ROWS <= rows.len() {
        return None;
    }
    let values: Vec<f64> =
        rows.iter().map(|&row| axis.cells[row].number()).collect::<Option<_>>()?;
    let count = (libm::cbrt(rows.len() as f64) as usize).clamp(2, 32).min(level_count);
    // A value is in one bin, so bins begin at the first row of a value.
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    let mut edges: Vec<f64> = (1..count).map(|bin| sorted[bin * sorted.len() / count]).collect();
    edges.dedup();
    edges.retain(|&edge| edge > sorted[0]);
    Some(values.iter().map(|value| edges.partition_point(|edge| edge <= value)).collect())
}

impl Factor {
    /// Its axes in one name.
    pub fn name(&self) -> String {
        self.axes.join(" & ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::Method;
    use crate::table::Cell;

    fn table(axes: &[(&str, Vec<f64>)], metric: &[f64]) -> Table {
        let cells = |numbers: &[f64]| numbers.iter().map(|&n| Cell::from(n)).collect();
        let mut columns: Vec<Column> = axes
            .iter()
            .map(|(name, numbers)| Column {
                name: (*name).to_owned(),
                kind: ColumnKind::Axis,
                cells: cells(numbers),
            })
            .collect();
        let kind = ColumnKind::Metric;
        columns.push(Column { name: "y_s".to_owned(), kind, cells: cells(metric) });
        Table { columns, provenance: None }
    }

    fn grid(function: impl Fn(f64, f64) -> f64) -> Table {
        let points: Vec<(f64, f64)> =
            (0..5).flat_map(|x| (0..3).map(move |y| (f64::from(x), f64::from(y)))).collect();
        let x = points.iter().map(|(x, _)| *x).collect();
        let side = points.iter().map(|(x, _)| 10.0 - *x).collect();
        let y = points.iter().map(|(_, y)| *y).collect();
        let metric: Vec<f64> = points.iter().map(|(x, y)| function(*x, *y)).collect();
        table(&[("axis_x", x), ("axis_side", side), ("axis_y", y)], &metric)
    }

    fn check(table: &Table, expected: &[(&str, f64)], remainder: f64) -> Sensitivity {
        let found = sensitivity(table, "y_s").unwrap();
        let said: Vec<(String, f64)> =
            found.factors.iter().map(|factor| (factor.name(), factor.main_effect_ratio)).collect();
        assert_eq!(said.len(), expected.len(), "{said:?}");
        for ((name, share), (expected_name, expected_share)) in said.iter().zip(expected) {
            assert_eq!(name, expected_name);
            assert!((share - expected_share).abs() < 1e-9, "{name}: {share}");
        }
        assert!((found.remainder_ratio - remainder).abs() < 1e-9, "{}", found.remainder_ratio);
        found
    }

    #[test]
    fn additive_functions_are_explained_to_the_last_digit() {
        // The variance of 0..=4 is 2, that of 0..=2 is 2/3; a negative value keeps it linear.
        let found = check(&grid(|x, y| x + 3.0 * y - 1.0), &[("y", 0.75), ("x & side", 0.25)], 0.0);
        assert!(found.balanced && !found.logarithmic);
        // Products are sums of logarithms.
        let found = check(
            &grid(|x, y| libm::exp(x) * libm::exp(3.0 * y)),
            &[("y", 0.75), ("x & side", 0.25)],
            0.0,
        );
        assert!(found.logarithmic);
        assert!((found.factors[0].largest_over_smallest.unwrap() - libm::exp(6.0)).abs() < 1e-6);
    }

    #[test]
    fn what_axes_do_together_is_the_remainder() {
        check(&grid(|x, y| (x - 2.0) * (y - 1.0)), &[("x & side", 0.0), ("y", 0.0)], 1.0);
    }

    #[test]
    fn samples_are_put_in_bins() {
        for method in [Method::Even, Method::Random] {
            let of = |axis: usize| -> Vec<f64> {
                (0..2000).map(|index| method.share(1, index, axis)).collect()
            };
            let (x, y) = (of(0), of(1));
            let metric: Vec<f64> = x.iter().zip(&y).map(|(x, y)| 2.0 * x - y - 5.0).collect();
            let axes = [("axis_x", x), ("axis_y", y)];
            let found = sensitivity(&table(&axes, &metric), "y_s").unwrap();
            // Of 4/12 + 1/12 the first has four fifths.
            let effects: Vec<f64> = found.factors.iter().map(|f| f.main_effect_ratio).collect();
            let slack = if method == Method::Even { 0.02 } else { 0.04 };
            assert!((effects[0] - 0.8).abs() < slack, "{method:?}: {effects:?}");
            assert!((effects[1] - 0.2).abs() < slack, "{method:?}: {effects:?}");
            assert_eq!(found.factors[0].bin_count, Some(12));
        }
    }
}

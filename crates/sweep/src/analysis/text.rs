//! Answers about tables, for people.

use std::fmt::Write as _;

use super::{Against, Best, BreakEven, Sensitivity, Setting, Value};

/// A number with four significant digits, whole ones as they are.
fn number(figure: f64) -> String {
    if figure.fract() == 0.0 && figure.abs() < 1e15 {
        return figure.to_string();
    }
    let rounded: f64 = format!("{figure:.3e}").parse().unwrap_or(figure);
    rounded.to_string()
}

/// Lines of crossings that are shown.
const LINES: usize = 40;

fn value(value: &Value) -> String {
    match value {
        Value::Number(figure) => number(*figure),
        Value::Text(text) => text.clone(),
        Value::None => "-".to_owned(),
    }
}

fn settings(settings: &[Setting]) -> String {
    let parts =
        settings.iter().map(|setting| format!("{} {}", setting.axis, value(&setting.value)));
    parts.collect::<Vec<_>>().join(", ")
}

/// Rows in columns of equal width, texts to the left.
fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|at| {
            rows.iter()
                .filter_map(|row| row.get(at))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, &width) in row.iter().zip(&widths) {
            // Writing to a String cannot fail.
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The best rows as a page.
pub fn best_text(best: &Best) -> String {
    let names: Vec<&str> = best.goals.iter().map(|goal| goal.metric.as_str()).collect();
    let mut text = if names.len() > 1 {
        format!(
            "{} of {} rows are on the front of {}\n",
            best.candidate_count,
            best.row_count,
            names.join(", ")
        )
    } else {
        format!("the best of {} rows by {}\n", best.row_count, names.join(", "))
    };
    let mut rows = vec![vec!["point".to_owned()]];
    rows[0].extend(names.iter().map(|name| (*name).to_owned()));
    let axes = best.rows.first().map(|row| row.settings.iter().map(|s| s.axis.clone()));
    rows[0].extend(axes.into_iter().flatten());
    let labels = best.rows.first().map(|row| row.labels.iter().map(|(name, _)| name.clone()));
    rows[0].extend(labels.into_iter().flatten());
    for row in &best.rows {
        let index = row.point_index.map_or_else(|| "-".to_owned(), |index| index.to_string());
        let mut cells = vec![index];
        cells.extend(row.metrics.iter().map(|&figure| number(figure)));
        cells.extend(row.settings.iter().map(|setting| value(&setting.value)));
        cells.extend(row.labels.iter().map(|(_, label)| value(label)));
        rows.push(cells);
    }
    text.push_str(&columns(&rows));
    text
}

/// What a metric depends on, as a page.
pub fn sensitivity_text(found: &Sensitivity) -> String {
    let what = if found.logarithmic { "the logarithm of " } else { "" };
    let mut text = format!(
        "share of the variance of {what}{} over {} rows that each axis explains by itself\n",
        found.metric, found.row_count
    );
    let percent = |ratio: f64| format!("{:>6.1} %", 100.0 * ratio);
    let mut rows: Vec<Vec<String>> = found
        .factors
        .iter()
        .map(|factor| {
            let levels = match factor.bin_count {
                Some(bins) => format!("{} values in {bins} bins", factor.level_count),
                None => format!("{} values", factor.level_count),
            };
            let spread = factor
                .largest_over_smallest
                .map(|spread| format!("means differ by a factor of {}", number(spread)));
            let mut row = vec![factor.name(), percent(factor.main_effect_ratio), levels];
            row.extend(spread);
            row
        })
        .collect();
    let rest = "what axes do together, and scatter".to_owned();
    rows.push(vec!["remainder".to_owned(), percent(found.remainder_ratio), rest]);
    text.push_str(&columns(&rows));
    if !found.balanced {
        text.push_str(
            "the table is no full grid: effects of axes overlap, and need not add up to 100 %\n",
        );
    }
    text
}

/// Where a metric crosses something, as a page.
pub fn break_even_text(found: &BreakEven) -> String {
    let against = match &found.against {
        Against::Level(level) => number(*level),
        Against::Metric(metric) => metric.clone(),
        Against::Values { axis, of, against } => {
            format!("itself, {axis} {of} against {axis} {against}")
        }
    };
    let mut text = format!("where {} crosses {against} along {}\n", found.metric, found.axis);
    let rows: Vec<Vec<String>> = found
        .lines
        .iter()
        .take(LINES)
        .map(|line| {
            let said = if line.crossings.is_empty() {
                match line.largest_difference {
                    0.0 => "nowhere: the same throughout".to_owned(),
                    above if above > 0.0 => "nowhere: above throughout".to_owned(),
                    _ => "nowhere: below throughout".to_owned(),
                }
            } else {
                let crossing = |crossing: &super::Crossing| {
                    let way = if crossing.rising { "above from there" } else { "below from there" };
                    format!("{} {} ({way})", found.axis, number(crossing.at))
                };
                line.crossings.iter().map(crossing).collect::<Vec<_>>().join(", ")
            };
            let mut row = vec![settings(&line.settings)];
            if row[0].is_empty() {
                row.clear();
            }
            row.push(said);
            row
        })
        .collect();
    text.push_str(&columns(&rows));
    if let Some(more @ 1..) = found.lines.len().checked_sub(LINES) {
        let _ = writeln!(text, "... and {more} more; --format json has all");
    }
    text
}

//! Answers as pages of text, as wide as the report's.

mod losses;

pub use losses::losses_text;

use motley_report::number;

use crate::Picos;

/// A difference of times, with its sign where it is below zero.
fn time(picos: Picos) -> String {
    let seconds = number::seconds(picos.as_secs_f64().abs());
    if picos.0 < 0 { format!("-{seconds}") } else { seconds }
}

/// Lines as a page.
fn page(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

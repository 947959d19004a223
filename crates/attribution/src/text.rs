//! Answers as pages of text, as wide as the report's.

mod compare;
mod explanation;
mod losses;
mod whatif;

pub use compare::comparison_text;
pub use explanation::explanation_text;
pub use losses::losses_text;
pub use whatif::whatif_text;

use motley_report::{WIDTH, number, wrap};

use crate::Picos;

/// A difference of times, with its sign where it is below zero.
fn time(picos: Picos) -> String {
    let seconds = number::seconds(picos.as_secs_f64().abs());
    if picos.0 < 0 { format!("-{seconds}") } else { seconds }
}

/// A scenario's question, with an empty line behind it.
fn title(title: Option<&str>) -> Vec<String> {
    let lines = title.map(|title| wrap::wrapped(title, WIDTH)).into_iter().flatten();
    let blank = title.map(|_| String::new());
    lines.chain(blank).collect()
}

/// Lines as a page.
fn page(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

//! Answers as pages of text, as wide as the report's.

mod design;
mod equivalent;
mod value;

pub use design::design_text;
pub use equivalent::equivalent_text;
pub use value::value_text;

use motley_report::{number, page, wrap};

use crate::Side;

/// A cluster with its plan.
fn side(label: &str, side: &Side) -> Vec<String> {
    let report = &side.report;
    let efficiency = &report.efficiency;
    let rate = match efficiency.tokens_per_s {
        Some(rate) => format!("{} tokens/s", number::four_digits(rate)),
        None => format!("{} samples/s", number::four_digits(efficiency.samples_per_s)),
    };
    let mfu = efficiency
        .mfu_ratio
        .map_or_else(String::new, |mfu| format!(", MFU {}", number::percent(mfu)));
    let seconds = number::seconds(report.iteration_time.mean.as_secs_f64());
    let speed = format!("{seconds}, {rate}{mfu}");
    let mut lines = wrap::labelled(label, &speed);
    lines.extend(page::plan(report));
    lines
}

/// How much work it was.
fn searched(plans: u64, cut: bool) -> Vec<String> {
    let ended = if cut { "; some searches were ended by the budget" } else { "" };
    wrap::labelled("Searched", &format!("{} plans{ended}", number::count(plans)))
}

/// Lines as a page.
fn page(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

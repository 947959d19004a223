//! What changes gain, for people.

use motley_report::{WIDTH, number, wrap};

use super::{page, time, title};
use crate::{Figures, WhatIf};

/// Columns before a change.
const FIGURES: usize = 32;

/// The changes as lines of at most 80 columns, without colour.
pub fn whatif_text(whatif: &WhatIf) -> String {
    let mut lines = title(whatif.title.as_deref());
    let as_it_is = format!("{}, {}", time(whatif.as_it_is.iteration), speed(&whatif.as_it_is));
    lines.extend(wrap::labelled("As it is", &as_it_is));
    lines.push(String::new());
    let row = |gain: &str, iteration: &str, rate: &str, change: &str| {
        format!("{gain:>9}{iteration:>11}{rate:>10}  {change}")
    };
    let rate = if whatif.as_it_is.tokens_per_s.is_some() { "tokens/s" } else { "images/s" };
    lines.push(row("gain", "iteration", rate, "with"));
    for gain in &whatif.gains {
        let rate = gain.figures.tokens_per_s.unwrap_or(gain.figures.samples_per_s);
        for (number, part) in wrap::wrapped(&gain.change, WIDTH - FIGURES).iter().enumerate() {
            lines.push(if number == 0 {
                row(
                    &number::signed_percent(gain.gain_ratio),
                    &time(gain.figures.iteration),
                    &number::four_digits(rate),
                    part,
                )
            } else {
                format!("{:FIGURES$}{part}", "")
            });
        }
    }
    for refused in &whatif.refused {
        lines.extend(wrap::labelled("refused", &format!("{}: {}", refused.change, refused.reason)));
    }
    lines.extend(wrap::labelled("Gains", &format!("of throughput, against {}", whatif.baseline)));
    page(&lines)
}

/// Throughput in words.
pub(super) fn speed(figures: &Figures) -> String {
    let throughput = match figures.tokens_per_s {
        Some(rate) => format!("{} tokens/s", number::four_digits(rate)),
        None => format!("{} images/s", number::four_digits(figures.samples_per_s)),
    };
    match figures.mfu_ratio {
        Some(mfu) => format!("{throughput}, MFU {}", number::percent(mfu)),
        None => throughput,
    }
}

//! The bar of where the time goes.

use super::number;
use super::wrap::INDENT;
use crate::Report;
use crate::allot::allot;

/// Characters of the bar.
const LENGTH: u64 = 60;

/// By part of the breakdown: what fills the bar, and the part's name.
const PARTS: [(char, &str); 6] = [
    ('#', "compute"),
    ('T', "tensor-parallel transfer"),
    ('P', "pipeline transfer"),
    ('D', "data-parallel transfer"),
    ('.', "bubble"),
    ('~', "waiting for stragglers"),
];

pub(super) fn time(report: &Report) -> Vec<String> {
    let weights: Vec<u128> =
        report.breakdown.parts().iter().map(|part| u128::from(part.as_picos())).collect();
    let bar: String = PARTS
        .iter()
        .zip(allot(LENGTH, &weights))
        .flat_map(|(&(fill, _), cells)| std::iter::repeat_n(fill, cells as usize))
        .collect();
    // In tenths of a per cent, so that what is printed adds up to 100.
    let shares = allot(1000, &weights);
    let entries: Vec<String> = PARTS
        .iter()
        .zip(shares)
        .map(|(&(fill, name), share)| format!("{fill} {name} {}", number::percent(share as f64 / 1000.0)))
        .collect();
    let indent = " ".repeat(INDENT);
    // What was not there needs no entry, and no line.
    let present = |range: std::ops::Range<usize>| {
        let entries: Vec<&str> = range
            .filter(|&i| weights[i] > 0)
            .map(|i| entries[i].as_str())
            .collect();
        format!("{indent}{}", entries.join("   "))
    };
    let mut lines = vec![format!("{:<INDENT$}{bar}", "Time goes")];
    lines.extend([0..2, 2..4, 4..6].map(present).into_iter().filter(|line| !line.trim().is_empty()));
    lines
}

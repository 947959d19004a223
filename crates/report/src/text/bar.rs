//! The bar of where the time goes.

use super::number;
use super::wrap::INDENT;
use crate::Report;
use crate::allot::allot;

/// Characters of the bar.
const LENGTH: u64 = 60;

/// By part of the breakdown: what fills the bar, and the part's name.
const PARTS: [(char, &str); 11] = [
    ('#', "compute"),
    ('+', "overlap slow-down"),
    ('T', "tensor"),
    ('C', "context"),
    ('E', "experts"),
    ('P', "pipeline"),
    ('D', "gradients"),
    ('H', "host"),
    ('L', "launches by the host"),
    ('.', "bubble"),
    ('~', "waiting for stragglers"),
];

/// The lines of the legend: a heading and the parts that follow it.
const LEGEND: [(&str, &[usize]); 3] =
    [("", &[0, 9, 10]), ("transfers: ", &[2, 3, 4, 5, 6, 7]), ("", &[1, 8])];

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
    let entry = |&part: &usize| {
        let (fill, name) = PARTS[part];
        // What rounds to nothing needs no entry, and no line.
        (shares[part] > 0)
            .then(|| format!("{fill} {name} {}", number::percent(shares[part] as f64 / 1000.0)))
    };
    let mut lines = vec![format!("{:<INDENT$}{bar}", "Time goes")];
    for (heading, parts) in LEGEND {
        let entries: Vec<String> = parts.iter().filter_map(entry).collect();
        if !entries.is_empty() {
            lines.push(format!("{:INDENT$}{heading}{}", "", entries.join("  ")));
        }
    }
    lines
}

//! The bar of where the time goes.

use super::wrap::INDENT;
use super::{WIDTH, number};
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

/// Which of them carries parameters, too, where replicas share them out.
const DATA: usize = 6;

/// Between the entries of a line.
const GAP: &str = "  ";

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
        let name = if part == DATA && report.plan.zero_stage_index > 0 {
            "gradients, parameters"
        } else {
            name
        };
        // What rounds to nothing needs no entry, and no line.
        (shares[part] > 0)
            .then(|| format!("{fill} {name} {}", number::percent(shares[part] as f64 / 1000.0)))
    };
    let mut lines = vec![format!("{:<INDENT$}{bar}", "Time goes")];
    for (heading, parts) in LEGEND {
        let entries: Vec<String> = parts.iter().filter_map(entry).collect();
        lines.extend(legend(heading, &entries));
    }
    lines
}

/// A heading and what follows it, in as many lines as that takes.
fn legend(heading: &str, entries: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for entry in entries {
        match lines.last_mut() {
            Some(line) if line.len() + GAP.len() + entry.len() <= WIDTH => {
                line.push_str(GAP);
                line.push_str(entry);
            }
            None => lines.push(format!("{:INDENT$}{heading}{entry}", "")),
            _ => lines.push(format!("{:indent$}{entry}", "", indent = INDENT + heading.len())),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(entries: &[&str], lines: usize) {
        let entries: Vec<String> = entries.iter().map(|&entry| entry.to_owned()).collect();
        let found = legend("transfers: ", &entries);
        assert_eq!(found.len(), lines, "{found:?}");
        assert!(found.iter().all(|line| line.len() <= WIDTH), "{found:?}");
        for entry in entries {
            assert!(found.iter().any(|line| line.contains(&entry)), "{entry}: {found:?}");
        }
    }

    #[test]
    fn a_legend_keeps_all_its_entries() {
        check(&[], 0);
        check(&["T tensor 10.0 %"], 1);
        let all = ["T tensor 10.0 %", "C context 10.0 %", "E experts 10.0 %", "P pipeline 10.0 %"];
        check(&all, 2);
        check(&[&all[..], &["D gradients, parameters 10.0 %", "H host 10.0 %"]].concat(), 3);
    }
}

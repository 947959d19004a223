//! Rows' scenarios as files that `motley run` takes.

use std::collections::BTreeSet;

use motley_scenario::raw::{Measure, Published};
use motley_units::Seconds;

use super::Selection;
use super::verdict::measured_s;
use crate::runs::Runs;
use crate::translate;

/// The scenarios of the selected rows: file names, from the ids, and texts, with the measured time as
/// a published figure. Rows that no scenario stands for have none.
pub fn scenario_files(runs: &Runs, selection: &Selection) -> Vec<(String, String)> {
    let mut taken = BTreeSet::new();
    let rows = selection.choose(runs).into_iter().filter(|(_, unknown)| unknown.is_empty());
    rows.filter_map(|(row, _)| {
        let mut raw = translate::scenario(row).ok()?.raw;
        raw.published = measured_s(row)
            .map(|seconds| Published {
                what: "time of an iteration".to_owned(),
                value: Measure::IterationTime(Seconds(seconds)),
                source: row.source.name.clone(),
            })
            .into_iter()
            .collect();
        Some((file_name(&row.id, &mut taken), raw.to_ron()))
    })
    .collect()
}

/// A name that every file system takes and that no row before had.
fn file_name(id: &str, taken: &mut BTreeSet<String>) -> String {
    let plain = |symbol: char| symbol.is_ascii_alphanumeric() || "._-".contains(symbol);
    let mut name: String =
        id.chars().map(|symbol| if plain(symbol) { symbol } else { '_' }).collect();
    name.truncate(LONGEST);
    // Neither hidden nor a folder.
    if name.starts_with('.') || name.is_empty() {
        name.insert(0, '_');
    }
    let mut free = name.clone();
    let mut number = 2;
    // Some file systems do not tell case apart.
    while !taken.insert(free.to_lowercase()) {
        free = format!("{name}-{number}");
        number += 1;
    }
    format!("{free}.ron")
}

/// Characters of a name, short enough for all file systems.
const LONGEST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_unlike() {
        let mut taken = BTreeSet::new();
        let mut check =
            |id: &str, expected: &str| assert_eq!(file_name(id, &mut taken), expected, "{id}");
        check("kort22-22b", "kort22-22b.ron");
        check("Kort22-22b", "Kort22-22b-2.ron");
        check("../a b", "_.._a_b.ron");
        check("", "_.ron");
        assert!(file_name(&"x".repeat(1000), &mut taken).len() < 255);
    }
}

//! Every row predicted, and how far the predictions are off.

mod agreement;
mod cross;
mod facts;
mod grouping;
mod json;
mod markdown;
mod selection;
mod summary;
mod text;
mod verdict;
mod written;

use std::collections::BTreeMap;

use motley::Evaluator;
use rayon::iter::{
    IndexedParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _,
};

pub use agreement::Agreement;
pub use cross::{CrossValidation, HeldOut, SourceAgreement};
pub use facts::{Facts, Key};
pub use grouping::Grouping;
pub use json::json;
pub use markdown::{markdown, suite_page};
pub use selection::{Selection, SelectionError};
pub use summary::{FitTable, Summary, Worst};
pub use text::text;
pub use verdict::{MemoryFigure, Part, Status, Verdict};
pub use written::scenario_files;

pub use crate::translate::Concern;

use crate::runs::Runs;

/// What came out for some rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Validation {
    /// Over all rows.
    pub summary: Summary,
    /// By group, in the order of their names, numbers first.
    pub groups: Vec<(String, Summary)>,
    /// Every row, in the order of the files.
    pub verdicts: Vec<Verdict>,
}

/// Predicts the rows that are selected, on all cores, and compares. `done` is called after each.
/// The answer is the same whatever the number of threads.
pub fn validate(
    runs: &Runs,
    selection: &Selection,
    grouping: &Grouping,
    done: &(impl Fn() + Sync),
) -> Validation {
    let rows = selection.choose(runs);
    let verdicts: Vec<Verdict> = rows
        .par_iter()
        // What rows have in common, such as a cluster, is worked out once for neighbours.
        .with_min_len(4)
        .map_init(Evaluator::new, |evaluator, (row, unknown)| {
            let verdict = Verdict::of(row, unknown, grouping, evaluator);
            done();
            verdict
        })
        .collect();
    Validation::of(verdicts)
}

impl Validation {
    /// What verdicts come to.
    pub fn of(verdicts: Vec<Verdict>) -> Self {
        let groups = together(&verdicts, |verdict| verdict.group.clone());
        let summary = Summary::of(&verdicts.iter().collect::<Vec<_>>());
        Self { summary, groups, verdicts }
    }

    /// The same rows put together in another way.
    pub fn by(&self, grouping: &Grouping) -> Vec<(String, Summary)> {
        together(&self.verdicts, |verdict| grouping.of(&verdict.facts))
    }
}

/// Groups of rows, in the order of their names.
fn together(verdicts: &[Verdict], group: impl Fn(&Verdict) -> String) -> Vec<(String, Summary)> {
    let mut groups: BTreeMap<String, Vec<&Verdict>> = BTreeMap::new();
    for verdict in verdicts {
        groups.entry(group(verdict)).or_default().push(verdict);
    }
    let mut groups: Vec<(String, Summary)> =
        groups.into_iter().map(|(name, members)| (name, Summary::of(&members))).collect();
    groups.sort_by(|(a, _), (b, _)| grouping::order(a).cmp(&grouping::order(b)));
    groups
}

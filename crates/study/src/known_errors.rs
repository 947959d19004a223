//! How far predictions for cards of an architecture are known to be off: what answers that rest on
//! predictions alone give as their uncertainty.
//!
//! With e = ln(predicted / measured) of a run, m its mean over the runs of a source, and s that over the
//! source's runs of one model on one cluster:
//!
//! ```text
//! between = sqrt(mean over sources of m^2)                        software, reporting; bias counts
//! within  = sqrt(mean over sources of their mean of (e - m)^2)    models and clusters
//! sweep   = sqrt(mean over sources of their mean of (e - s)^2)    plans and sizes
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use motley_hardware::Catalog;
use serde::{Deserialize, Serialize};

use crate::{Key, Status, Validation};

/// What the published runs come to, as a test holds it.
const DATA: &str = include_str!("../data/known_errors.ron");

/// Fewer sources say nothing of how far others may be off.
const SOURCES: usize = 3;

/// Two-sided quantile of the normal distribution for 80 %.
const QUANTILE: f64 = 1.2816;

/// How far predictions for cards of one architecture are off.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownError {
    /// Sources of runs.
    pub sources: usize,
    /// Runs.
    pub runs: usize,
    /// Root mean square over sources of the mean logarithm of predicted over measured time.
    pub between: f64,
    /// Root of the mean over sources of several runs of the mean square by which runs differ from their
    /// source's mean: a source counts once, however many runs it has.
    pub within: f64,
    /// The same from the mean of the runs of one model on one cluster.
    pub sweep: f64,
}

/// By architecture, how far predictions are off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownErrors {
    /// All cards together, for architectures of which too few runs are known.
    all: KnownError,
    /// By the id of the architecture.
    architectures: BTreeMap<String, KnownError>,
}

impl KnownErrors {
    /// Those of the published runs that come with motley.
    ///
    /// # Panics
    /// Never: a test reads the compiled file.
    pub fn published() -> &'static Self {
        static READ: LazyLock<KnownErrors> =
            LazyLock::new(|| ron::from_str(DATA).expect("a test reads it"));
        &READ
    }

    /// What runs that were compared come to; runs on mixed cards only count for all together.
    pub fn of(validation: &Validation) -> Self {
        let catalog = Catalog::builtin();
        let mut all: Vec<Run> = Vec::new();
        let mut by: BTreeMap<String, Vec<Run>> = BTreeMap::new();
        for verdict in validation.verdicts.iter().filter(|verdict| verdict.status == Status::Ok) {
            let (Some(predicted), Some(measured)) = (verdict.predicted_s, verdict.measured_s)
            else {
                continue;
            };
            let source = verdict.facts.get(&Key::Source).map_or("", String::as_str);
            let error = Run { source, sweep: &verdict.sweep, error: (predicted / measured).ln() };
            all.push(error);
            let device = verdict.facts.get(&Key::Device).and_then(|id| catalog.device(id));
            if let Some(device) = device {
                by.entry(device.architecture.clone()).or_default().push(error);
            }
        }
        let architectures = by.into_iter().map(|(id, errors)| (id, known(&errors))).collect();
        Self { all: known(&all), architectures }
    }

    /// The error for an architecture, and whether runs on enough clusters are known; else that of all
    /// cards together.
    pub fn get(&self, architecture: &str) -> (KnownError, bool) {
        match self.architectures.get(architecture) {
            Some(known) if known.sources >= SOURCES => (*known, true),
            _ => (self.all, false),
        }
    }

    /// By how much the ratio of two predictions may be off, as a logarithm, in four of five cases: cards
    /// of the architectures of `first` against those of `second`. Where both are the same, what sources,
    /// models and clusters differ by cancels: one software, one model and the same kernels are taken for
    /// both.
    pub fn of_ratio(&self, first: &BTreeSet<String>, second: &BTreeSet<String>) -> f64 {
        let worst = |side: &BTreeSet<String>| {
            let variance = |id: &String| {
                let (error, _) = self.get(id);
                if first == second {
                    error.sweep.powi(2)
                } else {
                    error.between.powi(2) + error.within.powi(2)
                }
            };
            side.iter().map(variance).fold(0.0, f64::max)
        };
        QUANTILE * (worst(first) + worst(second)).sqrt()
    }

    /// As the data file has it.
    ///
    /// # Errors
    /// If it cannot be written, which would be a defect.
    pub fn to_ron(&self) -> Result<String, ron::Error> {
        let pretty = ron::ser::PrettyConfig::new().new_line("\n");
        let head = "// How far predictions are off, by architecture: ln(predicted / measured) of the published\n\
                    // runs, between and within sources. Written by a test, from what `motley validate` finds.\n";
        Ok(format!("{head}{}\n", ron::ser::to_string_pretty(self, pretty)?))
    }
}

/// A run that was compared.
#[derive(Clone, Copy)]
struct Run<'v> {
    source: &'v str,
    sweep: &'v str,
    error: f64,
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Errors by what `key` gives.
fn grouped<'v, K: Ord>(runs: &[Run<'v>], key: impl Fn(&Run<'v>) -> K) -> BTreeMap<K, Vec<f64>> {
    let mut groups: BTreeMap<K, Vec<f64>> = BTreeMap::new();
    for run in runs {
        groups.entry(key(run)).or_default().push(run.error);
    }
    groups
}

/// The root of the mean over sources of the mean square by which runs of groups of several differ from the
/// mean of their group.
fn spread<'v, K: Ord>(runs: &[Run<'v>], key: impl Fn(&Run<'v>) -> (&'v str, K)) -> f64 {
    let mut by_source: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for ((source, _), errors) in grouped(runs, key) {
        if errors.len() > 1 {
            let middle = mean(&errors);
            let squares = errors.iter().map(|error| (error - middle).powi(2));
            by_source.entry(source).or_default().extend(squares);
        }
    }
    let variances: Vec<f64> = by_source.values().map(|squares| mean(squares)).collect();
    mean(&variances).sqrt()
}

fn known(runs: &[Run]) -> KnownError {
    let sources = grouped(runs, |run| run.source);
    let biases: Vec<f64> = sources.values().map(|errors| mean(errors).powi(2)).collect();
    // Three digits are more than these figures bear.
    let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
    KnownError {
        sources: sources.len(),
        runs: runs.len(),
        between: rounded(mean(&biases).sqrt()),
        within: rounded(spread(runs, |run| (run.source, ()))),
        sweep: rounded(spread(runs, |run| (run.source, run.sweep))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_and_runs_are_told_apart() {
        let run = |source, sweep, error| Run { source, sweep, error };
        let runs = [
            run("a", "one", 0.1),
            run("a", "one", 0.1),
            run("a", "two", 0.3),
            run("a", "two", 0.3),
            run("b", "one", -0.1),
            run("b", "one", -0.1),
        ];
        let known = known(&runs);
        assert_eq!((known.sources, known.runs), (2, 6));
        assert!((known.between - 0.025_f64.sqrt()).abs() < 1e-3, "{known:?}");
        assert!((known.within - 0.005_f64.sqrt()).abs() < 1e-3, "{known:?}");
        assert_eq!(known.sweep.to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn equal_architectures_share_what_sources_differ_by() {
        let errors = KnownErrors::published();
        let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
        let same = errors.of_ratio(&set(&["ampere"]), &set(&["ampere"]));
        let other = errors.of_ratio(&set(&["ampere"]), &set(&["nobody-has-seen"]));
        assert!(0.0 < same && same < other && other < 2.0, "{same} {other}");
    }
}

//! What came out for rows together.

use std::collections::BTreeMap;

use serde::Serialize;

use super::agreement::{Agreement, spearman};
use super::{Concern, Part, Status, Verdict};

/// Sweeps of fewer rows have no order to speak of.
const SWEEP: usize = 5;

/// How many of the rows that are furthest off are named.
const WORST: usize = 5;

/// What came out for rows together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// How many rows.
    pub row_count: usize,
    /// Compared.
    pub ok_count: usize,
    /// Predicted not to fit.
    pub oom_count: usize,
    /// Predicted to fit, with nothing to compare with.
    pub fits_count: usize,
    /// No scenario stands for them.
    pub unsupported_count: usize,
    /// The share of the rows that a scenario stands for.
    pub expressed_ratio: f64,
    /// Iteration times of the rows that are `ok`.
    pub iteration_time: Option<Agreement>,
    /// Sweeps, rows of one model on one cluster, of at least five rows that are `ok`.
    pub sweep_count: usize,
    /// Rank correlation of predicted and measured time for a sample within sweeps, the mean over
    /// their rows.
    pub spearman: Option<f64>,
    /// Memory of the fullest card, of all rows that have both figures.
    pub memory: Option<Agreement>,
    /// Did it fit?
    pub fit: FitTable,
    /// Rows whose time is furthest off, the worst first.
    pub worst: Vec<Worst>,
    /// Reasons of unsupported rows.
    pub unsupported: BTreeMap<Concern, usize>,
}

/// A row that is far off.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Worst {
    /// Its id.
    pub id: String,
    /// How far.
    pub error_ratio: f64,
    /// What takes most of its predicted time.
    pub dominated_by: Vec<Part>,
}

impl Worst {
    /// Of rows that were compared, so many that are furthest off, the worst first.
    pub(super) fn of(verdicts: &[&Verdict], count: usize) -> Vec<Self> {
        let mut worst: Vec<Self> = verdicts
            .iter()
            .filter(|verdict| verdict.status == Status::Ok)
            .filter_map(|verdict| {
                Some(Self {
                    id: verdict.id.clone(),
                    error_ratio: verdict.error_ratio()?,
                    dominated_by: verdict.dominated_by.clone(),
                })
            })
            .collect();
        worst.sort_by(|a, b| b.error_ratio.abs().total_cmp(&a.error_ratio.abs()));
        worst.truncate(count);
        worst
    }

    /// What takes most of its predicted time, in words: `compute 61 %, exposed DP 23 %`.
    pub fn dominance(&self) -> String {
        let parts = self.dominated_by.iter();
        let parts = parts.map(|part| format!("{} {:.0} %", part.part, 100.0 * part.share_ratio));
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// Predicted against what happened, of rows that say whether they fitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FitTable {
    /// Fitted, and predicted to.
    pub fits_count: usize,
    /// Fitted, and predicted not to.
    pub false_oom_count: usize,
    /// Did not fit, and predicted not to.
    pub oom_count: usize,
    /// Did not fit, and predicted to.
    pub false_fits_count: usize,
}

impl Summary {
    pub(super) fn of(verdicts: &[&Verdict]) -> Self {
        let count = |status| verdicts.iter().filter(|verdict| verdict.status == status).count();
        let compared = || verdicts.iter().filter(|verdict| verdict.status == Status::Ok);
        let errors: Vec<f64> = compared().filter_map(|verdict| verdict.error_ratio()).collect();
        let memory: Vec<f64> =
            verdicts.iter().filter_map(|verdict| verdict.memory_error_ratio()).collect();
        let (sweep_count, spearman) = order(compared().copied());
        let mut unsupported = BTreeMap::new();
        for concern in verdicts.iter().filter_map(|verdict| verdict.concern) {
            *unsupported.entry(concern).or_insert(0) += 1;
        }
        let unsupported_count = count(Status::Unsupported);
        let expressed = verdicts.len() - unsupported_count;
        Self {
            row_count: verdicts.len(),
            ok_count: count(Status::Ok),
            oom_count: count(Status::Oom),
            fits_count: count(Status::Fits),
            unsupported_count,
            expressed_ratio: expressed as f64 / verdicts.len().max(1) as f64,
            iteration_time: Agreement::of(&errors),
            sweep_count,
            spearman,
            memory: Agreement::of(&memory),
            fit: FitTable::of(verdicts),
            worst: Worst::of(verdicts, WORST),
            unsupported,
        }
    }
}

/// How many sweeps there are, and how well their order is predicted.
fn order<'v>(verdicts: impl Iterator<Item = &'v Verdict>) -> (usize, Option<f64>) {
    let mut sweeps: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for verdict in verdicts {
        let samples = f64::from(verdict.samples.unwrap_or(1));
        if let (Some(predicted), Some(measured)) = (verdict.predicted_s, verdict.measured_s) {
            let pair = (predicted / samples, measured / samples);
            sweeps.entry(&verdict.sweep).or_default().push(pair);
        }
    }
    let found: Vec<(f64, f64)> = sweeps
        .values()
        .filter(|pairs| pairs.len() >= SWEEP)
        .filter_map(|pairs| Some((spearman(pairs)?, pairs.len() as f64)))
        .collect();
    let rows: f64 = found.iter().map(|(_, rows)| rows).sum();
    let sum: f64 = found.iter().map(|(correlation, rows)| correlation * rows).sum();
    (found.len(), (rows > 0.0).then(|| sum / rows))
}

impl FitTable {
    fn of(verdicts: &[&Verdict]) -> Self {
        let mut table = Self::default();
        for verdict in verdicts {
            match (verdict.fitted, verdict.status) {
                (None, _) | (_, Status::Unsupported) => {}
                (Some(true), Status::Oom) => table.false_oom_count += 1,
                (Some(true), _) => table.fits_count += 1,
                (Some(false), Status::Oom) => table.oom_count += 1,
                (Some(false), _) => table.false_fits_count += 1,
            }
        }
        table
    }

    /// The share of the rows that are told right.
    pub fn right_ratio(&self) -> f64 {
        (self.fits_count + self.oom_count) as f64 / self.count().max(1) as f64
    }

    /// How many rows are in it.
    pub fn count(&self) -> usize {
        self.fits_count + self.false_oom_count + self.oom_count + self.false_fits_count
    }
}

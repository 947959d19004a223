//! Everything that could be changed, tried one at a time and ranked.

use motley::{Prepared, Report, Scenario, SimulateError, prepare};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::Serialize;

use crate::changes::{Change, changes};
use crate::{Picos, Wishes};

/// What each change of a scenario would gain. Serialises to JSON; every number's name ends in its unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WhatIf {
    /// The question that the scenario asks.
    pub title: Option<String>,
    /// What gains are against.
    pub baseline: &'static str,
    /// The scenario as it is.
    pub as_it_is: Figures,
    /// The changes that could be tried, the largest gain first.
    pub gains: Vec<Gain>,
    /// The changes that could not.
    pub refused: Vec<Refused>,
}

/// What a scenario reaches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Mean iteration time.
    #[serde(rename = "iteration_time_s")]
    pub iteration: Picos,
    /// Samples of all pipelines.
    pub samples_per_s: f64,
    /// Tokens of all pipelines; none if samples are images.
    pub tokens_per_s: Option<f64>,
    /// See [`motley_report::Efficiency::mfu_ratio`].
    pub mfu_ratio: Option<f64>,
    /// Memory of the card that needs most.
    pub peak_memory_bytes: f64,
    /// Every card holds what it needs.
    pub fits: bool,
}

impl Figures {
    pub(crate) fn of(report: &Report) -> Self {
        let used = report.card_types.iter().filter_map(|card| card.used.as_ref());
        Self {
            iteration: report.iteration_time.mean.into(),
            samples_per_s: report.efficiency.samples_per_s,
            tokens_per_s: report.efficiency.tokens_per_s,
            mfu_ratio: report.efficiency.mfu_ratio,
            peak_memory_bytes: used.map(|used| used.peak_memory_bytes).fold(0.0, f64::max),
            fits: report.fits,
        }
    }
}

/// A change and what it gains.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gain {
    /// The sort of change.
    pub sort: &'static str,
    /// The change.
    pub change: String,
    /// More samples per second, as a share of those of the scenario as it is. Below zero if fewer.
    pub gain_ratio: f64,
    /// What the changed scenario reaches.
    pub figures: Figures,
}

/// A change that makes no scenario that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The sort of change.
    pub sort: &'static str,
    /// The change.
    pub change: String,
    /// Why not.
    pub reason: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WhatIfError {
    /// The scenario itself cannot be simulated.
    #[error(transparent)]
    Simulate(#[from] SimulateError),
    /// Something is wished for that there is not.
    #[error("{0}")]
    Wish(String),
}

const BASELINE: &str = "the scenario as it is; each change by itself, all else left as it is";

/// Tries all changes that suggest themselves, and those wished for.
///
/// # Errors
/// If the scenario cannot be simulated as it is, or a wish names what there is not.
pub fn what_if(prepared: &Prepared, wishes: &Wishes) -> Result<WhatIf, WhatIfError> {
    let as_it_is = Figures::of(&prepared.conclude()?);
    let changes = changes(prepared, wishes).map_err(WhatIfError::Wish)?;
    let tried: Vec<Result<Gain, Refused>> =
        changes.into_par_iter().map(|change| tried(change, as_it_is.samples_per_s)).collect();
    let (mut gains, mut refused) = (Vec::new(), Vec::new());
    for each in tried {
        match each {
            Ok(gain) => gains.push(gain),
            Err(reason) => refused.push(reason),
        }
    }
    gains.sort_by(|a, b| b.gain_ratio.total_cmp(&a.gain_ratio));
    let title = prepared.scenario.question.clone();
    Ok(WhatIf { title, baseline: BASELINE, as_it_is, gains, refused })
}

fn tried(change: Change, before: f64) -> Result<Gain, Refused> {
    let Change { sort, what, scenario } = change;
    match scenario.and_then(|scenario| simulated(&scenario)) {
        Ok(figures) => Ok(Gain {
            sort,
            change: what,
            gain_ratio: if before > 0.0 { figures.samples_per_s / before - 1.0 } else { 0.0 },
            figures,
        }),
        Err(reason) => Err(Refused { sort, change: what, reason }),
    }
}

/// What a changed scenario reaches, if it runs on its cards.
fn simulated(scenario: &Scenario) -> Result<Figures, String> {
    let reason = |error: SimulateError| match error {
        SimulateError::Plan(rejected) => rejected.diagnostics.brief(),
        other => other.to_string(),
    };
    let prepared = prepare(scenario).map_err(reason)?;
    if let Some(worst) = prepared.out_of_memory().first() {
        return Err(format!("does not fit: {worst}"));
    }
    Ok(Figures::of(&prepared.conclude().map_err(reason)?))
}

//! All that is lost, and where.

use motley::{Prepared, Replays, SimulateError};
use motley_engine::Silent;
use motley_report::Run;
use serde::Serialize;

use crate::balance::{Balance, PipelineBalance};
use crate::waterfall::nominal;
use crate::{CardSeconds, LinkGain, Measure, Metric, Order, Picos, Waterfall};

/// What an iteration loses, to what, and where. Serialises to JSON; every number's name ends in its
/// unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Losses {
    /// The question that the scenario asks.
    pub title: Option<String>,
    /// Every card holds what it needs. If not, times are those of cards with more memory.
    pub fits: bool,
    /// From the simulated iteration down to the ideal one.
    pub waterfall: Waterfall,
    /// The field's figures of loss.
    pub metrics: Vec<Metric>,
    /// How compute is spread inside pipelines.
    pub pipelines: Vec<PipelineBalance>,
    /// Where the time of cards goes, by type.
    pub card_types: Vec<CardSeconds>,
    /// What faster links of each kind would gain, the largest gain first.
    pub links: Vec<LinkGain>,
}

impl Losses {
    /// One of the figures of loss.
    pub fn metric(&self, measure: Measure) -> f64 {
        let found = self.metrics.iter().find(|row| row.metric == measure);
        found.map_or(0.0, |row| row.value_ratio)
    }
}

/// What an iteration loses, to what.
pub(crate) struct Divided {
    pub(crate) waterfall: Waterfall,
    balance: Balance,
    /// The iteration without jitter and spread.
    even: Picos,
}

pub(crate) fn divided(
    prepared: &Prepared,
    replays: &Replays,
    order: Order,
) -> Result<Divided, SimulateError> {
    let job = nominal(prepared);
    let even = Picos::from(prepared.replay_altered(&job, None, &mut Silent)?.iteration);
    let balance = Balance::new(prepared)?;
    let simulated = mean(&replays.runs);
    let waterfall = Waterfall::new(simulated, (prepared, &job), even, &balance, order)?;
    Ok(Divided { waterfall, balance, even })
}

/// What an iteration loses, to what, and where.
///
/// # Errors
/// As [`Prepared::replay_altered`].
pub fn losses(
    prepared: &Prepared,
    replays: &Replays,
    order: Order,
) -> Result<Losses, SimulateError> {
    let Divided { waterfall, balance, even } = divided(prepared, replays, order)?;
    Ok(Losses {
        title: prepared.scenario.question.clone(),
        fits: prepared.out_of_memory().is_empty(),
        metrics: Metric::list(&waterfall, replays, &balance.pipelines),
        pipelines: balance.pipelines,
        card_types: CardSeconds::list(prepared, &replays.runs),
        links: LinkGain::list(prepared, even)?,
        waterfall,
    })
}

/// The mean iteration time, rounded as the report has it.
fn mean(runs: &[Run]) -> Picos {
    let sum: u128 = runs.iter().map(|run| u128::from(run.outcome.end.as_picos())).sum();
    let count = runs.len().max(1) as u128;
    Picos(((sum + count / 2) / count) as i64)
}

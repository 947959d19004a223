//! All that is lost, and where.

use motley::{Prepared, Replays, SimulateError};
use motley_engine::Silent;
use motley_report::Run;
use serde::Serialize;

use crate::balance::{Balance, PipelineBalance};
use crate::waterfall::nominal;
use crate::{CardSeconds, LinkGain, Order, Part, Picos, Waterfall};

/// What an iteration loses, to what, and where. Serialises to JSON; every number's name ends in its
/// unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Losses {
    /// The question that the scenario asks.
    pub title: Option<String>,
    /// From the simulated iteration down to the ideal one.
    pub waterfall: Waterfall,
    /// Simulated over ideal iteration time.
    pub slowdown_ratio: f64,
    /// The share of the iteration that is lost: 1 - ideal / simulated.
    pub waste_ratio: f64,
    /// The share of the bubble in the iteration without communication.
    pub bubble_ratio: f64,
    /// How compute is spread inside pipelines.
    pub pipelines: Vec<PipelineBalance>,
    /// Where the time of cards goes, by type.
    pub card_types: Vec<CardSeconds>,
    /// What faster links of each kind would gain, the largest gain first.
    pub links: Vec<LinkGain>,
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
    let (simulated, ideal) = (waterfall.simulated, waterfall.ideal);
    let bubble = waterfall.loss_of(Part::Bubble);
    Ok(Losses {
        title: prepared.scenario.question.clone(),
        slowdown_ratio: if ideal.0 == 0 { 1.0 } else { simulated.share_of(ideal) },
        waste_ratio: waterfall.loss().share_of(simulated),
        bubble_ratio: bubble.share_of(waterfall.compute_only),
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

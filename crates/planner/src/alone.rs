//! What each type of card does by itself, and what the mix makes of it.

use motley::{Scenario, SimulateError};
use motley_scenario::PlanChoice;
use serde::Serialize;

use crate::pool::CardType;
use crate::search::{Found, Options, Progress, search};
use crate::settings::Settings;

/// A type of card with its best plan alone, the batch being the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alone {
    /// The type, by its vendor's name.
    pub card: String,
    /// How many there are.
    pub card_count: u32,
    /// Samples per second; 0 if the model does not fit into them.
    pub samples_per_s: f64,
}

/// The throughput of a mix against the sum of its parts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mixing {
    /// The mix over the sum of the types alone; none if the model fits into no type alone.
    pub efficiency_ratio: Option<f64>,
    /// Each type alone.
    pub alone: Vec<Alone>,
}

/// Searches the best plan of each type of card alone, with the effort that is its share of the cards, and
/// holds the best plan of all against their sum. None if there is one type, or no plan fits.
///
/// # Errors
/// If a part of the cluster cannot be simulated.
pub fn mixing(
    scenario: &Scenario,
    found: &Found,
    options: &Options,
    progress: &dyn Fn(Progress),
) -> Result<Option<Mixing>, SimulateError> {
    let best = found.best().and_then(|best| best.time);
    let (Some(best), 2..) = (best, found.pool.types.len()) else { return Ok(None) };
    let cards: u32 = found.pool.types.iter().map(CardType::cards).sum();
    let settings = options.settings.clone().unwrap_or_else(|| Settings::of(scenario));
    let batch = f64::from(scenario.global_batch);
    let mut alone = Vec::new();
    for kind in &found.pool.types {
        let part = part(scenario, kind);
        let share = f64::from(kind.cards()) / f64::from(cards);
        let options =
            Options { budget_s: options.budget_s * share, settings: Some(settings.clone()) };
        let found = search(&part, &options, progress)?;
        let best = found.best().and_then(|best| best.time);
        alone.push(Alone {
            card: kind.name.clone(),
            card_count: kind.cards(),
            samples_per_s: best.map_or(0.0, |time| batch / time.as_secs_f64()),
        });
    }
    let sum: f64 = alone.iter().map(|alone| alone.samples_per_s).sum();
    let efficiency_ratio = (sum > 0.0).then(|| batch / best.as_secs_f64() / sum);
    Ok(Some(Mixing { efficiency_ratio, alone }))
}

/// The scenario on the nodes of one type alone.
fn part(scenario: &Scenario, kind: &CardType) -> Scenario {
    let mut part = scenario.clone();
    part.plan = PlanChoice::Auto;
    part.cluster.groups.retain(|group| {
        group.device.id == kind.id && group.design.id == kind.design && group.nic.id == kind.nic
    });
    part
}

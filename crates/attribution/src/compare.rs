//! Two scenarios side by side: by how much one is slower, and why.

use motley::{Prepared, SimulateError};
use motley_engine::Silent;
use serde::Serialize;

use crate::differences::{Difference, differences};
use crate::losses::divided;
use crate::{Figures, Order, Part, Picos, Waterfall};

/// Two scenarios side by side. Serialises to JSON; every number's name ends in its unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The first.
    pub first: Side,
    /// The second, which is held against the first.
    pub second: Side,
    /// What is asked for differently.
    pub differences: Vec<Difference>,
    /// How much longer an iteration of the second takes.
    #[serde(rename = "difference_s")]
    pub difference: Picos,
    /// Samples per second of the second over those of the first.
    pub speed_ratio: f64,
    /// How parts are divided.
    pub order: Order,
    /// What the difference is made of, the largest first: the parts sum to it exactly.
    pub parts: Vec<ComparedPart>,
    /// What differences are held against.
    pub baseline: &'static str,
}

/// One of the scenarios.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// The question that it asks.
    pub title: Option<String>,
    /// A hash of the scenario as it was run.
    pub scenario_hash: String,
    /// The seed of all random draws.
    pub seed: u64,
    /// What it reaches.
    #[serde(flatten)]
    pub figures: Figures,
}

/// What one part has of the difference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ComparedPart {
    /// The part: the ideal iteration, or what is lost to something.
    pub part: &'static str,
    /// Its name for people.
    #[serde(skip)]
    pub name: &'static str,
    /// In the first.
    #[serde(rename = "first_s")]
    pub first: Picos,
    /// In the second.
    #[serde(rename = "second_s")]
    pub second: Picos,
    /// In the second less that in the first.
    #[serde(rename = "difference_s")]
    pub difference: Picos,
}

const BASELINE: &str = "the first; parts are those of the two waterfalls";

/// Holds the second scenario against the first.
///
/// # Errors
/// As [`crate::losses`].
pub fn compare(both: [&Prepared; 2], order: Order) -> Result<Comparison, SimulateError> {
    let one_side = |prepared: &Prepared| -> Result<(Figures, Waterfall), SimulateError> {
        let replays = prepared.replay(&mut Silent, &|| {})?;
        let figures = Figures::of(&prepared.report(&replays)?);
        Ok((figures, divided(prepared, &replays, order)?.waterfall))
    };
    let (of_first, one) = one_side(both[0])?;
    let (of_second, other) = one_side(both[1])?;
    let part = |part: &'static str, name, first: Picos, second: Picos| {
        let difference = second - first;
        ComparedPart { part, name, first, second, difference }
    };
    let lost = Part::all()
        .map(|lost| part(lost.key(), lost.name(), one.loss_of(lost), other.loss_of(lost)));
    let ideal = part("ideal", "ideal iteration", one.ideal, other.ideal);
    let mut parts: Vec<ComparedPart> = std::iter::once(ideal).chain(lost).collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.difference.0.abs()));
    let side = |prepared: &Prepared, figures| Side {
        title: prepared.scenario.question.clone(),
        scenario_hash: prepared.scenario.hash.clone(),
        seed: prepared.scenario.seed,
        figures,
    };
    Ok(Comparison {
        differences: differences(both.map(|prepared| &prepared.scenario.raw)),
        difference: other.simulated - one.simulated,
        speed_ratio: if of_first.samples_per_s > 0.0 {
            of_second.samples_per_s / of_first.samples_per_s
        } else {
            1.0
        },
        first: side(both[0], of_first),
        second: side(both[1], of_second),
        order,
        parts,
        baseline: BASELINE,
    })
}

//! What unequal compute costs.

use motley_units::Time;
use serde::Serialize;

use crate::breakdown::seconds;

/// The share of the iteration time that would be saved if compute were spread in proportion to the
/// speed of each card.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Imbalance {
    /// What it is: `straggler loss of the mix` if unlike cards work together, else `stage
    /// imbalance`, which is all that equal cards can have.
    pub kind: &'static str,
    /// 1 - balanced / actual. Slightly below zero if the actual spread suits the links better.
    pub loss_ratio: f64,
    /// Iteration time of the balanced replay.
    #[serde(rename = "balanced_iteration_time_s", serialize_with = "seconds")]
    pub balanced: Time,
    /// What `balanced_iteration_time_s` is, to be read behind it.
    pub baseline: &'static str,
}

impl Imbalance {
    pub(crate) fn new(mean: Time, balanced: Time, unlike_cards: bool) -> Self {
        let ratio = if mean == Time::ZERO {
            0.0
        } else {
            1.0 - balanced.as_secs_f64() / mean.as_secs_f64()
        };
        let (kind, baseline) = if unlike_cards {
            (
                "straggler loss of the mix",
                "if all compute were spread by card speed over the same cards, links and schedule",
            )
        } else {
            (
                "stage imbalance",
                "if all compute were spread evenly over the same cards, links and schedule",
            )
        };
        Self { kind, loss_ratio: ratio, balanced, baseline }
    }
}

//! What a stage holds at the fullest moment of its order.

use super::step::{Pass, Turn, steps};

/// Micro-batches that a stage holds something of, by chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InFlight {
    /// Between the forward pass and the backward pass (or the input gradient).
    pub kept: Vec<u32>,
    /// Between the input gradient and the weight gradients.
    pub deferred: Vec<u32>,
}

/// The fullest moment of an order, if a micro-batch in chunk `c` holds `kept[c]` from its forward
/// pass on and `deferred[c]` from its input gradient on: how much is held, and of what.
pub fn peak_in_flight(order: &[Turn], kept: &[f64], deferred: &[f64]) -> (f64, InFlight) {
    let mut now = InFlight { kept: vec![0; kept.len()], deferred: vec![0; kept.len()] };
    let mut peak = (0.0, now.clone());
    let mut held = 0.0;
    for step in steps(order) {
        let chunk = step.chunk as usize;
        match step.pass {
            Pass::Forward => {
                now.kept[chunk] += 1;
                held += kept[chunk];
            }
            Pass::Backward => {
                now.kept[chunk] -= 1;
                held -= kept[chunk];
            }
            Pass::InputGradient => {
                now.kept[chunk] -= 1;
                now.deferred[chunk] += 1;
                held += deferred[chunk] - kept[chunk];
            }
            Pass::WeightGradient => {
                now.deferred[chunk] -= 1;
                held -= deferred[chunk];
            }
        }
        if held > peak.0 {
            peak = (held, now.clone());
        }
    }
    peak
}

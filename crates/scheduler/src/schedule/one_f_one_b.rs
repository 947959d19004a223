//! 1F1B (PipeDream-Flush, Narayanan et al. 2020, arXiv 2006.09503): stage `i` of `p` runs
//! `p - i - 1` forward passes to warm up, then one forward and one backward pass in turn, then the
//! rest backward.
//!
//! ```text
//! F0 F1 F2 F3                B0 -- F4 B1 -- F5 B2 --    B3 --    B4 --    B5 --
//!    F0 F1 F2          B0 -- F3 B1 -- F4 B2 -- F5 B3 --    B4 --    B5 --
//!       F0 F1    B0 -- F2 B1 -- F3 B2 -- F4 B3 -- F5 B4 --    B5 --
//!          F0 B0 -- F1 B1 -- F2 B2 -- F3 B3 -- F4 B4 -- F5 B5 --
//! ```
//!
//! Bubble `(p - 1) (F + B)`; `p - i` micro-batches in flight.

use super::step::{Order, Turn, backward, forward};

pub(super) fn order(stage: u32, stages: u32, micro_batches: u32) -> Order {
    let ahead = (stages - stage - 1).min(micro_batches);
    let mut order = Vec::with_capacity(2 * micro_batches as usize);
    order.extend((0..ahead).map(|m| Turn::Alone(forward(m, 0))));
    for m in ahead..micro_batches {
        order.push(Turn::Alone(forward(m, 0)));
        order.push(Turn::Alone(backward(m - ahead, 0)));
    }
    let rest = micro_batches - ahead..micro_batches;
    order.extend(rest.map(|m| Turn::Alone(backward(m, 0))));
    order
}

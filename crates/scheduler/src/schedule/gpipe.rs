//! GPipe (Huang et al. 2019, arXiv 1811.06965): all forward passes, then all backward passes.
//!
//! ```text
//! F0 F1 F2 F3                         B0 -- B1 -- B2 -- B3 --
//!    F0 F1 F2 F3                B0 -- B1 -- B2 -- B3 --
//!       F0 F1 F2 F3       B0 -- B1 -- B2 -- B3 --
//!          F0 F1 F2 F3 B0 -- B1 -- B2 -- B3 --
//! ```
//!
//! Bubble `(p - 1) (F + B)`; `m` micro-batches in flight.

use super::step::{Order, Turn, backward, forward};

pub(super) fn order(micro_batches: u32) -> Order {
    let forward = (0..micro_batches).map(|m| Turn::Alone(forward(m, 0)));
    let backward = (0..micro_batches).map(|m| Turn::Alone(backward(m, 0)));
    forward.chain(backward).collect()
}

//! Max-min fair rates by change propagation.
//!
//! Each link l has a level x(l), infinite while the link is not full. The demand of flow f on l is
//! d(f, l) = min(cap of f, x of the *other* links of f), and the level is the water level of the
//! capacity over the demands,
//!
//! ```text
//! sum over f on l of multiplicity(f, l) * min(d(f, l), x(l)) = capacity(l)
//! ```
//!
//! or infinite if all demands fit. The rate of f is min(cap of f, x of all its links).
//!
//! *Any solution is the max-min fair allocation.* If x(l) is finite the link is full and x(l) the
//! largest rate on it; if a flow is not at its cap, it is at the level of one of its links; so the
//! certificate in [`super`] holds, and the allocation that it certifies is unique.
//!
//! When flows start or end, only their links can be out of balance. A link that is looked at gets
//! the level that balances it; if that moved, the flows whose rate it changed put other links out
//! of balance, and so on, lowest rates first, until nothing moves. What a change cannot reach is
//! not visited:
//!
//! - a full link whose level is below both the old and the new rate of a flow does not feel the
//!   change (demands above the level do not matter);
//! - a link that is not full does not feel it as long as its load, which is kept by adding
//!   differences, stays below capacity.
//!
//! Propagation ends after a few visits per affected link in practice; that it always does is not
//! proven, so visits are counted, and beyond a few times the number of flows and links the rates
//! are found by filling from nothing.

use std::cmp::Reverse;

use super::network::{Crossing, Limits};
use super::{Network, PRECISION};

impl Network<'_> {
    /// Balances all links.
    pub(super) fn ripple(&mut self) {
        // Links that have just lost their last flow are looked at too, without being active.
        let extent = self.active_flows + self.active_links + self.worklist.len() as u32;
        let mut visits = self.patience.saturating_mul(extent);
        while let Some(Reverse((_, link))) = self.worklist.pop() {
            self.links[link as usize].queued = false;
            if visits == 0 {
                self.fill();
                return;
            }
            visits -= 1;
            self.balance(link);
        }
    }

    /// Gives a link the level that its demands and its capacity ask for, and tells the others.
    fn balance(&mut self, link: u32) {
        let l = link as usize;
        let mut demands = std::mem::take(&mut self.demands);
        demands.clear();
        let (mut load, mut weight) = (0.0, 0.0);
        for crossing in self.on(link) {
            let demand = self.limits[crossing.flow as usize].demand(link);
            demands.push(demand);
            load += crossing.multiplicity * demand;
            weight += crossing.multiplicity;
        }
        let capacity = self.links[l].capacity;
        let level = if load <= capacity * (1.0 + PRECISION) {
            self.links[l].load = load;
            f64::INFINITY
        } else {
            water_level(capacity, weight, self.on(link), &demands)
        };
        self.demands = demands;

        let before = self.links[l].level;
        let moved = before.is_finite() || level.is_finite();
        if !moved || (before - level).abs() <= PRECISION * before.min(level) {
            return;
        }
        self.links[l].level = level;
        let first = self.links[l].first;
        for at in first..first + self.links[l].crossings {
            let flow = self.crossings[at as usize].flow;
            let old_rate = self.limits[flow as usize].rate;
            if !self.limits[flow as usize].level_moved(link, before, level) {
                self.find_limits(flow);
            }
            let rate = self.limits[flow as usize].rate;
            if rate.to_bits() != old_rate.to_bits() {
                self.touch(flow);
                self.spread(flow, link, old_rate, rate);
            }
        }
    }

    /// Tells the links of a flow, except `from`, that its rate has changed.
    fn spread(&mut self, flow: u32, from: u32, old_rate: f64, rate: f64) {
        let fabric = self.fabric;
        let lower = old_rate.min(rate);
        for hop in fabric.path(self.paths[flow as usize]) {
            if hop.link == from {
                continue;
            }
            let link = &mut self.links[hop.link as usize];
            let feels = if link.level.is_finite() {
                lower < link.level
            } else {
                link.load += hop.multiplicity * (rate - old_rate);
                link.is_overloaded()
            };
            if feels {
                self.enqueue(hop.link, lower);
            }
        }
    }
}

impl Limits {
    /// Takes in that the level of `link`, which the flow crosses, has moved. False if that takes a
    /// look at the whole path.
    #[inline]
    fn level_moved(&mut self, link: u32, before: f64, level: f64) -> bool {
        if self.link == link {
            if level > self.second {
                return false;
            }
            self.rate = level;
        } else if level < self.rate {
            (self.rate, self.second, self.link) = (level, self.rate, link);
        } else if level < self.second {
            self.second = level;
        } else if before <= self.second && level > self.second {
            return false;
        }
        true
    }
}

/// The level y at which demands, cut off at y, fill `capacity`; less than their sum. Rises from
/// the level for equal shares, each time leaving aside the demands that the level has passed.
fn water_level(capacity: f64, weight: f64, crossings: &[Crossing], demands: &[f64]) -> f64 {
    let mut level = capacity / weight;
    loop {
        let (mut met, mut open) = (0.0, 0.0);
        for (crossing, &demand) in crossings.iter().zip(demands) {
            if demand < level {
                met += crossing.multiplicity * demand;
            } else {
                open += crossing.multiplicity;
            }
        }
        let higher = (capacity - met) / open;
        if open == 0.0 || higher <= level * (1.0 + PRECISION / 10.0) {
            return level;
        }
        level = higher;
    }
}

//! Throughput against the number of nodes.

use std::collections::BTreeMap;

use motley::Scenario;

use crate::clusters::{alone, on};
use crate::search::{Best, Planner, best};
use crate::{EquivalenceError, Nodes};

/// Numbers of nodes that are planned at most on the way up, and between two of them.
const STEPS: [u32; 2] = [24, 12];

/// More nodes by half that gain less than this share gain nothing.
const SATURATED: f64 = 0.02;

/// How far beyond what a straight line says the next number of nodes lies.
const BEYOND: f64 = 1.02;

/// Throughput against the number of nodes of one kind, each number with its best plan.
pub(crate) struct Curve<'s> {
    scenario: &'s Scenario,
    pub nodes: Nodes,
    /// By number of nodes: the scenario and its best plan, if one fits.
    pub points: BTreeMap<u32, Option<Best>>,
    /// Samples per second and node that no plan can exceed.
    bound: Option<f64>,
    most: u32,
}

/// Whether a throughput is reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reach {
    /// By so many cards between whole nodes, on a straight line, and by so many nodes.
    By { cards: f64, nodes: u32 },
    /// By no number of nodes that was planned.
    Never,
}

impl<'s> Curve<'s> {
    /// Of nodes up to `most` cards.
    pub(crate) fn new(scenario: &'s Scenario, nodes: Nodes, most: u32) -> Self {
        let most = (most / nodes.gpus()).max(1);
        Self { scenario, nodes, points: BTreeMap::new(), bound: None, most }
    }

    /// The scenario on so many nodes.
    pub(crate) fn at(&self, count: u32) -> Result<Scenario, EquivalenceError> {
        on(self.scenario, alone(self.scenario, &self.nodes, count), &self.named(count))
    }

    fn named(&self, count: u32) -> String {
        format!("{} {}", count * self.nodes.gpus(), self.nodes.device.name)
    }

    /// Samples per second of so many nodes, of which some may be left over; 0 if the model does not fit.
    pub(crate) fn throughput(
        &mut self,
        planner: &mut Planner,
        count: u32,
    ) -> Result<f64, EquivalenceError> {
        if !self.points.contains_key(&count) {
            let scenario = self.at(count)?;
            let found = planner.open(&scenario, &self.named(count))?;
            if found.lower_bound_s > 0.0 {
                let per_node =
                    f64::from(scenario.global_batch) / found.lower_bound_s / f64::from(count);
                self.bound = Some(self.bound.map_or(per_node, |known| known.max(per_node)));
            }
            self.points.insert(count, best(&scenario, &found));
        }
        Ok(self.reached(count))
    }

    /// The best of what was planned for so many nodes or fewer.
    pub(crate) fn best(&self, count: u32) -> Option<(u32, &Best)> {
        self.points
            .range(..=count)
            .filter_map(|(&nodes, best)| Some((nodes, best.as_ref()?)))
            .max_by(|a, b| a.1.samples_per_s.total_cmp(&b.1.samples_per_s).then(b.0.cmp(&a.0)))
    }

    /// Its samples per second; 0 if the model fits into none of them.
    fn reached(&self, count: u32) -> f64 {
        self.best(count).map_or(0.0, |(_, best)| best.samples_per_s)
    }

    /// How many nodes reach so many samples per second; numbers of nodes that lie closer than the share
    /// `tolerance` are not told apart.
    pub(crate) fn reach(
        &mut self,
        planner: &mut Planner,
        target: f64,
        tolerance: f64,
    ) -> Result<Reach, EquivalenceError> {
        // What is known already is where to begin.
        if self.points.is_empty() {
            self.throughput(planner, 1)?;
        }
        let least = self.bound.map_or(1.0, |bound| (target / bound).ceil());
        let known = self.points.keys().copied();
        let mut low = known.filter(|&count| self.reached(count) < target).max().unwrap_or(0);
        let above = self.points.range(low + 1..).next().map(|(&count, _)| count);
        let mut count = above.unwrap_or_else(|| (least.max(1.0) as u32).max(low + 1));
        count = count.min(self.most);
        let mut steps = 0;
        loop {
            let reached = self.throughput(planner, count)?;
            if reached >= target {
                break;
            }
            let before = self.reached(count * 2 / 3);
            let flat = before > 0.0 && reached < before * (1.0 + SATURATED);
            steps += 1;
            if flat || count >= self.most || steps >= STEPS[0] {
                return Ok(Reach::Never);
            }
            low = count;
            let next = if reached > 0.0 {
                f64::from(count) * target / reached * BEYOND
            } else {
                2.0 * f64::from(count)
            };
            count = (next.ceil() as u32).clamp(count + 1, count.saturating_mul(3)).min(self.most);
        }
        let mut high = count;
        for step in 0..STEPS[1] {
            if high - low <= 1 || f64::from(high - low) <= tolerance * f64::from(high) {
                break;
            }
            let [below, above] = [low, high].map(|count| self.reached(count));
            // A straight line where throughput follows it, halves where it rises by steps.
            let guess = if step % 2 == 0 && below > 0.0 && above > below {
                f64::from(low) + f64::from(high - low) * (target - below) / (above - below)
            } else {
                f64::midpoint(f64::from(low), f64::from(high))
            };
            let middle = (guess.round() as u32).clamp(low + 1, high - 1);
            if self.throughput(planner, middle)? >= target {
                high = middle;
            } else {
                low = middle;
            }
        }
        let [below, above] = [low, high].map(|count| self.reached(count));
        // Where the model does not fit on fewer nodes there is nothing to draw a line from.
        let share = if low > 0 && below <= 0.0 { 1.0 } else { (target - below) / (above - below) };
        let nodes = f64::from(low) + f64::from(high - low) * share.clamp(0.0, 1.0);
        Ok(Reach::By { cards: nodes * f64::from(self.nodes.gpus()), nodes: high })
    }
}

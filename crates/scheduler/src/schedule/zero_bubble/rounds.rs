//! The automatic schedule's heuristic for a linear pipeline (Qi et al. 2024, arXiv 2401.10241,
//! section 3.1), for stages that may differ in times, in what they hold and in what they may hold.
//!
//! - *Warm-up.* Each stage runs as many forward passes as fit before its first B can start, within
//!   its limit; whether one more may delay that B is a choice ([`Choices::delay_first`]).
//! - *Rounds.* Then every round is one F on each stage, first to last, and one B on each, last to
//!   first. A stage whose next input is not there yet fills the gap with W passes. A gap too small
//!   for one gets it all the same if waiting would make the stage's idle time the longest of all,
//!   or by choice ([`Choices::eager_weights`]). W passes also make room where the limit is reached.
//! - *Lead.* A stage always has run at least one more F than the next one. Where it is further
//!   ahead, it may skip an F that would come too early ([`Choices::skip`]).
//! - *End.* What is left of W runs last.

use motley_units::Time;

use super::super::costs::{ChunkCosts, Costs};
use super::super::step::{Order, Turn, forward, input_gradient, weight_gradient};

/// What the heuristic leaves open; all combinations are tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choices {
    /// The last forward pass of the warm-up may end after the first B could start.
    pub delay_first: bool,
    /// A stage may skip a forward pass where it is two or more ahead of the next.
    pub skip: bool,
    /// Weight gradients run in gaps that are too small for them.
    pub eager_weights: bool,
}

impl Choices {
    /// All combinations.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..8).map(|bits| Self {
            delay_first: bits & 1 == 0,
            skip: bits & 2 != 0,
            eager_weights: bits & 4 != 0,
        })
    }
}

/// The orders of all stages; none if some stage cannot hold what the rounds ask of it.
pub(super) fn orders(costs: &Costs, micro_batches: u32, choices: Choices) -> Option<Vec<Order>> {
    let mut rounds = Rounds::new(costs, micro_batches, choices);
    rounds.warm_up();
    for round in 1..micro_batches {
        rounds.forward_round()?;
        rounds.backward_round(round)?;
    }
    for stage in &mut rounds.stages {
        while stage.weights < micro_batches {
            stage.weight_gradient();
        }
    }
    Some(rounds.stages.into_iter().map(|stage| stage.order).collect())
}

struct Stage<'a> {
    costs: &'a ChunkCosts,
    limit: f64,
    clock: Time,
    idle: Time,
    held: f64,
    forwards: u32,
    backwards: u32,
    weights: u32,
    order: Order,
}

struct Rounds<'a> {
    costs: &'a Costs,
    choices: Choices,
    micro_batches: u32,
    stages: Vec<Stage<'a>>,
    /// By stage and micro-batch: when the forward pass and the input gradient ended.
    forward_ends: Vec<Vec<Time>>,
    backward_ends: Vec<Vec<Time>>,
}

impl Stage<'_> {
    fn fits(&self, change: f64) -> bool {
        super::fits(self.held + change, self.limit)
    }

    fn run(&mut self, ready: Time, length: Time, change: f64, turn: Turn) {
        let start = self.clock.max(ready);
        if !self.order.is_empty() {
            self.idle += start - self.clock;
        }
        self.clock = start + length;
        self.held += change;
        self.order.push(turn);
    }

    fn weight_gradient(&mut self) {
        let turn = Turn::Alone(weight_gradient(self.weights, 0));
        self.weights += 1;
        self.run(Time::ZERO, self.costs.weight_gradient, -self.costs.deferred, turn);
    }

    /// Weight gradients make room for `change`; none if there are not enough.
    fn make_room(&mut self, change: f64) -> Option<()> {
        while !self.fits(change) {
            if self.weights == self.backwards {
                return None;
            }
            self.weight_gradient();
        }
        Some(())
    }
}

impl<'a> Rounds<'a> {
    fn new(costs: &'a Costs, micro_batches: u32, choices: Choices) -> Self {
        let stages: Vec<Stage> = costs
            .stages
            .iter()
            .map(|stage| Stage {
                costs: &stage.chunks[0],
                limit: stage.limit,
                clock: Time::ZERO,
                idle: Time::ZERO,
                held: 0.0,
                forwards: 0,
                backwards: 0,
                weights: 0,
                order: Order::with_capacity(3 * micro_batches as usize),
            })
            .collect();
        let ends = vec![Vec::with_capacity(micro_batches as usize); stages.len()];
        Self {
            costs,
            choices,
            micro_batches,
            stages,
            forward_ends: ends.clone(),
            backward_ends: ends,
        }
    }

    fn last(&self) -> usize {
        self.stages.len() - 1
    }

    /// When stage `s` has the input of its next forward pass.
    fn forward_ready(&self, s: usize) -> Time {
        match s.checked_sub(1) {
            Some(before) => {
                let m = self.stages[s].forwards as usize;
                self.forward_ends[before][m] + self.costs.forward_hops[0][before]
            }
            None => Time::ZERO,
        }
    }

    /// When stage `s` has the gradient for its next B.
    fn backward_ready(&self, s: usize) -> Time {
        if s == self.last() {
            return Time::ZERO;
        }
        let m = self.stages[s].backwards as usize;
        self.backward_ends[s + 1][m] + self.costs.backward_hops[0][s]
    }

    fn forward(&mut self, s: usize) {
        let ready = self.forward_ready(s);
        let stage = &mut self.stages[s];
        let turn = Turn::Alone(forward(stage.forwards, 0));
        stage.forwards += 1;
        stage.run(ready, stage.costs.forward, stage.costs.kept, turn);
        self.forward_ends[s].push(stage.clock);
    }

    fn backward(&mut self, s: usize) {
        let ready = self.backward_ready(s);
        let stage = &mut self.stages[s];
        let turn = Turn::Alone(input_gradient(stage.backwards, 0));
        stage.backwards += 1;
        let change = stage.costs.deferred - stage.costs.kept;
        stage.run(ready, stage.costs.input_gradient, change, turn);
        self.backward_ends[s].push(stage.clock);
    }

    /// The first forward pass and the first B of every stage, and the forward passes between them.
    fn warm_up(&mut self) {
        for s in 0..self.stages.len() {
            self.forward(s);
        }
        let mut extra = vec![0; self.stages.len()];
        // When the first B of the stage behind ends.
        let mut first_end =
            self.stages[self.last()].clock + self.stages[self.last()].costs.input_gradient;
        for s in (0..self.last()).rev() {
            let stage = &self.stages[s];
            let ready = first_end + self.costs.backward_hops[0][s];
            let (mut clock, mut held) = (stage.clock, stage.held);
            while stage.forwards + extra[s] < self.micro_batches
                && super::fits(held + stage.costs.kept, stage.limit)
            {
                let in_time = if self.choices.delay_first {
                    clock < ready
                } else {
                    clock + stage.costs.forward <= ready
                };
                if !in_time {
                    break;
                }
                clock += stage.costs.forward;
                held += stage.costs.kept;
                extra[s] += 1;
            }
            first_end = clock.max(ready) + stage.costs.input_gradient;
        }
        for s in 1..extra.len() {
            let used_up = self.stages[s - 1].forwards + extra[s - 1] == self.micro_batches;
            let most = if used_up { extra[s - 1] } else { extra[s - 1].saturating_sub(1) };
            extra[s] = extra[s].min(most);
        }
        for (s, &count) in extra.iter().enumerate() {
            for _ in 0..count {
                self.forward(s);
            }
        }
        for s in (0..self.stages.len()).rev() {
            self.backward(s);
        }
    }

    /// One forward pass on each stage that has one left and does not skip it.
    fn forward_round(&mut self) -> Option<()> {
        let mut goes: Vec<bool> = (0..self.stages.len())
            .map(|s| self.stages[s].forwards < self.micro_batches && !self.skips(s))
            .collect();
        // No stage gets further ahead of the next one than it is.
        for s in (0..self.last()).rev() {
            goes[s] &= goes[s + 1];
        }
        for s in (0..goes.len()).filter(|&s| goes[s]) {
            let kept = self.stages[s].costs.kept;
            self.stages[s].make_room(kept)?;
            if s > 0 {
                self.fill(s, self.forward_ready(s));
            }
            self.forward(s);
        }
        Some(())
    }

    /// Whether stage `s`, two or more forward passes ahead of the next, waits with another one: if
    /// it would end after the next stage's coming F and B, and waiting does not make the stage's
    /// idle time the longest.
    fn skips(&self, s: usize) -> bool {
        let Some(next) = self.stages.get(s + 1).filter(|_| self.choices.skip) else {
            return false;
        };
        let stage = &self.stages[s];
        if stage.forwards < next.forwards + 2 {
            return false;
        }
        let until = next.clock
            + next.costs.forward
            + next.costs.input_gradient
            + self.costs.backward_hops[0][s];
        if stage.clock >= until {
            return true;
        }
        let (mut end, mut held) = (stage.clock + stage.costs.forward, stage.held);
        let waiting = stage.backwards - stage.weights;
        for _ in 0..waiting {
            if super::fits(held + stage.costs.kept, stage.limit) {
                break;
            }
            held -= stage.costs.deferred;
            end += stage.costs.weight_gradient;
        }
        end > until && until - stage.clock <= self.longest_idle() - stage.idle
    }

    fn backward_round(&mut self, round: u32) -> Option<()> {
        for s in (0..self.stages.len()).rev() {
            debug_assert_eq!(self.stages[s].backwards, round, "a round is one B on each stage");
            let change = self.stages[s].costs.deferred - self.stages[s].costs.kept;
            self.stages[s].make_room(change)?;
            if s < self.last() {
                self.fill(s, self.backward_ready(s));
            }
            let first = &mut self.stages[s];
            if s == 0 && first.forwards == self.micro_batches {
                // Nobody waits for the first stage's gradients.
                while first.weights < first.backwards {
                    first.weight_gradient();
                }
            }
            self.backward(s);
        }
        Some(())
    }

    fn longest_idle(&self) -> Time {
        self.stages.iter().map(|stage| stage.idle).max().unwrap_or(Time::ZERO)
    }

    /// Weight gradients while stage `s` waits until `ready`.
    fn fill(&mut self, s: usize, ready: Time) {
        let longest = self.longest_idle();
        let eager = self.choices.eager_weights;
        let stage = &mut self.stages[s];
        while stage.weights < stage.backwards && stage.clock + stage.costs.weight_gradient <= ready
        {
            stage.weight_gradient();
        }
        if stage.weights < stage.backwards
            && stage.clock < ready
            && (eager || ready - stage.clock > longest - stage.idle)
        {
            stage.weight_gradient();
        }
    }
}

//! Weight gradients placed anew into an order whose forward passes and input gradients stay as they
//! are: where the stage waits, where memory is short, at the end.

use std::collections::VecDeque;

use motley_units::Time;

use super::super::costs::Costs;
use super::super::placement::{Placement, Position};
use super::super::play::Done;
use super::super::step::{Order, Pass, Step, Turn, steps, weight_gradient};

struct Stage {
    clock: Time,
    idle: Time,
    held: f64,
    /// Forward passes and input gradients, in their order, and how many of them are done.
    fixed: Vec<Step>,
    next: usize,
    /// Chunk and micro-batch.
    waiting: VecDeque<(u32, u32)>,
    order: Order,
}

/// The orders with their weight gradients placed anew. `eager`: a weight gradient also runs in a
/// gap that is too small for it.
///
/// None if the order of forward passes and input gradients cannot be played.
pub(super) fn place_anew(
    orders: &[Order],
    placement: &Placement,
    costs: &Costs,
    micro_batches: u32,
    eager: bool,
) -> Option<Vec<Order>> {
    let mut stages: Vec<Stage> = orders
        .iter()
        .map(|order| Stage {
            clock: Time::ZERO,
            idle: Time::ZERO,
            held: 0.0,
            fixed: steps(order).filter(|step| step.pass != Pass::WeightGradient).collect(),
            next: 0,
            waiting: VecDeque::new(),
            order: Order::with_capacity(order.len()),
        })
        .collect();
    let mut done = Done::new(placement, micro_batches);
    let total: usize = stages.iter().map(|stage| stage.fixed.len()).sum();
    for _ in 0..total {
        // The stage whose next fixed pass can start first.
        let (_, s, step, ready) = stages
            .iter()
            .enumerate()
            .filter_map(|(s, stage)| {
                let &step = stage.fixed.get(stage.next)?;
                let ready = done.ready(costs, placement, s as u32, step)?;
                Some((stage.clock.max(ready), s, step, ready))
            })
            .min_by_key(|&(start, s, ..)| (start, s))?;
        let longest = stages.iter().map(|stage| stage.idle).max().unwrap_or(Time::ZERO);
        let stage = &mut stages[s];
        let position = Position { stage: s as u32, chunk: step.chunk };
        let chunk = costs.chunk(position);
        let limit = costs.stages[s].limit;
        while !super::fits(stage.held + chunk.change(step.pass), limit) {
            if !stage.weight_gradient(s, costs, None) {
                break;
            }
        }
        stage.weight_gradients(s, costs, Some(ready));
        if stage.clock < ready && (eager || ready - stage.clock > longest - stage.idle) {
            stage.weight_gradient(s, costs, None);
        }
        let start = stage.clock.max(ready);
        if !stage.order.is_empty() {
            stage.idle += start - stage.clock;
        }
        stage.clock = start + chunk.time(step.pass);
        stage.held += chunk.change(step.pass);
        stage.order.push(Turn::Alone(step));
        stage.next += 1;
        if step.pass == Pass::InputGradient {
            stage.waiting.push_back((step.chunk, step.micro_batch));
        }
        done.set(position, step, stage.clock);
    }
    for (s, stage) in stages.iter_mut().enumerate() {
        stage.weight_gradients(s, costs, None);
    }
    Some(stages.into_iter().map(|stage| stage.order).collect())
}

impl Stage {
    /// Runs all weight gradients that wait, as far as they end before `before`.
    fn weight_gradients(&mut self, s: usize, costs: &Costs, before: Option<Time>) {
        let mut more = true;
        while more {
            more = self.weight_gradient(s, costs, before);
        }
    }

    /// Runs the oldest weight gradient that waits, if there is one and it ends before `before`.
    fn weight_gradient(&mut self, s: usize, costs: &Costs, before: Option<Time>) -> bool {
        let Some(&(chunk, micro_batch)) = self.waiting.front() else { return false };
        let position = Position { stage: s as u32, chunk };
        let end = self.clock + costs.chunk(position).weight_gradient;
        if before.is_some_and(|before| end > before) {
            return false;
        }
        self.waiting.pop_front();
        self.clock = end;
        self.held -= costs.chunk(position).deferred;
        self.order.push(Turn::Alone(weight_gradient(micro_batch, chunk)));
        true
    }
}

//! Zero-bubble schedules (Qi et al. 2024, arXiv 2401.10241 and 2405.15362): handcrafted, or made
//! for the times and the memory of the stages.
//!
//! Automatic schedules are searched: the heuristics of the papers and list scheduling, each with
//! all of its choices, the handcrafted orders, and all of these with their weight gradients placed
//! anew make candidates; each is played with the stages' own times, and the fastest that keeps to
//! the limits is taken. On the paper's profiled times the search gives the bubble rates of its
//! Table 5 to the digit.

mod handcrafted;
mod list;
mod rounds;
mod weights;

use super::costs::Costs;
use super::in_flight::peak_in_flight;
use super::placement::Placement;
use super::play::play;
use super::step::{Order, Pass, steps};
use super::{OptimizerStep, ZeroBubble, ZeroBubbleOrder};

/// Up to so many passes, all candidates are made at full length.
const SEARCHED_WHOLE: u64 = 100_000;

/// Longer schedules are searched on so many micro-batches for each stage; the best way to make one
/// is then used at full length.
const SEARCHED_PER_STAGE: u32 = 8;

/// A sum of floats may exceed a limit that it equals by this share of it.
const ROUNDING: f64 = 1e-9;

/// Whether an amount keeps to a limit.
fn fits(held: f64, limit: f64) -> bool {
    held <= limit * (1.0 + ROUNDING)
}

/// The orders of all stages.
pub(super) fn orders(
    schedule: ZeroBubble,
    placement: &Placement,
    micro_batches: u32,
    costs: impl FnOnce() -> Costs,
) -> Vec<Order> {
    match schedule.order {
        ZeroBubbleOrder::H1 => crafted(Crafted::H1, placement.stages(), micro_batches),
        ZeroBubbleOrder::H2 => crafted(Crafted::H2, placement.stages(), micro_batches),
        ZeroBubbleOrder::Automatic(_) | ZeroBubbleOrder::V(_) => {
            let search = Search { placement, costs: &costs(), optimizer: schedule.optimizer_step };
            search.orders(micro_batches)
        }
    }
}

/// A handcrafted schedule.
#[derive(Clone, Copy, Debug)]
enum Crafted {
    H1,
    H2,
    V,
}

fn crafted(which: Crafted, stages: u32, micro_batches: u32) -> Vec<Order> {
    let order = match which {
        Crafted::H1 => handcrafted::h1,
        Crafted::H2 => handcrafted::h2,
        Crafted::V => handcrafted::vee,
    };
    (0..stages).map(|stage| order(stage, stages, micro_batches)).collect()
}

/// A way to make a schedule.
#[derive(Clone, Copy, Debug)]
enum Way {
    Crafted(Crafted),
    /// The same with its weight gradients placed anew, eagerly or not.
    Replaced(Crafted, bool),
    Rounds(rounds::Choices),
    List(list::Choices),
}

/// The search for the fastest schedule within the stages' limits.
struct Search<'a> {
    placement: &'a Placement,
    costs: &'a Costs,
    optimizer: OptimizerStep,
}

impl Search<'_> {
    fn orders(&self, micro_batches: u32) -> Vec<Order> {
        let passes = 3
            * u64::from(self.placement.stages())
            * u64::from(self.placement.chunks())
            * u64::from(micro_batches);
        if passes <= SEARCHED_WHOLE {
            return self.best(micro_batches).1;
        }
        let few = micro_batches.min(SEARCHED_PER_STAGE * self.placement.stages());
        let (way, _) = self.best(few);
        // What fits a few micro-batches need not fit many where it ignores the limits.
        self.make(way, micro_batches)
            .filter(|orders| self.within_limits(orders))
            .unwrap_or_else(|| self.list(micro_batches))
    }

    /// The way to the fastest schedule of so many micro-batches, and the schedule. The first of
    /// equals wins.
    fn best(&self, micro_batches: u32) -> (Way, Vec<Order>) {
        let candidates = self.ways().into_iter().filter_map(|way| {
            let orders = self.make(way, micro_batches)?;
            let timeline = play(&orders, self.placement, self.costs).ok()?;
            let (span, makespan) = (timeline.longest_span(), timeline.makespan());
            let time = match self.optimizer {
                OptimizerStep::PostValidation => (span, makespan),
                OptimizerStep::Synchronous => (makespan, span),
            };
            Some(((!self.within_limits(&orders), time), way, orders))
        });
        let best = candidates.min_by_key(|&(key, ..)| key);
        best.map(|(_, way, orders)| (way, orders)).expect("list scheduling always comes to an end")
    }

    fn ways(&self) -> Vec<Way> {
        let vee = self.placement.chunks() > 1;
        let known: &[Crafted] = if vee { &[Crafted::V] } else { &[Crafted::H1, Crafted::H2] };
        let mut ways = Vec::new();
        for &which in known {
            let replaced = [false, true].map(|eager| Way::Replaced(which, eager));
            ways.push(Way::Crafted(which));
            ways.extend(replaced);
        }
        if !vee {
            ways.extend(rounds::Choices::all().map(Way::Rounds));
        }
        ways.extend(list::Choices::all(self.placement).map(Way::List));
        ways
    }

    fn make(&self, way: Way, micro_batches: u32) -> Option<Vec<Order>> {
        let Self { placement, costs, .. } = *self;
        match way {
            Way::Crafted(which) => Some(crafted(which, placement.stages(), micro_batches)),
            Way::Replaced(which, eager) => {
                let orders = crafted(which, placement.stages(), micro_batches);
                weights::place_anew(&orders, placement, costs, micro_batches, eager)
            }
            Way::Rounds(choices) => rounds::orders(costs, micro_batches, choices),
            Way::List(choices) => {
                let orders = list::orders(placement, costs, micro_batches, choices);
                let complete = |order: &Order| {
                    let weights = steps(order).filter(|step| step.pass == Pass::WeightGradient);
                    weights.count() == micro_batches as usize * placement.chunks() as usize
                };
                orders.iter().all(complete).then_some(orders)
            }
        }
    }

    /// The fastest of the lists, which keep to the limits at any length.
    fn list(&self, micro_batches: u32) -> Vec<Order> {
        let lists = list::Choices::all(self.placement)
            .filter_map(|choices| self.make(Way::List(choices), micro_batches))
            .filter_map(|orders| {
                let timeline = play(&orders, self.placement, self.costs).ok()?;
                Some((timeline.longest_span(), orders))
            });
        let best = lists.min_by_key(|&(span, _)| span);
        best.map(|(_, orders)| orders).expect("list scheduling always comes to an end")
    }

    fn within_limits(&self, orders: &[Order]) -> bool {
        orders.iter().zip(&self.costs.stages).all(|(order, stage)| {
            let kept: Vec<f64> = stage.chunks.iter().map(|chunk| chunk.kept).collect();
            let deferred: Vec<f64> = stage.chunks.iter().map(|chunk| chunk.deferred).collect();
            fits(peak_in_flight(order, &kept, &deferred).0, stage.limit)
        })
    }
}

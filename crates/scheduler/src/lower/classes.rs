//! Pipelines whose stages follow the same orders.

use crate::schedule::{Costs, Order, Placement, Schedule};

/// The orders of a plan's pipelines, each kept once.
#[derive(Debug, Default)]
pub(super) struct Classes {
    known: Vec<Class>,
    /// The orders of all classes, stage by stage.
    pub orders: Vec<Order>,
}

#[derive(Debug)]
struct Class {
    placement: Placement,
    micro_batches: u32,
    /// Of automatic schedules.
    costs: Option<Costs>,
    /// Where the class's orders begin.
    first: u32,
}

impl Classes {
    /// The number of the first stage's order; those of the others follow. Automatic schedules come
    /// with `costs`.
    pub(super) fn first_order(
        &mut self,
        schedule: Schedule,
        placement: &Placement,
        micro_batches: u32,
        costs: Option<Costs>,
    ) -> u32 {
        let known = self.known.iter().find(|class| {
            class.micro_batches == micro_batches
                && class.placement == *placement
                && class.costs == costs
        });
        if let Some(class) = known {
            return class.first;
        }
        let first = self.orders.len() as u32;
        self.orders.extend(schedule.orders(placement, micro_batches, || {
            costs.clone().expect("automatic schedules come with costs")
        }));
        self.known.push(Class { placement: placement.clone(), micro_batches, costs, first });
        first
    }
}

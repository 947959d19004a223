//! Pipelines whose stages follow the same orders.

use motley_topology::RouteError;

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
    /// The number of the first stage's order; those of the others follow. `costs` is asked for by
    /// automatic schedules only.
    pub(super) fn first_order(
        &mut self,
        schedule: Schedule,
        placement: &Placement,
        micro_batches: u32,
        costs: impl FnOnce() -> Result<Costs, RouteError>,
    ) -> Result<u32, RouteError> {
        let costs = if schedule.is_automatic() { Some(costs()?) } else { None };
        let known = self.known.iter().find(|class| {
            class.micro_batches == micro_batches
                && class.placement == *placement
                && class.costs == costs
        });
        if let Some(class) = known {
            return Ok(class.first);
        }
        let first = self.orders.len() as u32;
        self.orders.extend(schedule.orders(placement, micro_batches, || {
            costs.clone().expect("automatic schedules come with costs")
        }));
        self.known.push(Class { placement: placement.clone(), micro_batches, costs, first });
        Ok(first)
    }
}

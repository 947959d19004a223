//! The plans that others would choose: each planner's rule, with motley's prices in place of its
//! profiles, as far as its plans can be expressed here. `docs/planner.md` says what each rule is and
//! where it was read.

mod hexiscale;
mod metis;
mod sailor;
mod uniform;

use motley_scheduler::Plan;

pub(crate) use hexiscale::hexiscale;
pub(crate) use metis::metis;
pub(crate) use sailor::sailor;
pub(crate) use uniform::uniform;

use crate::combination::Combination;
use crate::pool::Pool;
use crate::settings::Settings;
use crate::sketch::{Placing, Sketch};

/// Plans of each rival that are asked of the engine, so that one that fits is among them.
const KEPT: usize = 4;

/// What a rule looks at.
pub(crate) struct Field<'a> {
    pub pool: &'a Pool,
    pub settings: &'a Settings,
    pub experts: bool,
    pub layers: u32,
    pub batch: u32,
    pub combinations: &'a [Combination],
}

/// Sketches by what the rival's own formula says of them.
#[derive(Default)]
struct Proposals {
    list: Vec<(f64, Sketch)>,
}

impl Proposals {
    fn add(&mut self, cost: f64, sketch: impl FnOnce() -> Sketch) {
        if !cost.is_finite() {
            return;
        }
        let place = self.list.partition_point(|(known, _)| *known <= cost);
        if place < KEPT {
            self.list.insert(place, (cost, sketch()));
            self.list.truncate(KEPT);
        }
    }

    fn place(&self, field: &Field, placing: Placing) -> Vec<Plan> {
        let place = |(_, sketch): &(f64, Sketch)| {
            sketch.place(field.pool, field.settings, field.experts, placing)
        };
        self.list.iter().filter_map(place).collect()
    }
}

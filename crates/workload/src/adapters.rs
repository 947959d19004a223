//! Low-rank adapters: fine-tuning that trains a narrow detour beside frozen matrices.

use serde::{Deserialize, Serialize};

use crate::model::{Projection, Weight};

/// Low-rank adapters (LoRA, Hu et al. 2021, arXiv 2106.09685): beside each chosen matrix `W` of
/// `inputs x outputs` runs the product of two trained ones, `inputs x rank` and `rank x outputs`. All
/// else is frozen: no weight gradients, no gradient buffers, no optimizer states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adapters {
    /// Width of the detour.
    pub rank: u32,
    /// The matrices that have one.
    pub targets: Vec<Projection>,
}

impl Adapters {
    /// Whether a matrix has a detour.
    pub(crate) fn covers(&self, weight: &Weight) -> bool {
        weight.projection.is_some_and(|projection| self.targets.contains(&projection))
    }

    /// Trained parameters beside a matrix.
    pub(crate) fn parameters(&self, weight: &Weight) -> f64 {
        if self.covers(weight) {
            f64::from(self.rank) * (weight.inputs + weight.outputs) as f64
        } else {
            0.0
        }
    }
}

//! Low-rank adapters: fine-tuning that trains a narrow detour beside frozen matrices.

use serde::{Deserialize, Serialize};

use crate::description::{FieldPath, ModelError};
use crate::model::{Projection, Weight};
use crate::{LayerKind, Model};

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
    /// What keeps them from being attached to a model; empty if nothing does. Places are those of
    /// their own fields.
    pub fn check(&self, model: &Model) -> Vec<ModelError> {
        let targets = FieldPath::default().field("targets");
        let mut errors = Vec::new();
        let mut error = |path: FieldPath, message: String| {
            errors.push(ModelError::new(path, format!("model `{}`: {message}", model.name)));
        };
        if self.targets.is_empty() {
            error(targets.clone(), "adapters on no matrix train nothing".to_owned());
        }
        let weights: Vec<Weight> = model.kinds().iter().flat_map(LayerKind::weights).collect();
        let experts = model.kinds().iter().any(LayerKind::has_experts);
        for (index, target) in self.targets.iter().enumerate() {
            let path = targets.index(index);
            let of_experts = matches!(target, Projection::Gate | Projection::Up | Projection::Down);
            if experts && of_experts {
                error(
                    path,
                    format!(
                        "adapters on experts are not modelled, and `{target:?}` is one of their matrices"
                    ),
                );
            } else if !weights.iter().any(|weight| weight.projection == Some(*target)) {
                error(path, format!("there is no matrix `{target:?}` to adapt"));
            }
        }
        errors
    }

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

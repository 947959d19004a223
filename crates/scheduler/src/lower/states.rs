//! How many parameters, gradients and optimizer states lie on a card.

use motley_workload::Shard;

use super::gradients::{Bucket, GradientGroup, StageParameters};
use crate::plan::Offload;
use crate::zero::Sharded;

/// Counts of parameters, by what one card holds of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct States {
    /// Parameters as kernels read them, or the card's shares of these.
    pub parameters: f64,
    /// Parameters that are gathered from others while they are used.
    pub gathered: f64,
    /// Parameters with a place in the gradient buffer.
    pub gradients: f64,
    /// Parameters whose gradients are being averaged, beside that buffer.
    pub reduced: f64,
    /// Parameters whose gradients are averaged with those of other cards.
    pub averaged: f64,
    /// Parameters whose optimizer states are the card's to step.
    pub stepped: f64,
    /// Of the parameters that the card computes with, the share that it keeps.
    pub own_share: f64,
    /// Other cards hold the rest of these states.
    pub shared: bool,
}

impl States {
    /// Of a rank of a stage; each of `groups` comes with the portion of its shards that the rank takes.
    pub(super) fn new<'a>(
        stage: StageParameters,
        shard: &Shard,
        groups: impl Iterator<Item = (&'a GradientGroup, f64)>,
        (sharded, offload): (Sharded, Offload),
    ) -> Self {
        let StageParameters { held, trained, largest_item, .. } = stage;
        let mut states = Self {
            parameters: held,
            gathered: 0.0,
            gradients: trained,
            reduced: 0.0,
            averaged: 0.0,
            stepped: trained,
            own_share: 1.0,
            shared: false,
        };
        for (group, portion) in groups {
            states.shared = sharded != Sharded::Nothing;
            let on_rank = f64::from(group.shards_on_rank(shard));
            let given_away = 1.0 - portion;
            let of_group = on_rank * group.trained();
            states.averaged += of_group;
            let largest =
                |of: fn(&Bucket) -> f64| on_rank * group.buckets.iter().map(of).fold(0.0, f64::max);
            if sharded != Sharded::Nothing {
                states.stepped -= given_away * of_group;
            }
            if matches!(sharded, Sharded::Gradients(_) | Sharded::Parameters { .. }) {
                states.gradients -= given_away * of_group;
                states.reduced += largest(|bucket| bucket.parameters);
            }
            if let Sharded::Parameters { prefetch, reshard_after_forward } = sharded {
                let of_group = on_rank * group.held();
                states.parameters -= given_away * of_group;
                let at_once = largest(|bucket| bucket.held) * f64::from(1 + prefetch);
                let kept = if reshard_after_forward { at_once.min(of_group) } else { of_group };
                states.gathered += kept;
            }
        }
        let positive = |count: f64| count.max(0.0);
        let own = positive(states.parameters);
        if offload.parameters {
            // What runs, and what is fetched for the next.
            states.gathered = states.gathered.max((2.0 * largest_item).min(held));
        }
        Self {
            parameters: if offload.parameters { 0.0 } else { own },
            gradients: positive(states.gradients),
            stepped: positive(states.stepped),
            own_share: if held > 0.0 { own / held } else { 1.0 },
            ..states
        }
    }
}

//! Gradient groups: who averages which parameters with whom.
//!
//! Every pipeline holds all parameters, but cut differently: at other layers, and over other
//! tensor-parallel degrees. Parameters that are held by the same stages form a *gradient group*.
//! A group's parameters are cut into as many *shards* as the least common multiple of its holders'
//! tensor-parallel degrees; shard `s` of `n` lies on tensor rank `s * t / n` of a holder of degree
//! `t`. One communicator a shard joins exactly the cards that hold it, so unlike degrees need no
//! second exchange, only a copy into shard order.

use motley_workload::Model;

use crate::plan::{GradientSync, Plan};

/// A holder: pipeline and stage.
pub(super) type Holder = (usize, usize);

/// Parameters that the same stages hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GradientGroup {
    /// The holders, in the order of pipelines.
    pub holders: Vec<Holder>,
    /// Number of shards.
    pub shards: u32,
    /// The parts in which gradients are averaged, in the order in which they get ready.
    pub buckets: Vec<Bucket>,
}

/// A part of a group's gradients, averaged in one call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    /// The bucket is full when the backward pass of this item is done.
    pub ready: Item,
    /// Parameters of one shard.
    pub parameters: f64,
}

/// A piece of the model whose parameters stay together: the embedding is 0, layer `l` is `l + 1`,
/// the head is last. Backward passes visit items in descending order.
pub(super) type Item = u32;

/// Parameters of an item; `tied_copy` adds the output matrix that a last stage holds a copy of.
fn parameters(model: &Model, item: Item, tied_copy: bool) -> f64 {
    if item == 0 {
        model.embedding_parameters()
    } else if item <= model.layers {
        model.layer_parameters()
    } else {
        let copy = if tied_copy { word_embedding(model) } else { 0.0 };
        model.head_parameters() + copy
    }
}

/// Parameters of the word embedding alone.
pub(super) fn word_embedding(model: &Model) -> f64 {
    f64::from(model.vocab) * f64::from(model.hidden)
}

/// Parameters that a stage holds, over all its tensor ranks.
pub(super) fn stage_parameters(model: &Model, plan: &Plan, pipeline: usize, stage: usize) -> f64 {
    let stages = &plan.pipelines[pipeline].stages;
    let mut sum = f64::from(stages[stage].layer_count()) * model.layer_parameters();
    if stage == 0 {
        sum += parameters(model, 0, false);
    }
    if stage + 1 == stages.len() {
        sum += parameters(model, model.layers + 1, model.tied_embeddings && stages.len() > 1);
    }
    sum
}

/// The gradient groups of a plan, in the order of their highest items, highest first. Every rank
/// issues its buckets in that order or in the order of readiness; both descend, so no two ranks
/// wait for each other.
pub(super) fn gradient_groups(
    plan: &Plan,
    model: &Model,
    gradient_bytes: u32,
) -> Vec<GradientGroup> {
    if plan.pipelines.len() < 2 {
        return Vec::new();
    }
    let mut by_holders: Vec<(Vec<Holder>, Vec<Item>)> = Vec::new();
    let owners: Vec<Vec<usize>> =
        (0..plan.pipelines.len()).map(|p| stage_of_items(plan, p, model.layers)).collect();
    for item in (0..=model.layers + 1).rev() {
        let holders: Vec<Holder> =
            owners.iter().enumerate().map(|(p, stages)| (p, stages[item as usize])).collect();
        match by_holders.iter_mut().find(|(known, _)| *known == holders) {
            Some((_, items)) => items.push(item),
            None => by_holders.push((holders, vec![item])),
        }
    }
    let tied_copy = model.tied_embeddings && plan.pipelines.iter().any(|p| p.stages.len() > 1);
    by_holders
        .into_iter()
        .map(|(holders, items)| {
            let shards = holders
                .iter()
                .map(|&(p, s)| plan.pipelines[p].stages[s].tensor_parallel())
                .fold(1, least_common_multiple);
            let sized: Vec<(Item, f64)> = items
                .iter()
                .map(|&item| (item, parameters(model, item, tied_copy) / f64::from(shards)))
                .collect();
            let buckets = match plan.gradient_sync {
                GradientSync::AtEnd => fill(&sized, f64::INFINITY),
                GradientSync::Overlapped { bucket } => {
                    fill(&sized, bucket.0 / f64::from(gradient_bytes))
                }
            };
            GradientGroup { holders, shards, buckets }
        })
        .collect()
}

/// The stage that holds each item of a pipeline.
fn stage_of_items(plan: &Plan, pipeline: usize, layers: u32) -> Vec<usize> {
    let stages = &plan.pipelines[pipeline].stages;
    let mut owner = vec![0; layers as usize + 2];
    for (s, stage) in stages.iter().enumerate() {
        for chunk in &stage.chunks {
            for layer in chunk.clone() {
                if let Some(slot) = owner.get_mut(layer as usize + 1) {
                    *slot = s;
                }
            }
        }
    }
    owner[layers as usize + 1] = stages.len() - 1;
    owner
}

/// Packs items, in order, into buckets of at least `capacity` parameters.
fn fill(items: &[(Item, f64)], capacity: f64) -> Vec<Bucket> {
    let mut buckets = Vec::new();
    let mut held = 0.0;
    for (position, &(item, size)) in items.iter().enumerate() {
        held += size;
        if held >= capacity || position + 1 == items.len() {
            buckets.push(Bucket { ready: item, parameters: held });
            held = 0.0;
        }
    }
    buckets
}

pub(super) fn least_common_multiple(a: u32, b: u32) -> u32 {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x * b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_keep_every_parameter() {
        let items: Vec<(Item, f64)> = (0..10).rev().map(|i| (i, 1.0 + f64::from(i))).collect();
        for capacity in [0.5, 3.0, 7.5, 100.0, f64::INFINITY] {
            let buckets = fill(&items, capacity);
            let sum: f64 = buckets.iter().map(|b| b.parameters).sum();
            assert!((sum - 55.0).abs() < 1e-12);
            assert_eq!(buckets.last().map(|b| b.ready), Some(0));
            assert!(buckets.is_sorted_by(|a, b| a.ready > b.ready));
        }
    }

    #[test]
    fn common_multiples() {
        assert_eq!(least_common_multiple(8, 4), 8);
        assert_eq!(least_common_multiple(2, 3), 6);
        assert_eq!(least_common_multiple(1, 1), 1);
    }
}

//! Gradient groups: who averages which parameters with whom.
//!
//! Every pipeline holds all parameters, but cut differently: at other layers, and over other
//! tensor-parallel degrees; under a bidirectional schedule it holds them twice. Parameters that are
//! held by the same stages form a *gradient group*.
//! A group's parameters are cut into as many *shards* as the least common multiple of its holders'
//! tensor-parallel degrees; shard `s` of `n` lies on tensor rank `s * t / n` of a holder of degree
//! `t`. One communicator a shard joins exactly the cards that hold it, so unlike degrees need no
//! second exchange, only a copy into shard order.

use motley_workload::Model;

use crate::plan::{GradientSync, Pipeline, Plan};
use crate::schedule::{Placement, Position};

/// A holder: pipeline and stage.
pub(super) type Holder = (usize, usize);

/// Parameters that the same stages hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GradientGroup {
    /// The holders, ascending; at least two.
    pub holders: Vec<Holder>,
    /// Number of shards.
    pub shards: u32,
    /// The parts in which gradients are averaged, in the order in which they get ready.
    pub buckets: Vec<Bucket>,
}

impl GradientGroup {
    /// Whether a stage holds the group's parameters.
    pub(super) fn is_held_by(&self, holder: Holder) -> bool {
        self.holders.binary_search(&holder).is_ok()
    }
}

/// A part of a group's gradients, averaged in one call.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bucket {
    /// The items in it, descending.
    pub items: Vec<Item>,
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

/// The items that a stage holds in any of its chunks, descending, each once.
pub(super) fn stage_items(
    pipeline: &Pipeline,
    placement: &Placement,
    stage: usize,
    model_layers: u32,
) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for (chunk, layers) in pipeline.stages[stage].chunks.iter().enumerate() {
        let position = Position { stage: stage as u32, chunk: chunk as u32 };
        items.extend(layers.clone().map(|layer| layer + 1));
        items.extend(placement.before(position).is_none().then_some(0));
        items.extend(placement.after(position).is_none().then_some(model_layers + 1));
    }
    items.sort_unstable_by(|a, b| b.cmp(a));
    items.dedup();
    items
}

/// Parameters that a stage holds, over all its tensor ranks.
pub(super) fn stage_parameters(
    model: &Model,
    pipeline: &Pipeline,
    placement: &Placement,
    stage: usize,
) -> f64 {
    let items = stage_items(pipeline, placement, stage, model.layers);
    let tied_copy = model.tied_embeddings && !items.contains(&0);
    items.iter().map(|&item| parameters(model, item, tied_copy)).sum()
}

/// The stages at the two ends of a pipeline if the tied embedding lies on both, a copy each; none
/// if every stage with one end has the other, too.
pub(super) fn split_ends(placement: &Placement) -> Option<(u32, u32)> {
    let route = placement.routes().first()?;
    let (first, last) = (route.first()?.stage, route.last()?.stage);
    // A second route runs the other way between the same ends.
    (first != last && placement.routes().len() == 1).then_some((first, last))
}

/// The gradient groups of a plan, in the order of their highest items, highest first. Every rank
/// issues the buckets of all its groups in descending order of their lowest items, so no two ranks
/// wait for each other.
pub(super) fn gradient_groups(
    plan: &Plan,
    model: &Model,
    gradient_bytes: u32,
) -> Vec<GradientGroup> {
    let placements: Vec<Placement> =
        plan.pipelines.iter().map(|pipeline| pipeline.placement(plan.schedule)).collect();
    let copies: usize = placements.iter().map(|placement| placement.routes().len()).sum();
    if copies < 2 {
        return Vec::new();
    }
    let mut by_holders: Vec<(Vec<Holder>, Vec<Item>)> = Vec::new();
    let owners: Vec<Vec<Vec<usize>>> = plan
        .pipelines
        .iter()
        .zip(&placements)
        .map(|(pipeline, placement)| stages_of_items(pipeline, placement, model.layers))
        .collect();
    for item in (0..=model.layers + 1).rev() {
        let mut holders: Vec<Holder> = owners
            .iter()
            .enumerate()
            .flat_map(|(p, routes)| routes.iter().map(move |stages| (p, stages[item as usize])))
            .collect();
        // The copies of a bidirectional pipeline lie in no order.
        holders.sort_unstable();
        holders.dedup();
        match by_holders.iter_mut().find(|(known, _)| *known == holders) {
            Some((_, items)) => items.push(item),
            None => by_holders.push((holders, vec![item])),
        }
    }
    let tied_copy =
        model.tied_embeddings && placements.iter().any(|placement| split_ends(placement).is_some());
    by_holders
        .into_iter()
        .filter(|(holders, _)| holders.len() > 1)
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

/// By route, the stage that holds each item of a pipeline.
fn stages_of_items(pipeline: &Pipeline, placement: &Placement, layers: u32) -> Vec<Vec<usize>> {
    let of_route = |route: &Vec<Position>| {
        let mut owner = vec![0; layers as usize + 2];
        for position in route {
            let stage = position.stage as usize;
            for layer in pipeline.stages[stage].chunks[position.chunk as usize].clone() {
                if let Some(slot) = owner.get_mut(layer as usize + 1) {
                    *slot = stage;
                }
            }
        }
        owner[0] = route.first().map_or(0, |first| first.stage as usize);
        owner[layers as usize + 1] = route.last().map_or(0, |last| last.stage as usize);
        owner
    };
    placement.routes().iter().map(of_route).collect()
}

/// Packs items, in order, into buckets of at least `capacity` parameters.
fn fill(items: &[(Item, f64)], capacity: f64) -> Vec<Bucket> {
    let mut buckets = Vec::new();
    let mut open = Bucket { items: Vec::new(), parameters: 0.0 };
    for (position, &(item, size)) in items.iter().enumerate() {
        open.items.push(item);
        open.parameters += size;
        if open.parameters >= capacity || position + 1 == items.len() {
            let empty = Bucket { items: Vec::new(), parameters: 0.0 };
            buckets.push(std::mem::replace(&mut open, empty));
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
            let packed: Vec<Item> = buckets.iter().flat_map(|b| b.items.clone()).collect();
            assert_eq!(packed, (0..10).rev().collect::<Vec<_>>());
            assert!(buckets.iter().all(|b| !b.items.is_empty()));
        }
    }

    #[test]
    fn common_multiples() {
        assert_eq!(least_common_multiple(8, 4), 8);
        assert_eq!(least_common_multiple(2, 3), 6);
        assert_eq!(least_common_multiple(1, 1), 1);
    }
}

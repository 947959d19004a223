//! Gradient groups: who averages which parameters with whom.
//!
//! Every pipeline holds all parameters, but cut differently: at other layers, and over other
//! tensor-parallel degrees; under a bidirectional schedule it holds them twice. Parameters that are
//! held by the same stages form a *gradient group*.
//! A group's parameters are cut into as many *shards* as the least common multiple of its holders'
//! tensor-parallel degrees; shard `s` of `n` lies on tensor rank `s * t / n` of a holder of degree
//! `t`. One communicator a shard joins exactly the cards that hold it, so unlike degrees need no
//! second exchange, only a copy into shard order.

use motley_workload::{Model, ParameterCount, Part, Training};

use super::shape::ChunkShape;
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

/// What an item is.
pub(super) fn part(model: &Model, item: Item) -> Part {
    match item {
        0 => Part::Embedding,
        layer if layer <= model.layer_count() => model.part(layer - 1),
        _ => Part::Head,
    }
}

/// Whether an item multiplies with or looks up the word embedding, as the embedding itself does: a
/// head that is tied to it, the layer with which a decoder begins.
fn shares_words(model: &Model, item: Item) -> bool {
    match part(model, item) {
        Part::Embedding => false,
        Part::Layer(_) => model.target_entry() == Some(item - 1),
        Part::Head => model.tied_head(),
    }
}

/// Whether gradients of the word embedding are averaged.
pub(super) fn words_trained(training: &Training) -> bool {
    training.adapters.is_none()
}

/// The items that a stage holds in any of its chunks, descending, each once.
pub(super) fn stage_items(
    pipeline: &Pipeline,
    placement: &Placement,
    stage: usize,
    model_layers: u32,
) -> Vec<Item> {
    let chunks = 0..pipeline.stages[stage].chunks.len() as u32;
    let mut items: Vec<Item> = chunks
        .map(|chunk| Position { stage: stage as u32, chunk })
        .flat_map(|at| ChunkShape::of(pipeline, placement, at).items(model_layers))
        .collect();
    items.sort_unstable_by(|a, b| b.cmp(a));
    items.dedup();
    items
}

/// Whether a stage that holds these items has a copy of the word embedding for them.
fn holds_copy(model: &Model, items: &[Item]) -> bool {
    !items.contains(&0) && items.iter().any(|&item| shares_words(model, item))
}

/// Parameters that a stage holds, over all its ranks: all of them, and those that are trained.
pub(super) fn stage_parameters(
    model: &Model,
    training: &Training,
    pipeline: &Pipeline,
    placement: &Placement,
    stage: usize,
) -> [ParameterCount; 3] {
    let items = stage_items(pipeline, placement, stage, model.layer_count());
    let parts = || items.iter().map(|&item| part(model, item));
    let mut held: ParameterCount = parts().map(|part| model.held_parameters(part, training)).sum();
    let mut trained: ParameterCount =
        parts().map(|part| model.trained_parameters(part, training)).sum();
    if holds_copy(model, &items) {
        let copy = ParameterCount::dense(model.word_embedding());
        held += copy;
        if words_trained(training) {
            trained += copy;
        }
    }
    [held, trained, parts().map(|part| model.quantised_parameters(part)).sum()]
}

/// The stages of a pipeline that hold the word embedding or a copy of it, if some of them are copies
/// whose gradients must be added up; empty if not.
pub(super) fn words_exchanged(
    pipeline: &Pipeline,
    placement: &Placement,
    model: &Model,
) -> Vec<usize> {
    let mut copies = false;
    let holds = |&stage: &usize| {
        let items = stage_items(pipeline, placement, stage, model.layer_count());
        let copy = holds_copy(model, &items);
        copies |= copy;
        copy || items.contains(&0)
    };
    let holders: Vec<usize> = (0..pipeline.stages.len()).filter(holds).collect();
    if copies { holders } else { Vec::new() }
}

/// Trained parameters of an item over all pipelines' ranks: its own, and the copy of the word
/// embedding that some stage holds for its sake.
fn trained(model: &Model, training: &Training, owners: &[Owners], item: Item) -> f64 {
    let own = model.trained_parameters(part(model, item), training).total();
    // On a stage that does not hold the embedding itself.
    let apart = |routes: &Owners| {
        let with_words: Vec<usize> = routes.iter().map(|stages| stages[0]).collect();
        routes.iter().any(|stages| !with_words.contains(&stages[item as usize]))
    };
    let copied = shares_words(model, item) && owners.iter().any(apart);
    if copied && words_trained(training) { own + model.word_embedding() } else { own }
}

/// By route of a pipeline, the stage that holds each item.
type Owners = Vec<Vec<usize>>;

/// An item with its trained parameters, of all ranks or of one shard.
type Trained = (Item, f64);

/// The gradient groups of a plan, in the order of their highest items, highest first. Every rank
/// issues the buckets of all its groups in descending order of their lowest items, so no two ranks
/// wait for each other.
pub(super) fn gradient_groups(
    plan: &Plan,
    model: &Model,
    training: &Training,
) -> Vec<GradientGroup> {
    let layers = model.layer_count();
    let placements: Vec<Placement> =
        plan.pipelines.iter().map(|pipeline| pipeline.placement(plan.schedule)).collect();
    let copies: usize = placements.iter().map(|placement| placement.routes().len()).sum();
    if copies < 2 {
        return Vec::new();
    }
    let mut by_holders: Vec<(Vec<Holder>, Vec<Trained>)> = Vec::new();
    let owners: Vec<Owners> = plan
        .pipelines
        .iter()
        .zip(&placements)
        .map(|(pipeline, placement)| stages_of_items(pipeline, placement, layers))
        .collect();
    for item in (0..=layers + 1).rev() {
        let parameters = trained(model, training, &owners, item);
        if parameters == 0.0 {
            continue;
        }
        let mut holders: Vec<Holder> = owners
            .iter()
            .enumerate()
            .flat_map(|(p, routes)| routes.iter().map(move |stages| (p, stages[item as usize])))
            .collect();
        // The copies of a bidirectional pipeline lie in no order.
        holders.sort_unstable();
        holders.dedup();
        match by_holders.iter_mut().find(|(known, _)| *known == holders) {
            Some((_, items)) => items.push((item, parameters)),
            None => by_holders.push((holders, vec![(item, parameters)])),
        }
    }
    by_holders
        .into_iter()
        .filter(|(holders, _)| holders.len() > 1)
        .map(|(holders, items)| {
            let shards = holders
                .iter()
                .map(|&(p, s)| plan.pipelines[p].stages[s].tensor_parallel())
                .fold(1, least_common_multiple);
            let sized: Vec<Trained> = items
                .iter()
                .map(|&(item, parameters)| (item, parameters / f64::from(shards)))
                .collect();
            let buckets = match plan.gradient_sync {
                GradientSync::AtEnd => fill(&sized, f64::INFINITY),
                GradientSync::Overlapped { bucket } => {
                    fill(&sized, bucket.0 / f64::from(training.gradient_bytes))
                }
            };
            GradientGroup { holders, shards, buckets }
        })
        .collect()
}

/// By route, the stage that holds each item of a pipeline.
fn stages_of_items(pipeline: &Pipeline, placement: &Placement, layers: u32) -> Owners {
    let of_route = |route: &Vec<Position>| {
        let mut owner = vec![0; layers as usize + 2];
        for &position in route {
            for item in ChunkShape::of(pipeline, placement, position).items(layers) {
                owner[item as usize] = position.stage as usize;
            }
        }
        owner
    };
    placement.routes().iter().map(of_route).collect()
}

/// Packs items, in order, into buckets of at least `capacity` parameters.
fn fill(items: &[Trained], capacity: f64) -> Vec<Bucket> {
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

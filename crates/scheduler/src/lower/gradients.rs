//! Gradient groups: who averages which parameters with whom.
//!
//! Every pipeline holds all parameters, but cut differently: at other layers, and over other
//! tensor-parallel degrees. Parameters that are held by the same stages form a *gradient group*.
//! A group's parameters are cut into as many *shards* as the least common multiple of its holders'
//! tensor-parallel degrees; shard `s` of `n` lies on tensor rank `s * t / n` of a holder of degree
//! `t`. One communicator a shard joins exactly the cards that hold it, so unlike degrees need no
//! second exchange, only a copy into shard order.

use motley_workload::{Model, ParameterCount, Part, Training};

use crate::plan::{GradientSync, Pipeline, Plan, Stage};

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

/// An item with its trained parameters, of all ranks or of one shard.
type Trained = (Item, f64);

/// What an item is.
fn part(model: &Model, item: Item) -> Part {
    match item {
        0 => Part::Embedding,
        layer if layer <= model.layer_count() => model.part(layer - 1),
        _ => Part::Head,
    }
}

/// Stages of a pipeline that hold the word embedding, or a copy of it, first to last: the first, the
/// one where a decoder begins, the last if the head is tied to it.
pub(super) fn embedding_holders(pipeline: &Pipeline, model: &Model) -> Vec<usize> {
    let mut holders = vec![0];
    let entry = model.target_entry().and_then(|layer| stage_of_layer(pipeline, layer));
    let head = model.tied_head().then(|| pipeline.stages.len() - 1);
    for stage in entry.into_iter().chain(head) {
        if !holders.contains(&stage) {
            holders.push(stage);
        }
    }
    holders
}

fn stage_of_layer(pipeline: &Pipeline, layer: u32) -> Option<usize> {
    let holds = |stage: &Stage| stage.chunks.iter().any(|chunk| chunk.contains(&layer));
    pipeline.stages.iter().position(holds)
}

/// Whether the word embedding is trained, and averaged if it lies on several stages.
pub(super) fn embedding_trained(training: &Training) -> bool {
    training.adapters.is_none()
}

/// Parameters that a stage holds, over all its ranks: all of them, and those that are trained.
pub(super) fn stage_parameters(
    model: &Model,
    training: &Training,
    pipeline: &Pipeline,
    stage: usize,
) -> [ParameterCount; 2] {
    let mut parts: Vec<(Part, f64)> = pipeline.stages[stage]
        .layer_parts(model)
        .into_iter()
        .map(|(part, count)| (part, f64::from(count)))
        .collect();
    if stage == 0 {
        parts.push((Part::Embedding, 1.0));
    }
    if stage + 1 == pipeline.stages.len() {
        parts.push((Part::Head, 1.0));
    }
    let mut held: ParameterCount =
        parts.iter().map(|&(part, count)| model.held_parameters(part, training) * count).sum();
    let mut trained: ParameterCount =
        parts.iter().map(|&(part, count)| model.trained_parameters(part, training) * count).sum();
    if stage > 0 && embedding_holders(pipeline, model).contains(&stage) {
        let copy = ParameterCount::dense(model.word_embedding());
        held += copy;
        if embedding_trained(training) {
            trained += copy;
        }
    }
    [held, trained]
}

/// Trained parameters of an item over all pipelines' ranks: its own, and the copy of the word
/// embedding that some pipeline's stage holds for its sake.
fn trained(model: &Model, training: &Training, plan: &Plan, item: Item) -> f64 {
    let own = model.trained_parameters(part(model, item), training).total();
    let uses_words = match part(model, item) {
        Part::Embedding => false,
        Part::Layer(_) => model.target_entry() == Some(item - 1),
        Part::Head => model.tied_head(),
    };
    let copied = |pipeline: &Pipeline| match part(model, item) {
        Part::Head => pipeline.stages.len() > 1,
        _ => stage_of_layer(pipeline, item - 1).is_some_and(|stage| stage > 0),
    };
    if uses_words && embedding_trained(training) && plan.pipelines.iter().any(copied) {
        own + model.word_embedding()
    } else {
        own
    }
}

/// The gradient groups of a plan, in the order of their highest items, highest first. Every rank
/// issues its buckets in that order or in the order of readiness; both descend, so no two ranks
/// wait for each other.
pub(super) fn gradient_groups(
    plan: &Plan,
    model: &Model,
    training: &Training,
) -> Vec<GradientGroup> {
    if plan.pipelines.len() < 2 {
        return Vec::new();
    }
    let layers = model.layer_count();
    let gradient_bytes = training.gradient_bytes;
    let mut by_holders: Vec<(Vec<Holder>, Vec<Trained>)> = Vec::new();
    let owners: Vec<Vec<usize>> =
        (0..plan.pipelines.len()).map(|p| stage_of_items(plan, p, layers)).collect();
    for item in (0..=layers + 1).rev() {
        let parameters = trained(model, training, plan, item);
        if parameters == 0.0 {
            continue;
        }
        let holders: Vec<Holder> =
            owners.iter().enumerate().map(|(p, stages)| (p, stages[item as usize])).collect();
        match by_holders.iter_mut().find(|(known, _)| *known == holders) {
            Some((_, items)) => items.push((item, parameters)),
            None => by_holders.push((holders, vec![(item, parameters)])),
        }
    }
    by_holders
        .into_iter()
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
fn fill(items: &[Trained], capacity: f64) -> Vec<Bucket> {
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

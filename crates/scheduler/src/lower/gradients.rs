//! Gradient groups: who averages which parameters with whom, and who shares out their states.
//!
//! Every pipeline holds all parameters, but cut differently: at other layers, and over other
//! tensor-parallel degrees; under a bidirectional schedule it holds them twice, under context
//! parallelism once for each part of the sequence. Parameters that are held by the same stages form a
//! *gradient group*, experts apart from the rest, as other ranks hold a copy of these together.
//! A group's parameters are cut into as many *shards* as the least common multiple of its copies'
//! degrees; shard `s` of `n` lies on the copy's rank `s * t / n` of `t`. Experts are cut twice: into
//! runs of experts, and each of these along its matrices, so that copies that deal out and copies that
//! split have shards in common. One communicator a shard joins exactly the cards that hold it, so
//! unlike degrees need no second exchange, only a copy into shard order. Under ZeRO the members of
//! these communicators share out what belongs to the shard.

use motley_job::RankId;
use motley_workload::{Model, ParameterCount, Part, Shard, Training};

use super::copies::{Copies, CopyRanks};
use super::shape::ChunkShape;
use crate::plan::{GradientSync, Pipeline, Plan};
use crate::schedule::{Placement, Position};

/// A holder: pipeline and stage.
pub(super) type Holder = (usize, usize);

/// Parameters that the same stages hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GradientGroup {
    /// The holders, ascending.
    pub holders: Vec<Holder>,
    /// Who holds each copy, at least two.
    pub copies: Vec<CopyRanks>,
    /// Whether they are experts.
    pub experts: bool,
    /// Number of shards.
    pub shards: u32,
    /// Shards along each matrix, of those.
    pub split: u32,
    /// The parts in which gradients are averaged, in the order in which they get ready.
    pub buckets: Vec<Bucket>,
}

impl GradientGroup {
    /// Shards on each rank of a holder, by the shape of its stage.
    pub(super) fn shards_on_rank(&self, shard: &Shard) -> u32 {
        let degree = if self.experts {
            shard.expert_parallel * shard.expert_tensor_parallel
        } else {
            shard.tensor_parallel
        };
        self.shards / degree
    }

    /// The ranks that hold a shard, one of each copy, and which of the rank's own shards it is.
    pub(super) fn members(&self, shard: u32) -> impl Iterator<Item = (RankId, u32)> {
        let (run, slice) = (shard / self.split, shard % self.split);
        self.copies.iter().map(move |copy| {
            let runs = self.shards / self.split / copy.dealt();
            let slices = self.split / copy.split;
            let rank = run / runs * copy.split + slice / slices;
            (copy.ranks[rank as usize], run % runs * slices + slice % slices)
        })
    }

    /// Copies among which states are shared out, at most `group` at a time.
    pub(super) fn sharing(&self, group: Option<u32>) -> usize {
        group.map_or(self.copies.len(), |size| self.copies.len().min(size.max(1) as usize))
    }

    /// Parameters of a shard that are trained.
    pub(super) fn trained(&self) -> f64 {
        self.buckets.iter().map(|bucket| bucket.parameters).sum()
    }

    /// Parameters of a shard.
    pub(super) fn held(&self) -> f64 {
        self.buckets.iter().map(|bucket| bucket.held).sum()
    }
}

/// A part of a group's gradients, averaged in one call.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bucket {
    /// The items in it, descending.
    pub items: Vec<Item>,
    /// Parameters of one shard that are trained.
    pub parameters: f64,
    /// All parameters of one shard.
    pub held: f64,
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
/// head that is tied to it, the layer with which a decoder begins, modules for multi-token prediction.
fn shares_words(model: &Model, item: Item) -> bool {
    match part(model, item) {
        Part::Embedding => false,
        Part::Layer(_) => model.looks_words_up(item - 1),
        Part::Head => model.tied_head(),
    }
}

/// Whether gradients of the word embedding are averaged.
pub(super) fn words_trained(training: &Training) -> bool {
    training.adapters.is_none()
}

/// The items that a stage holds in any of its chunks, descending, each once.
fn stage_items(
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

/// Parameters of a stage that one of its ranks holds, before replicas share any out.
#[derive(Clone, Copy, Debug)]
pub(super) struct StageParameters {
    /// All of them.
    pub held: f64,
    /// Those that are trained.
    pub trained: f64,
    /// Those that linear layers multiply in quantised copies, on cards that do so.
    pub quantised: f64,
    /// Those of the item that has most.
    pub largest_item: f64,
}

impl StageParameters {
    pub(super) fn of(
        model: &Model,
        training: &Training,
        pipeline: &Pipeline,
        (placement, stage): (&Placement, usize),
        shard: &Shard,
    ) -> Self {
        let items = stage_items(pipeline, placement, stage, model.layer_count());
        let parts = || items.iter().map(|&item| part(model, item));
        let held_of = |part| model.held_parameters(part, training);
        let mut held: ParameterCount = parts().map(held_of).sum();
        let mut trained: ParameterCount =
            parts().map(|part| model.trained_parameters(part, training)).sum();
        if holds_copy(model, &items) {
            let copy = ParameterCount::dense(model.word_embedding());
            held += copy;
            if words_trained(training) {
                trained += copy;
            }
        }
        let quantised: ParameterCount = parts().map(|part| model.quantised_parameters(part)).sum();
        let of_items = parts().map(|part| held_of(part).per_rank(shard));
        Self {
            held: held.per_rank(shard),
            trained: trained.per_rank(shard),
            quantised: quantised.per_rank(shard),
            largest_item: of_items.fold(0.0, f64::max),
        }
    }
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

/// Parameters of an item over all ranks of a copy: all that are held, and those that are trained. With
/// its own counts the copy of the word embedding that some stage holds for its sake.
fn item_parameters(
    model: &Model,
    training: &Training,
    owners: &[Owners],
    item: Item,
) -> [ParameterCount; 2] {
    let part = part(model, item);
    let mut held = model.held_parameters(part, training);
    let mut trained = model.trained_parameters(part, training);
    // On a stage that does not hold the embedding itself.
    let apart = |routes: &Owners| {
        let with_words: Vec<usize> = routes.iter().map(|stages| stages[0]).collect();
        routes.iter().any(|stages| !with_words.contains(&stages[item as usize]))
    };
    if shares_words(model, item) && owners.iter().any(apart) {
        let copy = ParameterCount::dense(model.word_embedding());
        held += copy;
        if words_trained(training) {
            trained += copy;
        }
    }
    [held, trained]
}

/// By route of a pipeline, the stage that holds each item.
type Owners = Vec<Vec<usize>>;

/// An item with its parameters of all ranks or of one shard: those that are held, those that are
/// trained.
#[derive(Clone, Copy, Debug)]
struct Sized {
    item: Item,
    held: f64,
    trained: f64,
}

/// The gradient groups of a plan, in the order of their highest items, highest first. Every rank
/// issues the buckets of all its groups in descending order of their lowest items, so no two ranks
/// wait for each other.
pub(super) fn gradient_groups(
    plan: &Plan,
    model: &Model,
    training: &Training,
    copies: &Copies,
) -> Vec<GradientGroup> {
    let layers = model.layer_count();
    let placements: Vec<Placement> =
        plan.pipelines.iter().map(|pipeline| pipeline.placement(plan.schedule)).collect();
    let owners: Vec<Owners> = plan
        .pipelines
        .iter()
        .zip(&placements)
        .map(|(pipeline, placement)| stages_of_items(pipeline, placement, layers))
        .collect();
    // Where every expert is split as all else is, they are averaged together.
    let apart = !copies.expert_groups.is_empty();
    let mut by_holders: Vec<(Vec<Holder>, bool, Vec<Sized>)> = Vec::new();
    for item in (0..=layers + 1).rev() {
        let [held, trained] = item_parameters(model, training, &owners, item);
        let mut holders: Vec<Holder> = owners
            .iter()
            .enumerate()
            .flat_map(|(p, routes)| routes.iter().map(move |stages| (p, stages[item as usize])))
            .collect();
        // The copies of a bidirectional pipeline lie in no order.
        holders.sort_unstable();
        holders.dedup();
        let sizes = if apart {
            let of = |experts, held, trained| (experts, Sized { item, held, trained });
            vec![of(false, held.dense, trained.dense), of(true, held.experts, trained.experts)]
        } else {
            let (held, trained) = (held.total(), trained.total());
            vec![(false, Sized { item, held, trained })]
        };
        for (experts, sized) in sizes {
            let wanted = if plan.zero.stage() == 3 { sized.held } else { sized.trained };
            if wanted == 0.0 {
                continue;
            }
            let mut known = by_holders.iter_mut();
            match known.find(|(known, kind, _)| *kind == experts && *known == holders) {
                Some((_, _, items)) => items.push(sized),
                None => by_holders.push((holders.clone(), experts, vec![sized])),
            }
        }
    }
    let group = |(holders, experts, items): (Vec<Holder>, bool, Vec<Sized>)| {
        let copies =
            if experts { copies.experts(plan, &holders) } else { copies.dense(plan, &holders) };
        if copies.len() < 2 {
            return None;
        }
        let split = copies.iter().map(|copy| copy.split).fold(1, least_common_multiple);
        let runs = copies.iter().map(CopyRanks::dealt).fold(1, least_common_multiple);
        let shards = split.saturating_mul(runs);
        let share = |sized: Sized| Sized {
            held: sized.held / f64::from(shards),
            trained: sized.trained / f64::from(shards),
            ..sized
        };
        let sized: Vec<Sized> = items.into_iter().map(share).collect();
        // What is gathered and let go layer by layer is averaged so, too.
        let capacity = match (plan.zero.stage(), plan.gradient_sync) {
            (3, _) => 0.0,
            (_, GradientSync::AtEnd) => f64::INFINITY,
            (_, GradientSync::Overlapped { bucket }) => {
                bucket.0 / f64::from(training.gradient_bytes)
            }
        };
        let ends = |item: Item| {
            plan.zero.reduces_each_micro_batch()
                && holders.first().is_some_and(|&(p, s)| {
                    let chunks = &plan.pipelines[p].stages[s].chunks;
                    chunks.iter().any(|chunk| chunk.start + 1 == item)
                })
        };
        let buckets = fill(&sized, capacity, ends);
        Some(GradientGroup { holders, copies, experts, shards, split, buckets })
    };
    by_holders.into_iter().filter_map(group).collect()
}

/// By pipeline and stage, the numbers of the groups whose parameters it holds, ascending.
pub(super) fn groups_of_stages(plan: &Plan, groups: &[GradientGroup]) -> Vec<Vec<Vec<usize>>> {
    let none = |pipeline: &Pipeline| vec![Vec::new(); pipeline.stages.len()];
    let mut of_stages: Vec<Vec<Vec<usize>>> = plan.pipelines.iter().map(none).collect();
    for (number, group) in groups.iter().enumerate() {
        for &(p, s) in &group.holders {
            of_stages[p][s].push(number);
        }
    }
    of_stages
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

/// Packs items, in order, into buckets of at least `capacity` trained parameters; `ends` tells after
/// which items a bucket must end.
fn fill(items: &[Sized], capacity: f64, ends: impl Fn(Item) -> bool) -> Vec<Bucket> {
    let empty = || Bucket { items: Vec::new(), parameters: 0.0, held: 0.0 };
    let mut buckets = Vec::new();
    let mut open = empty();
    for (position, sized) in items.iter().enumerate() {
        open.items.push(sized.item);
        open.parameters += sized.trained;
        open.held += sized.held;
        let last = position + 1 == items.len();
        if open.parameters >= capacity || last || ends(sized.item) {
            buckets.push(std::mem::replace(&mut open, empty()));
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
        let of = |item: Item| {
            let trained = 1.0 + f64::from(item);
            Sized { item, held: 2.0 * trained, trained }
        };
        let items: Vec<Sized> = (0..10).rev().map(of).collect();
        for capacity in [0.0, 0.5, 3.0, 7.5, 100.0, f64::INFINITY] {
            for end in [None, Some(4)] {
                let buckets = fill(&items, capacity, |item| Some(item) == end);
                let sum = |of: fn(&Bucket) -> f64| buckets.iter().map(of).sum::<f64>();
                assert!((sum(|bucket| bucket.parameters) - 55.0).abs() < 1e-12);
                assert!((sum(|bucket| bucket.held) - 110.0).abs() < 1e-12);
                let packed: Vec<Item> = buckets.iter().flat_map(|b| b.items.clone()).collect();
                assert_eq!(packed, (0..10).rev().collect::<Vec<_>>());
                assert!(buckets.iter().all(|b| !b.items.is_empty()));
                if let Some(end) = end {
                    assert!(buckets.iter().any(|bucket| bucket.items.last() == Some(&end)));
                }
            }
        }
    }

    #[test]
    fn common_multiples() {
        assert_eq!(least_common_multiple(8, 4), 8);
        assert_eq!(least_common_multiple(2, 3), 6);
        assert_eq!(least_common_multiple(1, 1), 1);
    }
}

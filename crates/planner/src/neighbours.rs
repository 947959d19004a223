//! Plans that differ from one in a single decision, made for all pipelines of a shape at once.

use std::collections::BTreeSet;
use std::ops::Range;

use motley_scheduler::{ParameterGather, Plan, Reduction, Sharded, Shares, Stage, Zero};
use motley_topology::GpuId;
use motley_workload::Recompute;

use crate::pool::Pool;

/// Optimizer states shared out.
pub(crate) const OPTIMIZER: Zero = Zero {
    sharded: Sharded::Optimizer(ParameterGather::AtEnd),
    group: None,
    shares: Shares::Equal,
    reduction: Reduction::Scattered,
};

/// Pipelines that are alike but for their cards' numbers, in plan order.
pub(crate) fn classes(plan: &Plan, pool: &Pool, with_batches: bool) -> Vec<Vec<usize>> {
    let alike = |a: usize, b: usize| {
        let (a, b) = (&plan.pipelines[a], &plan.pipelines[b]);
        a.micro_batch_size == b.micro_batch_size
            && (!with_batches || a.micro_batches == b.micro_batches)
            && a.stages.len() == b.stages.len()
            && a.stages.iter().zip(&b.stages).all(|(a, b)| {
                a.chunks == b.chunks
                    && a.recompute == b.recompute
                    && a.gpus.len() == b.gpus.len()
                    && a.gpus.first().map(|&gpu| pool.type_of(gpu))
                        == b.gpus.first().map(|&gpu| pool.type_of(gpu))
            })
    };
    let mut classes: Vec<Vec<usize>> = Vec::new();
    for pipeline in 0..plan.pipelines.len() {
        match classes.iter_mut().find(|class| alike(class[0], pipeline)) {
            Some(class) => class.push(pipeline),
            None => classes.push(vec![pipeline]),
        }
    }
    classes
}

/// All of them, in a fixed order; not all are sound.
pub(crate) fn neighbours(plan: &Plan, pool: &Pool) -> Vec<Plan> {
    let mut found = Vec::new();
    let shapes = classes(plan, pool, false);
    layers(plan, &shapes, &mut found);
    if shapes.len() > 1 {
        // Everybody is cut alike, or nobody is.
        let all: Vec<usize> = (0..plan.pipelines.len()).collect();
        let depth = plan.pipelines[0].stages.len();
        if plan.pipelines.iter().all(|pipeline| pipeline.stages.len() == depth) {
            layers(plan, &[all], &mut found);
        }
    }
    batches(plan, pool, &mut found);
    recomputes(plan, &shapes, &mut found);
    sharing(plan, &mut found);
    sizes(plan, &mut found);
    dropped(plan, pool, &mut found);
    order(plan, &shapes, &mut found);
    depths(plan, pool, &shapes, &mut found);
    found
}

/// A layer or two moved over a boundary between stages.
fn layers(plan: &Plan, shapes: &[Vec<usize>], found: &mut Vec<Plan>) {
    for class in shapes {
        let stages = plan.pipelines[class[0]].stages.len();
        for boundary in 1..stages {
            for change in [-1_i64, 1, -2, 2] {
                let mut changed = plan.clone();
                let mut sound = true;
                for &pipeline in class {
                    let stages = &mut changed.pipelines[pipeline].stages;
                    let at = &mut stages[boundary - 1].chunks[0];
                    let moved = i64::from(at.end) + change;
                    sound &= moved >= i64::from(at.start);
                    at.end = moved.max(0) as u32;
                    let next = &mut stages[boundary].chunks[0];
                    sound &= moved <= i64::from(next.end);
                    next.start = moved.max(0) as u32;
                }
                if sound {
                    found.push(changed);
                }
            }
        }
    }
}

/// Micro-batches moved from one pipeline, or from all of its class, to another class.
fn batches(plan: &Plan, pool: &Pool, found: &mut Vec<Plan>) {
    let classes = classes(plan, pool, true);
    for (a, from) in classes.iter().enumerate() {
        for (b, to) in classes.iter().enumerate() {
            if a == b || found.len() > 400 {
                continue;
            }
            let giver = &plan.pipelines[from[0]];
            let taker = &plan.pipelines[to[0]];
            if giver.micro_batch_size != taker.micro_batch_size {
                continue;
            }
            // One alone, and as many as each of the smaller class can give or take.
            let whole = from.len().max(to.len());
            for moved in [1, whole.min(plan.pipelines.len())] {
                let mut changed = plan.clone();
                for step in 0..moved {
                    changed.pipelines[from[step % from.len()]].micro_batches =
                        changed.pipelines[from[step % from.len()]].micro_batches.wrapping_sub(1);
                    changed.pipelines[to[step % to.len()]].micro_batches += 1;
                }
                if changed
                    .pipelines
                    .iter()
                    .all(|pipeline| (1..u32::MAX / 2).contains(&pipeline.micro_batches))
                {
                    found.push(changed);
                }
                if whole == 1 {
                    break;
                }
            }
        }
    }
}

/// What one stage of a class computes again, and what all stages do.
fn recomputes(plan: &Plan, shapes: &[Vec<usize>], found: &mut Vec<Plan>) {
    let choices = [Recompute::None, Recompute::Selective, Recompute::Full];
    for choice in choices {
        let mut all = plan.clone();
        all.pipelines
            .iter_mut()
            .flat_map(|pipeline| &mut pipeline.stages)
            .for_each(|stage| stage.recompute = choice);
        found.push(all);
        for class in shapes {
            for stage in 0..plan.pipelines[class[0]].stages.len() {
                if plan.pipelines[class[0]].stages[stage].recompute == choice {
                    continue;
                }
                let mut changed = plan.clone();
                for &pipeline in class {
                    changed.pipelines[pipeline].stages[stage].recompute = choice;
                }
                found.push(changed);
            }
        }
    }
}

/// What replicas share out.
fn sharing(plan: &Plan, found: &mut Vec<Plan>) {
    let whole = Sharded::Parameters { prefetch: 1, reshard_after_forward: true };
    for zero in [
        Zero::NONE,
        OPTIMIZER,
        Zero { sharded: Sharded::Gradients(ParameterGather::AtEnd), ..OPTIMIZER },
        Zero { sharded: whole, ..OPTIMIZER },
    ] {
        if zero != plan.zero && plan.pipelines.len() > 1 {
            found.push(Plan { zero, ..plan.clone() });
        }
    }
}

/// Micro-batches half or twice as large.
fn sizes(plan: &Plan, found: &mut Vec<Plan>) {
    let mut twice = plan.clone();
    let mut half = plan.clone();
    let mut sound = [true; 2];
    for pipeline in &mut twice.pipelines {
        sound[0] &= pipeline.micro_batches.is_multiple_of(2);
        pipeline.micro_batches /= 2;
        pipeline.micro_batch_size *= 2;
    }
    for pipeline in &mut half.pipelines {
        sound[1] &= pipeline.micro_batch_size.is_multiple_of(2);
        pipeline.micro_batches *= 2;
        pipeline.micro_batch_size /= 2;
    }
    found.extend([twice, half].into_iter().zip(sound).filter(|(_, sound)| *sound).map(|(p, _)| p));
}

/// Without one pipeline of a class, or without all of it: its cards stay idle, its micro-batches go to
/// the others, to whoever has fewest for what it already does.
fn dropped(plan: &Plan, pool: &Pool, found: &mut Vec<Plan>) {
    let classes = classes(plan, pool, false);
    for class in &classes {
        let mut tried = 0;
        for gone in [vec![class[class.len() - 1]], class.clone()] {
            if gone.len() == plan.pipelines.len() || gone.len() == tried {
                continue;
            }
            tried = gone.len();
            let size = plan.pipelines[gone[0]].micro_batch_size;
            let mut samples: u64 =
                gone.iter().map(|&pipeline| plan.pipelines[pipeline].sequences()).sum();
            let mut changed = plan.clone();
            let mut kept: Vec<bool> = vec![true; plan.pipelines.len()];
            for &pipeline in &gone {
                kept[pipeline] = false;
            }
            let mut keeps = kept.iter();
            changed.pipelines.retain(|_| keeps.next().copied().unwrap_or(true));
            if changed.pipelines.iter().any(|pipeline| pipeline.micro_batch_size != size) {
                continue;
            }
            let before: Vec<u32> =
                changed.pipelines.iter().map(|pipeline| pipeline.micro_batches).collect();
            while samples > 0 {
                let next = (0..before.len()).min_by(|&a, &b| {
                    let load = |own: usize| {
                        f64::from(changed.pipelines[own].micro_batches + 1) / f64::from(before[own])
                    };
                    load(a).total_cmp(&load(b))
                });
                let Some(next) = next else { break };
                changed.pipelines[next].micro_batches += 1;
                samples = samples.saturating_sub(u64::from(size));
            }
            found.push(changed);
        }
    }
}

/// Two stages of a class with each other's cards, which take their layers along.
fn order(plan: &Plan, shapes: &[Vec<usize>], found: &mut Vec<Plan>) {
    for class in shapes {
        let stages = plan.pipelines[class[0]].stages.len();
        for first in 0..stages {
            let furthest = if stages <= SHALLOW { stages } else { first + 2 };
            for second in first + 1..furthest.min(stages) {
                let mut changed = plan.clone();
                let mut differs = false;
                for &pipeline in class {
                    let stages = &mut changed.pipelines[pipeline].stages;
                    let counts = lengths(stages);
                    differs |= stages[first].gpus.len() != stages[second].gpus.len()
                        || counts[first] != counts[second];
                    stages.swap(first, second);
                    let mut counts = counts;
                    counts.swap(first, second);
                    recut(stages, &counts);
                }
                if differs {
                    found.push(changed);
                }
            }
        }
    }
}

/// Pipelines that are deeper have neighbouring stages swapped alone.
const SHALLOW: usize = 8;

/// A stage less in each pipeline of a class, its layers to a neighbour; or one more, on cards that are
/// idle, with a layer of a neighbour or none at the ends.
fn depths(plan: &Plan, pool: &Pool, shapes: &[Vec<usize>], found: &mut Vec<Plan>) {
    for class in shapes {
        let stages = plan.pipelines[class[0]].stages.len();
        for gone in 0..stages {
            for heir in [gone.checked_sub(1), Some(gone + 1).filter(|heir| *heir < stages)] {
                let Some(heir) = heir else { continue };
                let mut changed = plan.clone();
                for &pipeline in class {
                    let stages = &mut changed.pipelines[pipeline].stages;
                    let mut counts = lengths(stages);
                    counts[heir] += counts[gone];
                    counts.remove(gone);
                    stages.remove(gone);
                    recut(stages, &counts);
                }
                found.push(changed);
            }
        }
        let mut free = pool.types.clone();
        let used: BTreeSet<GpuId> = plan.gpus().collect();
        for kind in &mut free {
            kind.nodes.iter_mut().for_each(|node| node.retain(|gpu| !used.contains(gpu)));
        }
        let degree = plan.pipelines[class[0]].stages[0].gpus.len() as u32;
        for kind in &free {
            let units = kind.units(degree);
            if units.len() < class.len() {
                continue;
            }
            for place in 0..=stages {
                for donor in [None, place.checked_sub(1), Some(place).filter(|p| *p < stages)] {
                    if donor.is_none() && place > 0 && place < stages {
                        continue;
                    }
                    let mut changed = plan.clone();
                    let mut sound = true;
                    for (&pipeline, unit) in class.iter().zip(&units) {
                        let stages = &mut changed.pipelines[pipeline].stages;
                        let mut counts = lengths(stages);
                        if let Some(donor) = donor {
                            sound &= counts[donor] > 0;
                            counts[donor] = counts[donor].saturating_sub(1);
                        }
                        counts.insert(place, u32::from(donor.is_some()));
                        let mut stage = stages[0].clone();
                        stage.gpus.clone_from(unit);
                        stages.insert(place, stage);
                        recut(stages, &counts);
                    }
                    if sound {
                        found.push(changed);
                    }
                }
            }
        }
    }
}

/// Layers of each stage.
fn lengths(stages: &[Stage]) -> Vec<u32> {
    stages.iter().map(Stage::layer_count).collect()
}

/// Gives stages so many layers each, one behind the other.
fn recut(stages: &mut [Stage], counts: &[u32]) {
    let mut start = 0;
    for (stage, count) in stages.iter_mut().zip(counts) {
        let end = start + count;
        stage.chunks = vec![Range { start, end }];
        start = end;
    }
}

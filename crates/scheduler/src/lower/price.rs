//! What each stage of a plan takes and holds by itself: for whoever compares plans without replaying
//! them.

use motley_collectives::Layouts;
use motley_job::JobBuilder;
use motley_topology::{Cluster, RouteError};
use motley_units::{Bytes, Time};

use super::communicators::words_shared;
use super::copies::Copies;
use super::costs::{calls, hop, slowest};
use super::gradients::{gradient_groups, groups_of_stages};
use super::links;
use super::memory::stage_memory;
use super::names::{Names, streams};
use super::programs::Programs;
use super::work::Held;
use crate::memory_course::MemoryCourse;
use crate::plan::Plan;
use crate::schedule::Pass;
use crate::times::KernelTimes;

/// What a stage takes and holds: its slowest and its fullest rank.
#[derive(Clone, Debug, PartialEq)]
pub struct StagePrice {
    /// Its forward pass of a micro-batch, with what its process groups exchange when nothing else
    /// moves; of all chunks together.
    pub forward: Time,
    /// The backward pass, with what is computed again.
    pub backward: Time,
    /// What a micro-batch's activations take to the next stage; nothing behind the last.
    pub hop: Time,
    /// The memory of the rank with the least room, over an iteration.
    pub memory: MemoryCourse,
    /// The memory of that rank's card.
    pub capacity: Bytes,
}

/// Prices every stage of a plan by itself, by pipeline. The plan need not be sound as a whole: cards
/// may be missing or used twice, and batches need not add up.
///
/// # Errors
/// If two cards that must communicate have no route.
pub fn price(
    plan: &Plan,
    cluster: &Cluster,
    times: &KernelTimes,
    layouts: &mut Layouts,
) -> Result<Vec<Vec<StagePrice>>, RouteError> {
    let mut job = JobBuilder::new(links(cluster), streams::count(plan));
    let chunks = plan.pipelines.iter().flat_map(|p| &p.stages).map(|stage| stage.chunks.len());
    let names = Names::new(&mut job, chunks.max().unwrap_or(1) as u32);
    let copies = Copies::new(plan);
    let groups = gradient_groups(plan, times.model(), times.training(), &copies);
    let groups_of = groups_of_stages(plan, &groups);
    let mut programs = Programs::new(times, names);
    let held = Held::new(plan, (cluster, times), (&copies, &groups, &groups_of));
    let mut prices = Vec::with_capacity(plan.pipelines.len());
    for (p, pipeline) in plan.pipelines.iter().enumerate() {
        let placement = pipeline.placement(plan.schedule);
        let words = words_shared(pipeline, &placement, times.model(), times.training());
        let works = held.pipeline((&placement, &words), p, &mut programs);
        let stages = held.priced(p, &works, &programs);
        let mut of_pipeline = Vec::with_capacity(stages.len());
        for (s, stage) in stages.iter().enumerate() {
            let calls = calls(stage, (cluster, times), layouts)?;
            let passes = |pass| {
                (0..stage.shape.chunks.len() as u32)
                    .map(|chunk| slowest(stage, &calls, pass, chunk))
                    .sum()
            };
            let next = pipeline.stages.get(s + 1);
            let apart = next.filter(|next| next.gpus != pipeline.stages[s].gpus);
            let hop = match apart.and_then(|next| next.chunks.first()) {
                Some(layers) => {
                    let machine = (cluster, times, &mut *layouts);
                    hop((pipeline, &stages), [s, s + 1], layers.start, machine)?
                }
                None => Time::ZERO,
            };
            let courses = stage
                .ranks
                .iter()
                .map(|rank| (stage_memory(rank.shape, rank.kind, times), times.memory(rank.kind)));
            let room =
                |(course, capacity): &(MemoryCourse, Bytes)| capacity.0 - course.idle.total().0;
            let (memory, capacity) =
                courses.min_by(|a, b| room(a).total_cmp(&room(b))).unwrap_or_default();
            of_pipeline.push(StagePrice {
                forward: passes(Pass::Forward),
                backward: passes(Pass::Backward),
                hop,
                memory,
                capacity,
            });
        }
        prices.push(of_pipeline);
    }
    Ok(prices)
}

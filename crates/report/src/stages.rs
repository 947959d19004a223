//! The stages of a plan, one row for each stage of each class of pipelines.

use motley_job::RankId;
use motley_scheduler::{ContextParallel, Dispatch, Offload, Stage};
use motley_workload::ContextExchange;
use serde::Serialize;

use crate::fit::need_and_capacity;
use crate::plan_summary::{Classes, card_types};
use crate::rank_times::RankTimes;
use crate::{MemoryParts, MemoryPeak, Run, Subject};

/// A stage of the pipelines of one class; times are means over their cards.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageRow {
    /// Index into [`crate::PlanSummary::pipeline_classes`].
    pub pipeline_class_index: u32,
    /// The stage, counted from zero.
    pub stage_index: u32,
    /// Types of its cards by catalogue id.
    pub cards: Vec<String>,
    /// Tensor-parallel degree.
    pub tensor_parallel_count: u32,
    /// Context-parallel degree.
    pub context_parallel_count: u32,
    /// How tokens meet those of other context-parallel ranks: `ring`, `all-gather` or `all-to-all`; none
    /// if the stage has whole sequences.
    pub context_exchange: Option<&'static str>,
    /// Expert-parallel degree.
    pub expert_parallel_count: u32,
    /// Ranks that split each expert.
    pub expert_tensor_parallel_count: u32,
    /// How tokens travel to the experts of other ranks: `all-to-all` or `forwarded`; none if they do
    /// not.
    pub expert_dispatch: Option<&'static str>,
    /// Layers of all its chunks.
    pub layer_count: u32,
    /// Model chunks, more than one under the interleaved schedule.
    pub chunk_count: u32,
    /// `none`, `selective`, `full`, or names of modules: `layernorm mla_up_proj`.
    pub recompute: String,
    /// What lies in the memory of hosts: `optimizer`, `parameters`, `activations`.
    pub offload: Vec<&'static str>,
    /// Computing.
    pub compute_s: f64,
    /// Computing, of the card that computes longest.
    pub slowest_compute_s: f64,
    /// Standing still while data moves.
    pub exposed_s: f64,
    /// Standing still for peers at collectives.
    pub member_wait_s: f64,
    /// Standing still for other stages and the iteration's end.
    pub dependency_wait_s: f64,
    /// Memory of the card that is nearest to its capacity or furthest above.
    pub peak_memory_bytes: f64,
    /// What that card has.
    pub memory_capacity_bytes: f64,
    /// What that card needs it for.
    pub memory: MemoryParts,
    /// What of it who counts, and when it is.
    pub memory_peak: MemoryPeak,
    /// No card of the stage runs out of memory.
    pub fits: bool,
}

fn exchange_name(context: ContextParallel) -> Option<&'static str> {
    (context.degree > 1).then_some(match context.exchange {
        ContextExchange::Ring => "ring",
        ContextExchange::AllGather => "all-gather",
        ContextExchange::AllToAll => "all-to-all",
    })
}

fn dispatch_name(stage: &Stage) -> Option<&'static str> {
    (stage.expert_degrees().0 > 1).then_some(match stage.experts.dispatch {
        Dispatch::AllToAll => "all-to-all",
        Dispatch::Forwarded => "forwarded",
    })
}

fn offload_names(offload: Offload) -> Vec<&'static str> {
    let names = [
        (offload.optimizer, "optimizer"),
        (offload.parameters, "parameters"),
        (offload.activations, "activations"),
    ];
    names.into_iter().filter(|(lies_there, _)| *lies_there).map(|(_, name)| name).collect()
}

/// What is summed up for a row.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    ranks: u32,
    times: RankTimes,
    slowest: f64,
    /// The rank nearest to its capacity, with its share of it.
    fullest: Option<(RankId, f64)>,
}

impl StageRow {
    pub(crate) fn list(subject: &Subject, classes: &Classes, runs: &[Run]) -> Vec<Self> {
        let mut first_row = Vec::with_capacity(classes.list.len());
        let mut rows = 0;
        for class in &classes.list {
            first_row.push(rows);
            rows += class.stage_count as usize;
        }
        let mut sums = vec![Sum::default(); rows];
        for rank in (0..subject.lowered.places.len()).map(|rank| RankId(rank as u32)) {
            let place = subject.lowered.place(rank);
            let class = classes.of_pipeline[place.pipeline as usize];
            let sum = &mut sums[first_row[class] + place.stage as usize];
            let times = RankTimes::of(runs, rank);
            sum.ranks += 1;
            sum.times.add(times);
            sum.slowest = sum.slowest.max(times.compute);
            let (need, capacity) = need_and_capacity(subject, rank);
            if sum.fullest.is_none_or(|(_, share)| need / capacity > share) {
                sum.fullest = Some((rank, need / capacity));
            }
        }
        let mut list = Vec::with_capacity(rows);
        for (c, class) in classes.list.iter().enumerate() {
            let pipeline = &subject.plan.pipelines[class.first_pipeline_index as usize];
            for (s, stage) in pipeline.stages.iter().enumerate() {
                let sum = sums[first_row[c] + s];
                // A stage without cards has no ranks and nothing to say.
                let Some((fullest, share)) = sum.fullest else { continue };
                let (need, capacity) = need_and_capacity(subject, fullest);
                let mean = sum.times.over(f64::from(sum.ranks));
                list.push(Self {
                    pipeline_class_index: c as u32,
                    stage_index: s as u32,
                    cards: card_types(subject.cluster, &stage.gpus),
                    tensor_parallel_count: stage.tensor_parallel(),
                    context_parallel_count: stage.context.degree,
                    context_exchange: exchange_name(stage.context),
                    expert_parallel_count: stage.expert_degrees().0,
                    expert_tensor_parallel_count: stage.expert_degrees().1,
                    expert_dispatch: dispatch_name(stage),
                    layer_count: stage.layer_count(),
                    chunk_count: stage.chunks.len() as u32,
                    recompute: stage.recompute.to_string(),
                    offload: offload_names(stage.offload),
                    compute_s: mean.compute,
                    slowest_compute_s: sum.slowest,
                    exposed_s: mean.exposed,
                    member_wait_s: mean.members,
                    dependency_wait_s: mean.dependency,
                    peak_memory_bytes: need,
                    memory_capacity_bytes: capacity,
                    memory: MemoryParts::from(&subject.lowered.memory[fullest.0 as usize]),
                    memory_peak: MemoryPeak::of(subject, fullest),
                    fits: share <= 1.0,
                });
            }
        }
        list
    }
}

//! The plan in a form to be read: pipelines of equal shape together.

use motley_scheduler::{GradientSync, Pipeline, Shares};
use motley_topology::{Cluster, GpuId};
use serde::Serialize;

use crate::Subject;

/// Who runs what.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanSummary {
    /// What the field calls it: `1F1B`, `ZB-H1`, `DualPipe`, ...
    pub schedule: &'static str,
    /// Data-parallel replicas.
    pub pipeline_count: u32,
    /// Cards that the plan uses.
    pub used_card_count: u32,
    /// Cards that it leaves idle.
    pub idle_card_count: u32,
    /// Norms and residuals are split along the sequence.
    pub sequence_parallel: bool,
    /// Weight gradients are computed while input gradients are reduced.
    pub overlap_weight_gradient: bool,
    /// What is gathered and added up around products travels beside these.
    pub overlap_tensor: bool,
    /// Bytes of a bucket if gradients are averaged while the backward pass runs, none if after it.
    pub gradient_bucket_bytes: Option<f64>,
    /// What replicas share out: 0 nothing, 1 optimizer states, 2 gradients too, 3 parameters too.
    pub zero_stage_index: u32,
    /// Ranks that share one copy, if not all that hold the same parameters.
    pub zero_group_count: Option<u32>,
    /// How much of a copy each takes: `equal`, or `memory`, in proportion to that of the cards; none if
    /// nothing is shared out.
    pub zero_shares: Option<&'static str>,
    /// Pipelines of equal shape.
    pub pipeline_classes: Vec<PipelineClass>,
}

/// Pipelines of equal shape: same stages on the same types of cards, same micro-batches.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PipelineClass {
    /// How many.
    pub pipeline_count: u32,
    /// The first of them in the plan.
    pub first_pipeline_index: u32,
    /// Micro-batches of each in an iteration.
    pub micro_batch_count: u32,
    /// Sequences of a micro-batch.
    pub sequences_per_micro_batch_count: u32,
    /// Stages of each.
    pub stage_count: u32,
    /// Types of its cards by catalogue id, in the order in which a micro-batch meets them first.
    pub cards: Vec<String>,
}

/// The classes of a plan's pipelines.
#[derive(Debug)]
pub(crate) struct Classes {
    pub(crate) list: Vec<PipelineClass>,
    /// By pipeline.
    pub(crate) of_pipeline: Vec<usize>,
}

impl Classes {
    pub(crate) fn new(subject: &Subject) -> Self {
        let pipelines = &subject.plan.pipelines;
        let mut classes =
            Self { list: Vec::new(), of_pipeline: Vec::with_capacity(pipelines.len()) };
        for (p, pipeline) in pipelines.iter().enumerate() {
            let known = classes.list.iter().position(|class| {
                let first = &pipelines[class.first_pipeline_index as usize];
                alike(subject.cluster, first, pipeline)
            });
            let class = known.unwrap_or_else(|| {
                classes.list.push(PipelineClass {
                    pipeline_count: 0,
                    first_pipeline_index: p as u32,
                    micro_batch_count: pipeline.micro_batches,
                    sequences_per_micro_batch_count: pipeline.micro_batch_size,
                    stage_count: pipeline.stages.len() as u32,
                    cards: card_types(
                        subject.cluster,
                        pipeline.stages.iter().flat_map(|stage| &stage.gpus),
                    ),
                });
                classes.list.len() - 1
            });
            classes.list[class].pipeline_count += 1;
            classes.of_pipeline.push(class);
        }
        classes
    }
}

/// The types among some cards by catalogue id, each once, in order of appearance.
pub(crate) fn card_types<'a>(
    cluster: &Cluster,
    gpus: impl IntoIterator<Item = &'a GpuId>,
) -> Vec<String> {
    let mut types: Vec<String> = Vec::new();
    for &gpu in gpus {
        let id = &cluster.device(gpu).id;
        if !types.contains(id) {
            types.push(id.clone());
        }
    }
    types
}

fn alike(cluster: &Cluster, a: &Pipeline, b: &Pipeline) -> bool {
    let device = |gpu: &GpuId| &cluster.device(*gpu).id;
    a.micro_batches == b.micro_batches
        && a.micro_batch_size == b.micro_batch_size
        && a.stages.len() == b.stages.len()
        && a.stages.iter().zip(&b.stages).all(|(a, b)| {
            a.chunks == b.chunks
                && a.recompute == b.recompute
                && a.offload == b.offload
                && a.context == b.context
                && a.experts == b.experts
                && a.gpus.len() == b.gpus.len()
                && a.gpus.iter().zip(&b.gpus).all(|(a, b)| device(a) == device(b))
        })
}

impl PlanSummary {
    pub(crate) fn new(subject: &Subject, classes: &Classes) -> Self {
        let plan = subject.plan;
        let used = subject.lowered.places.len() as u32;
        Self {
            schedule: plan.schedule.name(),
            pipeline_count: plan.pipelines.len() as u32,
            used_card_count: used,
            idle_card_count: subject.cluster.gpu_count().saturating_sub(used),
            sequence_parallel: plan.sequence_parallel,
            overlap_weight_gradient: plan.overlap_weight_gradient,
            overlap_tensor: plan.overlap_tensor,
            gradient_bucket_bytes: match plan.gradient_sync {
                GradientSync::AtEnd => None,
                GradientSync::Overlapped { bucket } => Some(bucket.0),
            },
            zero_stage_index: plan.zero.stage(),
            zero_group_count: plan.zero.group,
            zero_shares: (plan.zero.stage() > 0).then_some(match plan.zero.shares {
                Shares::Equal => "equal",
                Shares::Memory => "memory",
            }),
            pipeline_classes: classes.list.clone(),
        }
    }
}

//! Whether a plan can run at all: on this cluster, for this model, with this batch.

use std::collections::BTreeMap;

use motley_hardware::Catalog;
use motley_topology::{Cluster, GpuId};
use motley_workload::{
    Model, Shard, Training, card_path, sequence_parallel_limit, tensor_parallel_limits,
};

use crate::error::{PlanError, PlanPath};
use crate::plan::{Pipeline, Plan};
use crate::schedule::{Placement, Refused, Schedule};

/// No pipeline has more micro-batches: their numbers must fit timelines' 16-bit tags.
pub const MAX_MICRO_BATCHES: u32 = 65_534;

/// Everything that is wrong with a plan, in the order of the plan.
///
/// Layers must be covered once and in order by each route of each pipeline; the schedule must be
/// able to run its stages and micro-batches; cards must exist and be used once;
/// the pipelines' sequences must sum to the global batch; tensor-parallel degrees must divide what
/// they split; every card must be able to run the training's precision and attention, or the
/// fallback that the training names.
pub fn check_plan(
    plan: &Plan,
    cluster: &Cluster,
    catalog: &Catalog,
    model: &Model,
    training: &Training,
    global_batch: u32,
) -> Vec<PlanError> {
    let mut errors = Vec::new();
    if plan.pipelines.is_empty() {
        errors.push(PlanError::new(
            PlanPath::Field("pipelines"),
            "a plan needs at least one pipeline",
        ));
    }
    let sequences: u64 = plan.pipelines.iter().map(Pipeline::sequences).sum();
    if sequences != u64::from(global_batch) && !plan.pipelines.is_empty() {
        errors.push(
            PlanError::new(
                PlanPath::Field("pipelines"),
                format!(
                    "the pipelines work through {sequences} sequences (micro_batches x micro_batch_size), the global batch has {global_batch}"
                ),
            )
            .help(format!("change micro-batches, or set training.global_batch to {sequences}")),
        );
    }
    for (p, pipeline) in plan.pipelines.iter().enumerate() {
        check_pipeline(plan, p, pipeline, model, &mut errors);
    }
    check_cards(plan, cluster, &mut errors);
    check_sharding(plan, model, training, &mut errors);
    errors.extend(check_precision(cluster, catalog, training, plan.gpus()));
    errors
}

fn check_pipeline(
    plan: &Plan,
    p: usize,
    pipeline: &Pipeline,
    model: &Model,
    errors: &mut Vec<PlanError>,
) {
    if pipeline.micro_batches == 0 || pipeline.micro_batches > MAX_MICRO_BATCHES {
        errors.push(PlanError::new(
            PlanPath::PipelineField(p, "micro_batches"),
            format!("{} micro-batches; expected 1 to {MAX_MICRO_BATCHES}", pipeline.micro_batches),
        ));
    }
    if pipeline.micro_batch_size == 0 {
        errors.push(PlanError::new(
            PlanPath::PipelineField(p, "micro_batch_size"),
            "a micro-batch needs at least one sequence",
        ));
    }
    let Some(first) = pipeline.stages.first() else {
        errors.push(PlanError::new(
            PlanPath::PipelineField(p, "stages"),
            "a pipeline needs at least one stage",
        ));
        return;
    };
    let chunks = first.chunks.len();
    if !check_chunks(p, pipeline, chunks, errors) {
        return;
    }
    if pipeline.micro_batches == 0 {
        return;
    }
    let stages = pipeline.stages.len() as u32;
    check_schedule(plan.schedule, p, pipeline, chunks as u32, errors);
    if plan.schedule.chunks().is_none_or(|expected| expected == chunks as u32) {
        let placement = plan.schedule.placement(stages, chunks as u32);
        check_coverage(p, pipeline, &placement, model.layer_count(), errors);
    }
}

/// Every stage must have as many chunks as the first; whether all have.
fn check_chunks(p: usize, pipeline: &Pipeline, chunks: usize, errors: &mut Vec<PlanError>) -> bool {
    let mut alike = true;
    for (s, stage) in pipeline.stages.iter().enumerate() {
        let path = || PlanPath::StageField(p, s, "layers");
        if stage.chunks.is_empty() || stage.chunks.iter().any(|range| range.start > range.end) {
            errors.push(PlanError::new(path(), "a stage or chunk without layers"));
        }
        if stage.chunks.len() != chunks {
            errors.push(PlanError::new(
                path(),
                format!(
                    "{} model chunks, the pipeline's first stage has {chunks}",
                    stage.chunks.len()
                ),
            ));
        }
        alike &= stage.chunks.len() == chunks && chunks > 0;
    }
    alike
}

/// What the schedule cannot run.
fn check_schedule(
    schedule: Schedule,
    p: usize,
    pipeline: &Pipeline,
    chunks: u32,
    errors: &mut Vec<PlanError>,
) {
    let stages = pipeline.stages.len() as u32;
    for refusal in schedule.refusals(stages, chunks, pipeline.micro_batches) {
        let path = match refusal.about {
            Refused::Stages => PlanPath::PipelineField(p, "stages"),
            Refused::Chunks => PlanPath::StageField(p, 0, "layers"),
            Refused::MicroBatches => PlanPath::PipelineField(p, "micro_batches"),
        };
        errors.push(PlanError::new(path, refusal.message).help(refusal.help));
    }
}

/// The virtual stages of each route, in visiting order, must cover `0..layers` without gap or
/// overlap. The first and the last may have no layers: they have the embedding and the head.
fn check_coverage(
    p: usize,
    pipeline: &Pipeline,
    placement: &Placement,
    layers: u32,
    errors: &mut Vec<PlanError>,
) {
    for (r, route) in placement.routes().iter().enumerate() {
        let way = match r {
            0 => "",
            _ => " on the way back",
        };
        let mut next = 0;
        let mut broken = false;
        for (place, position) in route.iter().enumerate() {
            let s = position.stage as usize;
            let range = &pipeline.stages[s].chunks[position.chunk as usize];
            if range.is_empty() && place > 0 && place + 1 < route.len() {
                errors.push(
                    PlanError::new(
                        PlanPath::StageField(p, s, "layers"),
                        "a stage or chunk without layers",
                    )
                    .help(
                        "only the first and the last one, with embedding and head, may have none",
                    ),
                );
                broken = true;
                break;
            }
            if range.start != next {
                let what = if range.start < next { "are held twice" } else { "are missing" };
                let (from, to) = (range.start.min(next), range.start.max(next));
                errors.push(PlanError::new(
                    PlanPath::StageField(p, s, "layers"),
                    format!(
                        "layers {from}..{to} {what}{way}: expected this range to start at {next}, \
                         found {}",
                        range.start
                    ),
                ));
                broken = true;
                break;
            }
            next = range.end;
        }
        if !broken && next != layers {
            errors.push(PlanError::new(
                PlanPath::Pipeline(p),
                format!("the stages hold {next} layers{way}, the model has {layers}"),
            ));
        }
    }
}

fn check_cards(plan: &Plan, cluster: &Cluster, errors: &mut Vec<PlanError>) {
    let mut owner: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
    for (p, pipeline) in plan.pipelines.iter().enumerate() {
        for (s, stage) in pipeline.stages.iter().enumerate() {
            let path = || PlanPath::StageField(p, s, "gpus");
            if stage.gpus.is_empty() {
                errors.push(PlanError::new(path(), "a stage without cards"));
            }
            for gpu in &stage.gpus {
                if gpu.0 >= cluster.gpu_count() {
                    errors.push(PlanError::new(
                        path(),
                        format!(
                            "GPU {} does not exist; the cluster has GPUs 0 to {}",
                            gpu.0,
                            cluster.gpu_count().saturating_sub(1)
                        ),
                    ));
                } else if let Some(&(other_p, other_s)) = owner.get(&gpu.0) {
                    errors.push(PlanError::new(
                        path(),
                        format!(
                            "GPU {} is already used by stage {other_s} of pipeline {other_p}",
                            gpu.0
                        ),
                    ));
                } else {
                    owner.insert(gpu.0, (p, s));
                    continue;
                }
                break;
            }
        }
    }
}

fn check_sharding(plan: &Plan, model: &Model, training: &Training, errors: &mut Vec<PlanError>) {
    let mut seen: Vec<u32> = Vec::new();
    for (p, pipeline) in plan.pipelines.iter().enumerate() {
        for (s, stage) in pipeline.stages.iter().enumerate() {
            let tp = stage.tensor_parallel();
            if tp == 0 || pipeline.micro_batch_size == 0 || seen.contains(&tp) {
                continue;
            }
            seen.push(tp);
            let shard = Shard::new(tp, plan.sequence_parallel, pipeline.micro_batch_size);
            let limits = tensor_parallel_limits(model, &shard);
            for limit in limits.into_iter().chain(sequence_parallel_limit(training, &shard)) {
                errors.push(PlanError::new(PlanPath::StageField(p, s, "tp"), limit.to_string()));
            }
        }
    }
}

/// Whether each kind of card among `gpus` can run the training's precision and attention, or the
/// fallback that the training names.
pub fn check_precision(
    cluster: &Cluster,
    catalog: &Catalog,
    training: &Training,
    gpus: impl IntoIterator<Item = GpuId>,
) -> Vec<PlanError> {
    let mut errors = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for gpu in gpus.into_iter().filter(|gpu| gpu.0 < cluster.gpu_count()) {
        let device = cluster.device(gpu);
        if seen.contains(&device.id.as_str()) {
            continue;
        }
        seen.push(&device.id);
        let Some(architecture) = catalog.architecture(&device.architecture) else {
            errors.push(PlanError::new(
                PlanPath::Plan,
                format!(
                    "no kernel constants are known for {} ({})",
                    device.id, device.architecture
                ),
            ));
            continue;
        };
        if let Err(unsupported) = card_path(device, architecture, training) {
            errors.push(PlanError::new(PlanPath::Training("precision"), unsupported.to_string()));
        }
    }
    errors
}

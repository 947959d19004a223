//! Whether a plan can run at all: on this cluster, for this model, with this batch.

use std::collections::BTreeMap;

use motley_hardware::Catalog;
use motley_topology::{Cluster, GpuId};
use motley_workload::{
    Model, Shard, Training, card_path, sequence_parallel_limit, tensor_parallel_limits,
};

use crate::error::{PlanError, PlanPath};
use crate::plan::{Pipeline, Plan, Schedule, Stage};

/// No pipeline has more micro-batches: their numbers must fit timelines' 16-bit tags.
pub const MAX_MICRO_BATCHES: u32 = 65_534;

/// Everything that is wrong with a plan, in the order of the plan.
///
/// Layers must be covered once and in order by each pipeline; cards must exist and be used once;
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
    let stages = pipeline.stages.len() as u32;
    if plan.schedule == Schedule::Interleaved
        && chunks > 1
        && !pipeline.micro_batches.is_multiple_of(stages)
    {
        errors.push(PlanError::new(
            PlanPath::PipelineField(p, "micro_batches"),
            format!(
                "the interleaved schedule needs a multiple of the {stages} stages, found {} micro-batches",
                pipeline.micro_batches
            ),
        ));
    }
    for (s, stage) in pipeline.stages.iter().enumerate() {
        check_chunks(plan.schedule, p, s, stage, chunks, pipeline.stages.len(), errors);
    }
    check_coverage(p, pipeline, chunks, model.layer_count(), errors);
}

fn check_chunks(
    schedule: Schedule,
    p: usize,
    s: usize,
    stage: &Stage,
    chunks: usize,
    stages: usize,
    errors: &mut Vec<PlanError>,
) {
    let path = || PlanPath::StageField(p, s, "layers");
    if stage.chunks.iter().any(|range| range.start >= range.end) {
        errors.push(PlanError::new(path(), "a stage or chunk without layers"));
    }
    if stage.chunks.len() != chunks {
        errors.push(PlanError::new(
            path(),
            format!("{} model chunks, the pipeline's first stage has {chunks}", stage.chunks.len()),
        ));
    } else if schedule != Schedule::Interleaved && chunks != 1 {
        errors.push(
            PlanError::new(
                path(),
                format!("{chunks} model chunks under a schedule that takes one"),
            )
            .help("set the schedule to Interleaved, or give one range of layers"),
        );
    } else if schedule == Schedule::Interleaved && stages < 2 && chunks > 1 {
        errors.push(PlanError::new(path(), "interleaving needs at least two stages"));
    }
}

/// Virtual stages in visiting order must cover `0..layers` without gap or overlap.
fn check_coverage(
    p: usize,
    pipeline: &Pipeline,
    chunks: usize,
    layers: u32,
    errors: &mut Vec<PlanError>,
) {
    let mut next = 0;
    for chunk in 0..chunks {
        for (s, stage) in pipeline.stages.iter().enumerate() {
            let Some(range) = stage.chunks.get(chunk) else { return };
            if range.start != next {
                let what = if range.start < next { "are held twice" } else { "are missing" };
                let (from, to) = (range.start.min(next), range.start.max(next));
                errors.push(PlanError::new(
                    PlanPath::StageField(p, s, "layers"),
                    format!("layers {from}..{to} {what}: expected this range to start at {next}, found {}", range.start),
                ));
                return;
            }
            next = range.end;
        }
    }
    if next != layers {
        errors.push(PlanError::new(
            PlanPath::Pipeline(p),
            format!("the stages hold {next} layers, the model has {layers}"),
        ));
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

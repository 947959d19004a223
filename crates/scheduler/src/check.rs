//! Whether a plan can run at all: on this cluster, for this model, with this batch.

mod recompute;

use std::collections::BTreeMap;

use motley_hardware::Catalog;
use motley_topology::{Cluster, GpuId};
use motley_workload::{
    AttentionKernel, ContextExchange, LayerKind, Model, Shard, ShardError, Training, card_path,
    sequence_limits, shard_limits,
};

use self::recompute::check_recompute;
use crate::error::{PlanError, PlanPath};
use crate::experts::expert_holders;
use crate::lower::uneven_copies;
use crate::plan::{ActivationSends, Pipeline, Plan, Stage};
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
    if plan.overlap_tensor && !plan.sequence_parallel {
        errors.push(
            PlanError::new(
                PlanPath::Field("overlap_tensor"),
                "without sequence parallelism there is nothing to gather or to reduce piece by piece",
            )
            .help("set sequence_parallel: true"),
        );
    }
    if plan.activation_sends == ActivationSends::AfterGradient
        && plan.schedule != Schedule::OneFOneB
    {
        errors.push(
            PlanError::new(
                PlanPath::Field("activation_sends"),
                "other schedules have no gradient to wait for before they send",
            )
            .help("set schedule: OneFOneB, or leave activation_sends out"),
        );
    }
    check_cards(plan, cluster, &mut errors);
    check_sharding(plan, model, training, &mut errors);
    check_experts(plan, model, &mut errors);
    check_recompute(plan, model, training, &mut errors);
    check_zero(plan, &mut errors);
    if errors.is_empty() {
        errors.extend(check_sharing(plan, model, training));
    }
    let unsupported = check_precision(cluster, catalog, training, plan.gpus());
    if unsupported.is_empty() {
        check_rings(plan, cluster, catalog, (model, training), &mut errors);
    }
    errors.extend(unsupported);
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
    let mut seen: Vec<Shard> = Vec::new();
    for (p, pipeline) in plan.pipelines.iter().enumerate() {
        check_contexts(p, pipeline, errors);
        for (s, stage) in pipeline.stages.iter().enumerate() {
            let shard = stage.shard(plan.sequence_parallel, pipeline.micro_batch_size);
            if shard.tensor_parallel == 0 || pipeline.micro_batch_size == 0 || seen.contains(&shard)
            {
                continue;
            }
            seen.push(shard);
            let field = |error: &ShardError| match error {
                ShardError::UnevenContext { .. } | ShardError::ContextHeads { .. } => "cp",
                ShardError::UnevenExperts { .. } => "ep",
                ShardError::UnevenExpert { .. } => "etp",
                _ => "tp",
            };
            let limits = shard_limits(model, &shard);
            for limit in limits.into_iter().chain(sequence_limits(training, &shard)) {
                let path = PlanPath::StageField(p, s, field(&limit));
                errors.push(PlanError::new(path, limit.to_string()));
            }
        }
    }
}

/// Context-parallel degrees: what they divide, and that a sequence is cut alike in all stages.
fn check_contexts(p: usize, pipeline: &Pipeline, errors: &mut Vec<PlanError>) {
    let first = pipeline.stages.first().map(|stage| stage.context.degree);
    for (s, stage) in pipeline.stages.iter().enumerate() {
        let path = PlanPath::StageField(p, s, "cp");
        let (degree, cards) = (stage.context.degree, stage.gpus.len() as u32);
        if degree == 0 {
            errors.push(PlanError::new(path, "cp must be at least 1"));
        } else if !cards.is_multiple_of(degree) {
            errors.push(PlanError::new(
                path,
                format!("{cards} cards do not divide into {degree} context-parallel groups"),
            ));
        } else if first != Some(degree) {
            let message = format!(
                "cp {degree}, the pipeline's first stage has {}: a sequence that is cut otherwise \
                 from stage to stage is not modelled",
                first.unwrap_or(1)
            );
            errors.push(PlanError::new(path, message).help("give all its stages the same cp"));
        }
    }
}

/// A ring joins the results of its steps, which takes the sums that FlashAttention puts out.
fn check_rings(
    plan: &Plan,
    cluster: &Cluster,
    catalog: &Catalog,
    (model, training): (&Model, &Training),
    errors: &mut Vec<PlanError>,
) {
    let biased = model.kinds().iter().any(LayerKind::has_biased_scores);
    let unfused = |gpu: &GpuId| {
        let known = gpu.0 < cluster.gpu_count();
        let device = known.then(|| cluster.device(*gpu))?;
        let architecture = catalog.architecture(&device.architecture)?;
        let path = card_path(device, architecture, training).ok()?;
        (path.attention == AttentionKernel::Unfused).then_some(device)
    };
    for (p, pipeline) in plan.pipelines.iter().enumerate() {
        for (s, stage) in pipeline.stages.iter().enumerate() {
            let ring = stage.context.exchange == ContextExchange::Ring;
            if stage.context.degree < 2 || !ring {
                continue;
            }
            let device = stage.gpus.iter().find_map(unfused);
            let who = match device {
                _ if biased => Some("a learned bias of scores takes unfused attention".to_owned()),
                Some(device) => Some(format!("{} runs unfused attention", device.name)),
                None => None,
            };
            if let Some(who) = who {
                let message = format!(
                    "ring attention joins the results of its steps, which takes FlashAttention; {who}"
                );
                errors.push(
                    PlanError::new(PlanPath::StageField(p, s, "cp"), message)
                        .help("exchange keys and values by AllGather or AllToAll"),
                );
                return;
            }
        }
    }
}

/// Whether the ranks that hold the same layers divide into groups that hold all experts, and whether
/// all ranks of such a group come to the same exchanges.
fn check_experts(plan: &Plan, model: &Model, errors: &mut Vec<PlanError>) {
    let parts = |stage: &Stage| {
        let layers = 0..model.layer_count();
        stage.chunks.iter().all(|chunk| chunk.is_empty() || layers.contains(&(chunk.end - 1)))
            && stage.has_experts(model)
    };
    let mut stages = plan.pipelines.iter().flat_map(|pipeline| &pipeline.stages);
    if !plan.sequence_parallel && stages.any(|stage| stage.tensor_parallel() > 1 && parts(stage)) {
        errors.push(
            PlanError::new(
                PlanPath::Field("sequence_parallel"),
                "experts on several tensor ranks take sequence parallelism: without it each of these \
                 ranks would route all tokens",
            )
            .help("set sequence_parallel: true"),
        );
    }
    for holders in expert_holders(plan) {
        let (p, s) = holders.stages[0];
        let stage = &plan.pipelines[p].stages[s];
        let (degree, tensor) = stage.expert_degrees();
        let path = |field| PlanPath::StageField(p, s, field);
        if !model.distinct_parts().any(|part| model.has_experts(part)) {
            let message = format!("ep {degree}, etp {tensor}, but the model has no experts");
            errors.push(PlanError::new(path("ep"), message).help("leave both out"));
            return;
        }
        if !parts(stage) {
            continue;
        }
        let block = u64::from(holders.block());
        if !holders.ranks.is_multiple_of(block) {
            errors.push(
                PlanError::new(
                    path("ep"),
                    format!(
                        "{} ranks hold these layers; they do not divide into groups of ep {degree} x \
                         etp {tensor} that hold all experts",
                        holders.ranks
                    ),
                )
                .help("choose an ep that divides dp x cp x tp / etp"),
            );
            continue;
        }
        check_expert_group(plan, &holders.stages, block, errors);
    }
}

/// Stages whose ranks share experts must bring equally many tokens equally often.
fn check_expert_group(
    plan: &Plan,
    stages: &[(usize, usize)],
    block: u64,
    errors: &mut Vec<PlanError>,
) {
    let brings = |&(p, s): &(usize, usize)| {
        let (pipeline, stage) = (&plan.pipelines[p], &plan.pipelines[p].stages[s]);
        let shard = stage.shard(plan.sequence_parallel, pipeline.micro_batch_size);
        // From the number of stages and its own a stage's order of passes follows.
        let place = (s, pipeline.stages.len(), pipeline.micro_batches);
        (place, shard, stage.recompute, stage.experts.dispatch)
    };
    // Ranks so far: a stage that does not begin a group shares one with the stage before.
    let mut ranks = 0_u64;
    for pair in stages.windows(2) {
        let (p, s) = pair[0];
        ranks += plan.pipelines[p].stages[s].gpus.len() as u64;
        if !ranks.is_multiple_of(block) && brings(&pair[0]) != brings(&pair[1]) {
            let (p, s) = pair[1];
            errors.push(
                PlanError::new(
                    PlanPath::Stage(p, s),
                    format!(
                        "shares experts with stage {} of pipeline {}, but differs from it in its \
                         place, micro-batches, their size, tp, cp, dispatch or recomputation",
                        pair[0].1, pair[0].0
                    ),
                )
                .help("ranks that share experts meet in every layer of every micro-batch"),
            );
            return;
        }
    }
}

/// Whether replicas can share out their states so.
fn check_zero(plan: &Plan, errors: &mut Vec<PlanError>) {
    let zero = plan.zero;
    if (1..3).contains(&zero.stage()) {
        for (p, pipeline) in plan.pipelines.iter().enumerate() {
            if let Some(s) = pipeline.stages.iter().position(|stage| stage.offload.parameters) {
                let message = format!(
                    "parameters in the host's memory under ZeRO {}, which keeps them whole on cards",
                    zero.stage()
                );
                errors
                    .push(PlanError::new(PlanPath::StageField(p, s, "offload"), message).help(
                        "share parameters out, too: `zero: (stage: 3)`, or leave `zero` out",
                    ));
                return;
            }
        }
    }
    if zero.group == Some(0) {
        errors.push(PlanError::new(PlanPath::Field("zero"), "a group needs at least one rank"));
    }
    if zero.stage() == 0 {
        return;
    }
    if zero.stage() < 2 {
        return;
    }
    let stage = zero.stage();
    let refuse = |p: usize, message: String| {
        PlanError::new(PlanPath::Pipeline(p), message).help(
            "under ZeRO 2 and 3 replicas meet in every micro-batch; use ZeRO 1, or make them alike",
        )
    };
    if plan.pipelines.iter().any(|pipeline| pipeline.placement(plan.schedule).routes().len() > 1) {
        errors.push(
            PlanError::new(
                PlanPath::Field("schedule"),
                format!(
                    "ZeRO {stage} under {}, which holds layers twice in a pipeline",
                    plan.schedule.name()
                ),
            )
            .help("use ZeRO 1, or another schedule"),
        );
    }
    let Some(first) = plan.pipelines.first() else { return };
    for (p, pipeline) in plan.pipelines.iter().enumerate().skip(1) {
        if pipeline.micro_batches != first.micro_batches {
            let message = format!(
                "{} micro-batches, the first pipeline has {}: under ZeRO {stage} they must be as many \
                 (their sizes may differ)",
                pipeline.micro_batches, first.micro_batches
            );
            errors.push(refuse(p, message));
            return;
        }
        // Where they wait decides how two passes are woven, and in which order they come to parameters.
        let woven = |pipeline: &Pipeline| -> Vec<_> {
            let of = |stage: &Stage| (stage.shard(plan.sequence_parallel, 1), stage.recompute);
            pipeline.stages.iter().map(of).collect()
        };
        let weaves =
            matches!(plan.schedule, Schedule::DualPipe | Schedule::DualPipeV | Schedule::Paired);
        if stage == 3 && weaves && woven(pipeline) != woven(first) {
            let message = format!(
                "differs from the first pipeline in tp, cp, ep or recomputation: under ZeRO 3 the two \
                 passes that {} overlaps would come to their parameters in another order",
                plan.schedule.name()
            );
            errors.push(refuse(p, message));
            return;
        }
        let cut = |pipeline: &Pipeline| -> Vec<_> {
            pipeline.stages.iter().map(|stage| stage.chunks.clone()).collect()
        };
        if cut(pipeline) != cut(first) {
            let message =
                format!("layers are cut otherwise than in the first pipeline under ZeRO {stage}");
            errors.push(refuse(p, message));
            return;
        }
    }
}

/// Whether copies of parameters divide into the groups that share them. The plan must be sound
/// otherwise.
fn check_sharing(plan: &Plan, model: &Model, training: &Training) -> Option<PlanError> {
    let size = plan.zero.group.filter(|_| plan.zero.stage() > 0)?;
    let (copies, experts) = uneven_copies(plan, model, training)?;
    let what = if experts { "copies of experts" } else { "replicas" };
    let message = format!("{copies} {what} do not divide into sharding groups of {size}");
    let help = "choose a group that divides them, or leave it out";
    Some(PlanError::new(PlanPath::Field("zero"), message).help(help))
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

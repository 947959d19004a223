//! The plan: its numbers in range, repeats written out, and the scheduler's judgement of it.

use motley_scheduler::{
    ActivationLimit, ContextParallel, Dispatch, ExpertParallel, GradientSync, LayerSplit,
    MicroBatchSplit, Offload, OptimizerStep, ParameterGather, Pipeline, Plan, PlanError, PlanPath,
    RankOrder, Reduction, Schedule, Sharded, Shares, Speed, Stage, UniformPlan, Zero, ZeroBubble,
    ZeroBubbleOrder, check_plan, check_precision,
};
use motley_topology::{Cluster, GpuId};
use motley_units::Seconds;
use motley_workload::{Model, Part, Training};

use super::{Resolver, limits};
use crate::code;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::document::Document;
use crate::raw::{
    RawActivations, RawDispatch, RawGradientSync, RawOffload, RawOptimizerStep, RawOrder,
    RawPipeline, RawPlan, RawReduction, RawScenario, RawSchedule, RawShares, RawSplit, RawStage,
    RawZero, RawZeroBubble,
};
use crate::scenario::PlanChoice;
use crate::source::SourceFile;
use crate::syntax::Path;

/// Faults of one plan that are shown; the rest of a plan of thousands of stages repeats them.
const SHOWN: usize = 100;

fn plan_path() -> Path {
    Path::ROOT.field("plan")
}

fn stage_path(pipeline: usize, stage: usize) -> Path {
    plan_path().field("pipelines").index(pipeline).field("stages").index(stage)
}

impl Resolver<'_> {
    /// The plan, unless a number is out of range.
    pub(super) fn plan(&mut self, raw: &RawPlan) -> Option<PlanChoice> {
        let before = self.diagnostics.len();
        let choice = match raw {
            RawPlan::Uniform {
                dp,
                tp,
                pp,
                cp,
                context_exchange,
                ep,
                etp,
                dispatch,
                overlap_shared_expert,
                zero,
                micro_batch_size,
                schedule,
                recompute,
                offload,
                sequence_parallel,
                overlap_weight_gradient,
                overlap_tensor,
                scatter_gather,
                activation_sends,
                gradient_sync,
                layers,
                micro_batches,
                order,
            } => {
                let etp_degree = etp.unwrap_or(1);
                for (name, degree) in [
                    ("dp", *dp),
                    ("tp", *tp),
                    ("pp", *pp),
                    ("cp", *cp),
                    ("ep", *ep),
                    ("etp", etp_degree),
                ] {
                    self.count(&plan_path().field(name), degree, limits::CARDS);
                }
                let size = plan_path().field("micro_batch_size");
                self.count(&size, *micro_batch_size, limits::SEQUENCES);
                let (schedule, chunks) = self.schedule(*schedule);
                PlanChoice::Uniform(UniformPlan {
                    dp: *dp,
                    tp: *tp,
                    pp: *pp,
                    context: ContextParallel { degree: *cp, exchange: *context_exchange },
                    experts: experts(*ep, *etp, *dispatch, *overlap_shared_expert),
                    zero: self.zero(*zero),
                    micro_batch_size: *micro_batch_size,
                    schedule,
                    chunks,
                    recompute: *recompute,
                    offload: offloaded(offload),
                    sequence_parallel: *sequence_parallel,
                    overlap_weight_gradient: *overlap_weight_gradient,
                    overlap_tensor: *overlap_tensor,
                    scatter_gather: *scatter_gather,
                    activation_sends: *activation_sends,
                    gradient_sync: self.gradient_sync(*gradient_sync),
                    layers: match layers {
                        RawSplit::Equal => LayerSplit::Equal,
                        RawSplit::Proportional => LayerSplit::Proportional,
                        RawSplit::Counts(counts) => LayerSplit::Counts(counts.clone()),
                    },
                    micro_batches: match micro_batches {
                        RawSplit::Equal => MicroBatchSplit::Equal,
                        RawSplit::Proportional => MicroBatchSplit::Proportional,
                        RawSplit::Counts(counts) => MicroBatchSplit::Counts(counts.clone()),
                    },
                    rank_order: match order {
                        RawOrder::TpDpPp => RankOrder::TpDpPp,
                        RawOrder::TpPpDp => RankOrder::TpPpDp,
                    },
                })
            }
            RawPlan::Explicit {
                schedule,
                sequence_parallel,
                overlap_weight_gradient,
                overlap_tensor,
                scatter_gather,
                activation_sends,
                gradient_sync,
                zero,
                pipelines,
            } => {
                let (schedule, chunks) = self.schedule(*schedule);
                let gradient_sync = self.gradient_sync(*gradient_sync);
                let pipelines = self.pipelines(pipelines, schedule, chunks);
                PlanChoice::Explicit(Plan {
                    pipelines,
                    schedule,
                    sequence_parallel: *sequence_parallel,
                    overlap_weight_gradient: *overlap_weight_gradient,
                    overlap_tensor: *overlap_tensor,
                    scatter_gather: *scatter_gather,
                    activation_sends: *activation_sends,
                    gradient_sync,
                    zero: self.zero(*zero),
                })
            }
            RawPlan::Auto => PlanChoice::Auto,
        };
        (self.diagnostics.len() == before).then_some(choice)
    }

    /// The schedule, and the chunks of a stage.
    fn schedule(&mut self, raw: RawSchedule) -> (Schedule, u32) {
        let schedule = match raw {
            RawSchedule::GPipe => Schedule::GPipe,
            RawSchedule::OneFOneB => Schedule::OneFOneB,
            RawSchedule::Interleaved { chunks } | RawSchedule::Paired { chunks } => {
                let path = plan_path().field("schedule").field("chunks");
                self.count(&path, chunks, limits::CHUNKS);
                let paired = matches!(raw, RawSchedule::Paired { .. });
                let schedule = if paired { Schedule::Paired } else { Schedule::Interleaved };
                return (schedule, chunks);
            }
            RawSchedule::ZeroBubble { order, activations, optimizer_step } => {
                Schedule::ZeroBubble(ZeroBubble {
                    order: self.zero_bubble(order, activations),
                    optimizer_step: match optimizer_step {
                        RawOptimizerStep::PostValidation => OptimizerStep::PostValidation,
                        RawOptimizerStep::Synchronous => OptimizerStep::Synchronous,
                    },
                })
            }
            RawSchedule::DualPipe => Schedule::DualPipe,
            RawSchedule::DualPipeV => Schedule::DualPipeV,
        };
        (schedule, schedule.chunks().unwrap_or(1))
    }

    fn zero_bubble(
        &mut self,
        order: RawZeroBubble,
        activations: Option<RawActivations>,
    ) -> ZeroBubbleOrder {
        let path = plan_path().field("schedule").field("activations");
        let limit = match activations {
            None => ActivationLimit::Stages(1.0),
            Some(RawActivations::Available) => ActivationLimit::Available,
            Some(RawActivations::Stages(factor)) => {
                if !limits::ACTIVATIONS.contains(&factor) {
                    let message = format!(
                        "`{path}` is {factor} micro-batches for each stage, expected a number \
                         above 0, up to {}",
                        limits::ACTIVATIONS.end()
                    );
                    self.error(code::OUT_OF_RANGE, &path, message, "out of range");
                }
                ActivationLimit::Stages(factor)
            }
        };
        let fixed = match order {
            RawZeroBubble::H1 => ZeroBubbleOrder::H1,
            RawZeroBubble::H2 => ZeroBubbleOrder::H2,
            RawZeroBubble::Automatic => return ZeroBubbleOrder::Automatic(limit),
            RawZeroBubble::V => return ZeroBubbleOrder::V(limit),
        };
        if activations.is_some() {
            let message = format!("the order {order:?} holds what it holds, whatever the limit");
            let diagnostic = self
                .at(code::PLAN, &path, message, "without effect")
                .help("leave it out, or let the order follow the limit: `order: Automatic`");
            self.diagnostics.push(diagnostic);
        }
        fixed
    }

    fn gradient_sync(&mut self, raw: RawGradientSync) -> GradientSync {
        match raw {
            RawGradientSync::AtEnd => GradientSync::AtEnd,
            RawGradientSync::Overlapped { bucket } => {
                if bucket.0 < 1.0 {
                    let path = plan_path().field("gradient_sync").field("bucket");
                    let message = "a bucket must hold at least one byte".to_owned();
                    self.error(code::OUT_OF_RANGE, &path, message, "too small");
                }
                GradientSync::Overlapped { bucket }
            }
        }
    }

    /// What replicas share out. A field that the stage has no use for is refused.
    fn zero(&mut self, raw: Option<RawZero>) -> Zero {
        let Some(raw) = raw else { return Zero::NONE };
        let path = plan_path().field("zero");
        let gather = match raw.overlap_gather {
            Some(true) => ParameterGather::Overlapped,
            _ => ParameterGather::AtEnd,
        };
        let sharded = match raw.stage {
            1 => Sharded::Optimizer(gather),
            2 => Sharded::Gradients(gather),
            3 => Sharded::Parameters {
                prefetch: raw.prefetch.unwrap_or(1),
                reshard_after_forward: raw.reshard_after_forward.unwrap_or(true),
            },
            stage => {
                let message = format!("ZeRO stage {stage}, expected 1, 2 or 3");
                let diagnostic = self
                    .at(code::OUT_OF_RANGE, &path.field("stage"), message, "out of range")
                    .help("1 shares out optimizer states, 2 gradients too, 3 parameters too; without `zero` nothing is shared out");
                self.diagnostics.push(diagnostic);
                Sharded::Nothing
            }
        };
        let whole = matches!(sharded, Sharded::Parameters { .. });
        let useless = [
            (
                "overlap_gather",
                raw.overlap_gather.is_some() && whole,
                "parameters are gathered layer by layer in any case; how many ahead says `prefetch`",
            ),
            (
                "prefetch",
                raw.prefetch.is_some() && !whole,
                "parameters are whole on every rank; layers are gathered ahead under stage 3",
            ),
            (
                "reshard_after_forward",
                raw.reshard_after_forward.is_some() && !whole,
                "parameters are whole on every rank; they are let go under stage 3",
            ),
            (
                "reduction",
                raw.reduction.is_some() && !matches!(sharded, Sharded::Optimizer(_)),
                "each replica gets the sums of its share, as it keeps no others",
            ),
        ];
        for (field, given, help) in useless {
            if given && sharded != Sharded::Nothing {
                let message = format!("`{field}` has no effect under ZeRO {}", raw.stage);
                let diagnostic =
                    self.at(code::PLAN, &path.field(field), message, "without effect").help(help);
                self.diagnostics.push(diagnostic);
            }
        }
        if let Some(prefetch) = raw.prefetch {
            self.count(&path.field("prefetch"), prefetch, limits::PREFETCH);
        }
        if let Some(group) = raw.group {
            self.count(&path.field("group"), group, limits::CARDS);
        }
        let shares = match raw.shares {
            RawShares::Equal => Shares::Equal,
            RawShares::Memory => Shares::Memory,
        };
        let reduction = match raw.reduction {
            Some(RawReduction::Whole) => Reduction::Whole,
            Some(RawReduction::Scattered) | None => Reduction::Scattered,
        };
        Zero { sharded, group: raw.group, shares, reduction }
    }

    /// The pipelines with repeats written out; stops where the plan has more cards than a cluster
    /// can have.
    fn pipelines(&mut self, raw: &[RawPipeline], schedule: Schedule, chunks: u32) -> Vec<Pipeline> {
        let mut pipelines = Vec::new();
        let mut cards = 0_u64;
        for (index, pipeline) in raw.iter().enumerate() {
            let path = plan_path().field("pipelines").index(index);
            let own: u64 = pipeline.stages.iter().map(|stage| stage.gpus.len().max(1)).sum();
            let count = pipeline.repeat.map_or(1, |repeat| repeat.count);
            let repeat = path.field("repeat").field("count");
            if !self.count(&repeat, count, limits::CARDS) {
                continue;
            }
            cards = cards.saturating_add(own.max(1).saturating_mul(u64::from(count)));
            let limit = *limits::CARDS.end();
            if cards > u64::from(limit) {
                let message = format!("the plan uses more than {limit} cards");
                self.error(code::OUT_OF_RANGE, &path, message, "with all pipelines before");
                break;
            }
            let size = path.field("micro_batch_size");
            self.count(&size, pipeline.micro_batch_size, limits::SEQUENCES);
            for (stage, raw) in pipeline.stages.iter().enumerate() {
                self.stage(&stage_path(index, stage), raw, schedule, chunks);
            }
            for copy in 0..count {
                let stride = pipeline.repeat.map_or(0, |repeat| repeat.stride);
                let Some(offset) = copy.checked_mul(stride).filter(|offset| *offset <= limit)
                else {
                    let message = format!("copy {copy} begins beyond card {limit}");
                    let path = path.field("repeat").field("stride");
                    self.error(code::OUT_OF_RANGE, &path, message, "too large");
                    break;
                };
                pipelines.push(Pipeline {
                    micro_batches: pipeline.micro_batches,
                    micro_batch_size: pipeline.micro_batch_size,
                    stages: pipeline.stages.iter().map(|stage| shifted(stage, offset)).collect(),
                });
            }
        }
        pipelines
    }

    fn stage(&mut self, path: &Path, raw: &RawStage, schedule: Schedule, chunks: u32) {
        let gpus = path.field("gpus");
        if let Some(range) = raw.gpus.0.iter().find(|range| range.start >= range.end) {
            let message = format!("the range {}..{} holds no card", range.start, range.end);
            let diagnostic = self
                .at(code::PLAN, &gpus, message, "empty")
                .help("the end of a range is not part of it: `0..8` is 0 to 7");
            self.diagnostics.push(diagnostic);
        }
        let limit = *limits::CARDS.end();
        if let Some(range) = raw.gpus.0.iter().find(|range| range.end > limit) {
            let message = format!("card {} does not exist: no cluster has so many", range.end - 1);
            self.error(code::OUT_OF_RANGE, &gpus, message, "too large");
        }
        for (name, degree) in [("cp", raw.cp), ("ep", raw.ep), ("etp", raw.etp.unwrap_or(1))] {
            self.count(&path.field(name), degree, limits::CARDS);
        }
        let ranges = raw.layers.0.len();
        if matches!(schedule, Schedule::Interleaved | Schedule::Paired) && ranges != chunks as usize
        {
            let message =
                format!("{ranges} ranges of layers, expected {chunks}, one for each chunk");
            self.error(code::PLAN, &path.field("layers"), message, "other than the schedule says");
        }
    }

    /// Asks the scheduler whether the plan can run.
    pub(super) fn check_plan(
        &mut self,
        raw: &RawScenario,
        choice: &PlanChoice,
        cluster: &Cluster,
        model: &Model,
        training: &Training,
        warnings: &mut Diagnostics,
    ) {
        let batch = raw.training.global_batch;
        // Which cards a plan uses and whether they can run it does not depend on how fast they
        // are, so proportional splits are tried with equal ones.
        let expanded = match choice {
            PlanChoice::Uniform(plan) => plan.expand(cluster, model, batch, &Even),
            PlanChoice::Explicit(plan) => Ok(plan.clone()),
            // Whoever searches a plan leaves out what cannot run.
            PlanChoice::Auto => return,
        };
        let errors = match expanded {
            Err(mut errors) => {
                // The shorthand uses every card, so these mistakes can be told at once, too.
                errors.extend(check_precision(cluster, self.catalog, training, cluster.gpus()));
                errors
            }
            Ok(plan) => {
                self.groups_across_nodes(&raw.plan, &plan, cluster, warnings);
                check_plan(&plan, cluster, self.catalog, model, training, batch)
            }
        };
        let source = self.document.source;
        self.diagnostics.extend(plan_diagnostics(&raw.plan, source, errors).iter().cloned());
    }

    /// Tensor parallelism communicates in every layer; across nodes it is rarely meant.
    fn groups_across_nodes(
        &self,
        raw: &RawPlan,
        plan: &Plan,
        cluster: &Cluster,
        warnings: &mut Diagnostics,
    ) {
        for (index, pipeline) in plan.pipelines.iter().enumerate() {
            for (stage, each) in pipeline.stages.iter().enumerate() {
                let inside = |group: &[GpuId]| {
                    let known = group.iter().filter(|gpu| gpu.0 < cluster.gpu_count());
                    let mut nodes = known.map(|gpu| cluster.node_of(*gpu));
                    nodes.next().is_none_or(|first| nodes.all(|node| node == first))
                };
                if each.tensor_groups().all(inside) {
                    continue;
                }
                let path = file_path(raw, &PlanPath::StageField(index, stage, "tp"));
                let message = "a tensor-parallel group spans several nodes".to_owned();
                let mut warning = self.at(code::GROUP_ACROSS_NODES, &path, message, "");
                warning.severity = Severity::Warning;
                warnings.push(warning.note(format!(
                    "stage {stage} of pipeline {index} has cards on more than one node; its \
                     all-reduces, several in each layer, cross the fabric"
                )));
                return;
            }
        }
    }
}

fn experts(ep: u32, etp: Option<u32>, dispatch: RawDispatch, overlap: bool) -> ExpertParallel {
    let dispatch = match dispatch {
        RawDispatch::AllToAll => Dispatch::AllToAll,
        RawDispatch::Forwarded => Dispatch::Forwarded,
    };
    ExpertParallel { degree: ep, tensor: etp, dispatch, overlap_shared: overlap }
}

fn offloaded(raw: &[RawOffload]) -> Offload {
    Offload {
        optimizer: raw.contains(&RawOffload::Optimizer),
        parameters: raw.contains(&RawOffload::Parameters),
        activations: raw.contains(&RawOffload::Activations),
    }
}

/// Every card as fast as every other.
struct Even;

impl Speed for Even {
    fn part(&self, _: &[GpuId], part: Part) -> Seconds {
        match part {
            Part::Layer(_) => Seconds(1.0),
            Part::Embedding | Part::Head => Seconds(0.0),
        }
    }
}

/// A stage on cards that are `offset` higher. Numbers beyond 32 bits become the highest, which no
/// cluster has.
fn shifted(raw: &RawStage, offset: u32) -> Stage {
    Stage {
        gpus: raw.gpus.iter().map(|gpu| GpuId(gpu.saturating_add(offset))).collect(),
        context: ContextParallel { degree: raw.cp, exchange: raw.context_exchange },
        experts: experts(raw.ep, raw.etp, raw.dispatch, raw.overlap_shared_expert),
        chunks: raw.layers.0.clone(),
        recompute: raw.recompute,
        offload: offloaded(&raw.offload),
    }
}

/// The scheduler's complaints at the places of the file that they are about.
pub(crate) fn plan_diagnostics(
    raw: &RawPlan,
    source: &SourceFile,
    errors: Vec<PlanError>,
) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    let Ok(document) = Document::new(source) else { return diagnostics };
    for error in errors.into_iter().take(SHOWN) {
        let path = file_path(raw, &error.path);
        let code = match error.path {
            PlanPath::Training(_) => code::PRECISION,
            _ => code::PLAN,
        };
        let mut diagnostic =
            Diagnostic::error(code, error.message).label(document.place(&path), "");
        diagnostic.help.extend(error.help);
        diagnostics.push(diagnostic);
    }
    diagnostics
}

/// Where the file says what a place of the written-out plan comes from: its pipelines may be
/// copies of one in the file, or come from the shorthand.
fn file_path(raw: &RawPlan, path: &PlanPath) -> Path {
    let (pipeline, stage, field) = match *path {
        PlanPath::Plan => (None, None, None),
        PlanPath::Field(field) => (None, None, Some(field)),
        PlanPath::Training(field) => return Path::ROOT.field("training").field(field),
        PlanPath::Pipeline(pipeline) => (Some(pipeline), None, None),
        PlanPath::PipelineField(pipeline, field) => (Some(pipeline), None, Some(field)),
        PlanPath::Stage(pipeline, stage) => (Some(pipeline), Some(stage), None),
        PlanPath::StageField(pipeline, stage, field) => (Some(pipeline), Some(stage), Some(field)),
    };
    let mut at = plan_path();
    if let RawPlan::Explicit { pipelines, .. } = raw {
        if let Some(pipeline) = pipeline {
            at = at.field("pipelines").index(written(pipelines, pipeline));
        }
        if let Some(stage) = stage {
            at = at.field("stages").index(stage);
        }
    }
    match (raw, field) {
        // A stage of an explicit plan says its degree by its cards.
        (RawPlan::Explicit { .. }, Some("tp")) => at.field("gpus"),
        // The shorthand counts stages.
        (RawPlan::Uniform { .. }, Some("stages")) => at.field("pp"),
        (_, Some(field)) => at.field(field),
        (_, None) => at,
    }
}

/// Which pipeline of the file the pipeline `index` of the plan is a copy of.
fn written(pipelines: &[RawPipeline], index: usize) -> usize {
    let mut end = 0;
    pipelines
        .iter()
        .position(|pipeline| {
            end += pipeline.repeat.map_or(1, |repeat| repeat.count as usize);
            index < end
        })
        .unwrap_or(pipelines.len().saturating_sub(1))
}

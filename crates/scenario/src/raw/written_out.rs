//! From a plan to what a file says of it.

use motley_scheduler::{
    ActivationLimit, Dispatch, GradientSync, Offload, OptimizerStep, ParameterGather, Pipeline,
    Plan, Reduction, Schedule, Sharded, Shares, Stage, Zero, ZeroBubbleOrder,
};
use motley_topology::GpuId;

use super::{
    Cards, LayerRanges, RawActivations, RawDispatch, RawGradientSync, RawOffload, RawOptimizerStep,
    RawPipeline, RawPlan, RawReduction, RawRepeat, RawSchedule, RawShares, RawStage, RawZero,
    RawZeroBubble,
};

impl RawPlan {
    /// A plan as a file writes it out, equal pipelines at equal distances as repeats of the first.
    pub fn written_out(plan: &Plan) -> Self {
        let chunks = plan
            .pipelines
            .first()
            .and_then(|pipeline| pipeline.stages.first())
            .map_or(1, |stage| stage.chunks.len() as u32);
        let mut pipelines: Vec<RawPipeline> = Vec::new();
        let mut from = 0;
        while from < plan.pipelines.len() {
            let repeat = repeats(&plan.pipelines[from..]);
            let first = &plan.pipelines[from];
            pipelines.push(RawPipeline {
                micro_batches: first.micro_batches,
                micro_batch_size: first.micro_batch_size,
                repeat: (repeat.count > 1).then_some(repeat),
                stages: first.stages.iter().map(stage).collect(),
            });
            from += repeat.count as usize;
        }
        Self::Explicit {
            schedule: schedule(plan.schedule, chunks),
            sequence_parallel: plan.sequence_parallel,
            overlap_weight_gradient: plan.overlap_weight_gradient,
            overlap_tensor: plan.overlap_tensor,
            scatter_gather: plan.scatter_gather,
            activation_sends: plan.activation_sends,
            gradient_sync: match plan.gradient_sync {
                GradientSync::AtEnd => RawGradientSync::AtEnd,
                GradientSync::Overlapped { bucket } => RawGradientSync::Overlapped { bucket },
            },
            zero: zero(plan.zero),
            pipelines,
        }
    }
}

/// How many of the first pipelines are the first one again, each on cards as much higher than those
/// of the one before.
fn repeats(pipelines: &[Pipeline]) -> RawRepeat {
    let distance = |from: &Pipeline, to: &Pipeline| {
        let (from, to) = (from.stages.first()?.gpus.first()?, to.stages.first()?.gpus.first()?);
        to.0.checked_sub(from.0).filter(|stride| *stride > 0)
    };
    let stride = pipelines.get(1).and_then(|second| distance(&pipelines[0], second)).unwrap_or(0);
    let mut count: u32 = 1;
    while stride > 0
        && pipelines.get(count as usize).is_some_and(|next| {
            count.checked_mul(stride).is_some_and(|offset| *next == moved(&pipelines[0], offset))
        })
    {
        count += 1;
    }
    RawRepeat { count, stride }
}

fn moved(pipeline: &Pipeline, offset: u32) -> Pipeline {
    let mut moved = pipeline.clone();
    for gpu in moved.stages.iter_mut().flat_map(|stage| &mut stage.gpus) {
        *gpu = GpuId(gpu.0.saturating_add(offset));
    }
    moved
}

fn stage(stage: &Stage) -> RawStage {
    let mut gpus: Vec<std::ops::Range<u32>> = Vec::new();
    for gpu in &stage.gpus {
        match gpus.last_mut() {
            Some(last) if last.end == gpu.0 => last.end += 1,
            _ => gpus.push(gpu.0..gpu.0 + 1),
        }
    }
    RawStage {
        gpus: Cards(gpus),
        cp: stage.context.degree,
        context_exchange: stage.context.exchange,
        ep: stage.experts.degree,
        etp: stage.experts.tensor,
        dispatch: match stage.experts.dispatch {
            Dispatch::AllToAll => RawDispatch::AllToAll,
            Dispatch::Forwarded => RawDispatch::Forwarded,
        },
        overlap_shared_expert: stage.experts.overlap_shared,
        layers: LayerRanges(stage.chunks.clone()),
        recompute: stage.recompute,
        offload: offload(stage.offload),
    }
}

fn offload(offload: Offload) -> Vec<RawOffload> {
    let all = [
        (offload.optimizer, RawOffload::Optimizer),
        (offload.parameters, RawOffload::Parameters),
        (offload.activations, RawOffload::Activations),
    ];
    all.into_iter().filter(|(there, _)| *there).map(|(_, which)| which).collect()
}

fn schedule(schedule: Schedule, chunks: u32) -> RawSchedule {
    match schedule {
        Schedule::GPipe => RawSchedule::GPipe,
        Schedule::OneFOneB => RawSchedule::OneFOneB,
        Schedule::Interleaved => RawSchedule::Interleaved { chunks },
        Schedule::Paired => RawSchedule::Paired { chunks },
        Schedule::ZeroBubble(zero_bubble) => {
            let limited = |limit| {
                Some(match limit {
                    ActivationLimit::Stages(factor) => RawActivations::Stages(factor),
                    ActivationLimit::Available => RawActivations::Available,
                })
            };
            let (order, activations) = match zero_bubble.order {
                ZeroBubbleOrder::H1 => (RawZeroBubble::H1, None),
                ZeroBubbleOrder::H2 => (RawZeroBubble::H2, None),
                ZeroBubbleOrder::Automatic(limit) => (RawZeroBubble::Automatic, limited(limit)),
                ZeroBubbleOrder::V(limit) => (RawZeroBubble::V, limited(limit)),
            };
            RawSchedule::ZeroBubble {
                order,
                activations,
                optimizer_step: match zero_bubble.optimizer_step {
                    OptimizerStep::Synchronous => RawOptimizerStep::Synchronous,
                    OptimizerStep::PostValidation => RawOptimizerStep::PostValidation,
                },
            }
        }
        Schedule::DualPipe => RawSchedule::DualPipe,
        Schedule::DualPipeV => RawSchedule::DualPipeV,
    }
}

fn zero(zero: Zero) -> Option<RawZero> {
    let overlapped = |gather| (gather == ParameterGather::Overlapped).then_some(true);
    let mut raw = RawZero {
        stage: 0,
        group: zero.group,
        shares: match zero.shares {
            Shares::Equal => RawShares::Equal,
            Shares::Memory => RawShares::Memory,
        },
        overlap_gather: None,
        prefetch: None,
        reshard_after_forward: None,
        reduction: None,
    };
    match zero.sharded {
        Sharded::Nothing => return None,
        Sharded::Optimizer(gather) => {
            raw.stage = 1;
            raw.overlap_gather = overlapped(gather);
            raw.reduction = (zero.reduction == Reduction::Whole).then_some(RawReduction::Whole);
        }
        Sharded::Gradients(gather) => {
            raw.stage = 2;
            raw.overlap_gather = overlapped(gather);
        }
        Sharded::Parameters { prefetch, reshard_after_forward } => {
            raw.stage = 3;
            raw.prefetch = Some(prefetch);
            raw.reshard_after_forward = Some(reshard_after_forward);
        }
    }
    Some(raw)
}

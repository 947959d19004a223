//! Other plans and other arithmetic on the same machines.

use motley::{Prepared, Scenario};
use motley_scenario::raw::{RawGradientSync, RawPlan, RawSchedule, RawSplit, RawZeroBubble};
use motley_scheduler::Plan;
use motley_units::Bytes;
use motley_workload::{Fp8Recipe, Precision, Recompute};

use super::Change;
use super::written_out::{balanced_layers, balanced_micro_batches};

/// Parameters of a gradient bucket: Megatron-LM's default (`ddp_bucket_size`, 40 million).
const BUCKET_PARAMETERS: f64 = 40e6;

/// Why nothing of a plan can be changed.
const OPEN: &str = "the plan is left open";

/// What suggests itself for this plan.
pub(super) fn suggested(prepared: &Prepared) -> Vec<Change> {
    let scenario = prepared.scenario;
    let mut list = Vec::new();
    list.extend(balance(prepared));
    list.extend(switches(scenario));
    list.extend(batches(scenario));
    list.extend(precisions(scenario));
    list
}

/// Spread by the speed of cards: the shorthand says so itself, a plan that is written out is written anew.
fn balance(prepared: &Prepared) -> Vec<Change> {
    let scenario = prepared.scenario;
    let mut list = Vec::new();
    let mut add = |sort, what, wanted: bool, split: Split, written_out: Anew| {
        if !wanted {
            return;
        }
        let anew = match &scenario.raw.plan {
            RawPlan::Explicit { .. } => Some(written_out(prepared)),
            _ => None,
        };
        // Balanced it is already.
        if matches!(&anew, Some(Ok(plan)) if *plan == prepared.plan) {
            return;
        }
        list.push(Change::raw(scenario, sort, what, |raw| {
            match (&mut raw.plan, anew) {
                (RawPlan::Uniform { layers, micro_batches, .. }, _) => {
                    *split(layers, micro_batches) = RawSplit::Proportional;
                }
                (plan, Some(anew)) => *plan = RawPlan::written_out(&anew?),
                _ => return Err(OPEN.to_owned()),
            }
            Ok(())
        }));
    };
    let (mut uneven_layers, mut uneven_batches) = (true, true);
    if let RawPlan::Uniform { layers, micro_batches, .. } = &scenario.raw.plan {
        uneven_layers = *layers != RawSplit::Proportional;
        uneven_batches = *micro_batches != RawSplit::Proportional;
    }
    let (_, stages, replicas) = degrees(&scenario.raw.plan);
    add(
        "balance_layers",
        "layers by the speed of cards",
        stages && uneven_layers,
        |layers, _| layers,
        balanced_layers,
    );
    add(
        "balance_micro_batches",
        "micro-batches by the speed of cards",
        replicas && uneven_batches,
        |_, batches| batches,
        balanced_micro_batches,
    );
    list
}

/// Which split of the shorthand.
type Split = for<'r> fn(&'r mut RawSplit, &'r mut RawSplit) -> &'r mut RawSplit;

/// The plan written anew.
type Anew = fn(&Prepared) -> Result<Plan, String>;

/// What a plan can have on or off.
fn switches(scenario: &Scenario) -> Vec<Change> {
    let mut list = Vec::new();
    let plan = &scenario.raw.plan;
    let (RawPlan::Uniform { sequence_parallel, gradient_sync, schedule, .. }
    | RawPlan::Explicit { sequence_parallel, gradient_sync, schedule, .. }) = plan
    else {
        return list;
    };
    let (splits, stages, replicas) = degrees(plan);
    if splits && !sequence_parallel {
        list.push(Change::raw(scenario, "sequence_parallel", "sequence parallelism", |raw| {
            let (RawPlan::Uniform { sequence_parallel, .. }
            | RawPlan::Explicit { sequence_parallel, .. }) = &mut raw.plan
            else {
                return Err(OPEN.to_owned());
            };
            *sequence_parallel = true;
            Ok(())
        }));
    }
    if replicas && *gradient_sync == RawGradientSync::AtEnd {
        let bucket = Bytes(BUCKET_PARAMETERS * f64::from(scenario.raw.training.gradient_bytes));
        let what = "gradients averaged while the last backward pass runs";
        list.push(Change::raw(scenario, "overlap_gradients", what, |raw| {
            let (RawPlan::Uniform { gradient_sync, .. } | RawPlan::Explicit { gradient_sync, .. }) =
                &mut raw.plan
            else {
                return Err(OPEN.to_owned());
            };
            *gradient_sync = RawGradientSync::Overlapped { bucket };
            Ok(())
        }));
    }
    if stages && matches!(schedule, RawSchedule::OneFOneB | RawSchedule::GPipe) {
        let what = "zero-bubble schedule H1";
        list.push(Change::raw(scenario, "zero_bubble", what, |raw| {
            let (RawPlan::Uniform { schedule, .. } | RawPlan::Explicit { schedule, .. }) =
                &mut raw.plan
            else {
                return Err(OPEN.to_owned());
            };
            *schedule = RawSchedule::ZeroBubble {
                order: RawZeroBubble::H1,
                activations: None,
                optimizer_step: motley_scenario::raw::RawOptimizerStep::default(),
            };
            Ok(())
        }));
    }
    let repeats = match plan {
        RawPlan::Uniform { recompute, .. } => *recompute != Recompute::None,
        RawPlan::Explicit { pipelines, .. } => pipelines
            .iter()
            .flat_map(|pipeline| &pipeline.stages)
            .any(|stage| stage.recompute != Recompute::None),
        RawPlan::Auto => false,
    };
    if repeats {
        list.push(Change::raw(scenario, "no_recompute", "nothing computed twice", |raw| {
            match &mut raw.plan {
                RawPlan::Uniform { recompute, .. } => *recompute = Recompute::None,
                RawPlan::Explicit { pipelines, .. } => pipelines
                    .iter_mut()
                    .flat_map(|pipeline| &mut pipeline.stages)
                    .for_each(|stage| stage.recompute = Recompute::None),
                RawPlan::Auto => return Err(OPEN.to_owned()),
            }
            Ok(())
        }));
    }
    list
}

/// Whether a plan splits layers over cards, has several stages, several replicas.
fn degrees(plan: &RawPlan) -> (bool, bool, bool) {
    match plan {
        RawPlan::Uniform { dp, tp, pp, .. } => (*tp > 1, *pp > 1, *dp > 1),
        RawPlan::Explicit { pipelines, .. } => {
            let stages = || pipelines.iter().flat_map(|pipeline| &pipeline.stages);
            (
                stages().any(|stage| stage.gpus.0.len() > stage.cp as usize),
                pipelines.iter().any(|pipeline| pipeline.stages.len() > 1),
                pipelines.len() > 1 || pipelines.iter().any(|pipeline| pipeline.repeat.is_some()),
            )
        }
        RawPlan::Auto => (false, false, false),
    }
}

/// More micro-batches, larger and smaller ones. Gains are those of throughput.
fn batches(scenario: &Scenario) -> Vec<Change> {
    let mut list = vec![Change::raw(
        scenario,
        "double_micro_batches",
        "twice the micro-batches, and so twice the global batch",
        |raw| {
            let batch = &mut raw.training.global_batch;
            *batch = batch.checked_mul(2).ok_or("the global batch is too large")?;
            match &mut raw.plan {
                RawPlan::Uniform { micro_batches: RawSplit::Counts(counts), .. } => {
                    for count in counts {
                        *count = count.saturating_mul(2);
                    }
                }
                RawPlan::Uniform { .. } | RawPlan::Auto => {}
                RawPlan::Explicit { pipelines, .. } => {
                    for pipeline in pipelines {
                        pipeline.micro_batches = pipeline.micro_batches.saturating_mul(2);
                    }
                }
            }
            Ok(())
        },
    )];
    let resize = |sort, what, size: fn(u32) -> Option<u32>, count: fn(u32) -> Option<u32>| {
        Change::raw(scenario, sort, what, |raw| {
            let odd = || "micro-batches cannot be divided by two".to_owned();
            match &mut raw.plan {
                RawPlan::Uniform { micro_batch_size, micro_batches, .. } => {
                    *micro_batch_size = size(*micro_batch_size).ok_or_else(odd)?;
                    if let RawSplit::Counts(counts) = micro_batches {
                        for each in counts {
                            *each = count(*each).ok_or_else(odd)?;
                        }
                    }
                }
                RawPlan::Explicit { pipelines, .. } => {
                    for pipeline in pipelines {
                        pipeline.micro_batch_size =
                            size(pipeline.micro_batch_size).ok_or_else(odd)?;
                        pipeline.micro_batches = count(pipeline.micro_batches).ok_or_else(odd)?;
                    }
                }
                RawPlan::Auto => return Err(OPEN.to_owned()),
            }
            Ok(())
        })
    };
    let double = |number: u32| number.checked_mul(2);
    let halve = |number: u32| number.is_multiple_of(2).then_some(number / 2);
    list.push(resize("larger_micro_batches", "micro-batches twice as large", double, halve));
    list.push(resize("smaller_micro_batches", "micro-batches half as large", halve, double));
    list
}

/// The arithmetic of the field that the scenario does not ask for, the fallback left as it is.
fn precisions(scenario: &Scenario) -> Vec<Change> {
    let asked = scenario.raw.training.precision;
    [
        ("fp16", Precision::Fp16),
        ("bf16", Precision::Bf16),
        ("fp8", Precision::Fp8(Fp8Recipe::Delayed)),
    ]
    .into_iter()
    .filter(|(_, other)| std::mem::discriminant(other) != std::mem::discriminant(&asked))
    .map(|(name, precision)| {
        Change::raw(scenario, "precision", format!("{name} arithmetic"), |raw| {
            raw.training.precision = precision;
            Ok(())
        })
    })
    .collect()
}

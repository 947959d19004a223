//! Lowering: from a plan on a cluster to a job.
//!
//! For each stage the *shape* of its work is found ([`shape`]). For each shape and kind of card the
//! passes through its layers are laid out as strands ([`passes`]) and put into a program in the
//! order of the schedule ([`program`]), once. For each stage the communicators are laid over the
//! routes that its cards really have ([`communicators`]). Programs name communicators by slot, so
//! that stages of equal shape share programs however their routes differ.

mod buckets;
mod classes;
mod communicators;
mod costs;
mod flops;
mod gradients;
mod memory;
mod names;
mod passes;
mod program;
mod programs;
mod shape;
mod strand;
mod walk;

use motley_collectives::{Fidelity, Layouts};
use motley_job::{Job, JobBuilder, Link, ProgramId};
use motley_topology::{Cluster, LinkId, RouteError};
use motley_workload::Shard;

use self::classes::Classes;
use self::communicators::Communicators;
use self::costs::{StageWork, costs};
use self::flops::stage_flops;
use self::gradients::{GradientGroup, gradient_groups, stage_parameters};
use self::names::{Names, streams};
use self::programs::{PassesId, Programs};
use self::shape::{ChunkShape, GradientShape, NormShape, SlotUse, StageShape};
use crate::lowered::{Lowered, Place};
use crate::plan::{GradientSync, Pipeline, Plan, Stage};
use crate::schedule::{OptimizerStep, Placement, Position};
use crate::times::KernelTimes;

/// Lowers a plan that [`crate::check_plan`] has accepted, its communication as finely as `fidelity`
/// asks.
///
/// `layouts` is what is known of the cluster's process groups; it learns those of the plan.
///
/// # Errors
/// If two cards that must communicate have no route.
pub fn lower(
    plan: &Plan,
    cluster: &Cluster,
    times: &KernelTimes,
    layouts: &mut Layouts,
    fidelity: Fidelity,
) -> Result<Lowered, RouteError> {
    let mut job = JobBuilder::new(links(cluster), streams::COUNT);
    let chunks = plan.pipelines.iter().flat_map(|p| &p.stages).map(|stage| stage.chunks.len());
    let names = Names::new(&mut job, chunks.max().unwrap_or(1) as u32);
    let groups = gradient_groups(plan, times.model(), times.training());
    let mut programs = Programs::new(times, names);
    let mut classes = Classes::default();

    // First every rank with its program, so that communicators know who their members are.
    let mut stages = Vec::new();
    let mut lowered = Lowered {
        job: Job::default(),
        places: Vec::new(),
        model_flops: Vec::new(),
        recomputed_flops: Vec::new(),
        memory: Vec::new(),
        paths: Vec::new(),
        fidelity,
        orders: Vec::new(),
    };
    for (p, pipeline) in plan.pipelines.iter().enumerate() {
        let placement = pipeline.placement(plan.schedule);
        let words =
            communicators::words_shared(pipeline, &placement, times.model(), times.training());
        let works: Vec<Work> = (0..pipeline.stages.len())
            .map(|s| {
                let shape = stage_shape(plan, &placement, p, s, &groups, &words, times);
                let gpus = pipeline.stages[s].gpus.iter();
                let passes = gpus.map(|&gpu| programs.passes(s, &shape, times.kind(gpu))).collect();
                Work { shape, passes }
            })
            .collect();
        let first_order =
            classes.first_order(plan.schedule, &placement, pipeline.micro_batches, || {
                let works: Vec<StageWork> = works
                    .iter()
                    .zip(&pipeline.stages)
                    .map(|(work, stage)| work.priced(stage, &programs, times))
                    .collect();
                costs(pipeline, &placement, plan.schedule, &works, cluster, times, layouts)
            })?;
        for (s, (Work { shape, passes }, stage)) in
            works.into_iter().zip(&pipeline.stages).enumerate()
        {
            let flops = stage_flops(pipeline, &placement, s, &shape, times);
            let order = first_order + s as u32;
            let first_rank = lowered.places.len() as u32;
            let mut members = Vec::with_capacity(stage.gpus.len());
            for (tensor_rank, (&gpu, &id)) in stage.gpus.iter().zip(&passes).enumerate() {
                let built = programs.program(id, order, &classes.orders, &mut job);
                members.push(built.program);
                lowered.places.push(Place {
                    gpu,
                    pipeline: p as u32,
                    stage: s as u32,
                    tensor_rank: tensor_rank as u32,
                    order,
                });
                let done = flops[tensor_rank];
                lowered.model_flops.push(done.model);
                lowered.recomputed_flops.push(done.again);
                lowered.memory.push(built.memory);
                lowered.paths.push(*times.path(times.kind(gpu)));
            }
            stages.push(StageRanks {
                first_rank,
                programs: members,
                passes,
                slots: shape.slots(),
                shape,
            });
        }
    }

    let mut communicators =
        Communicators::new(plan, cluster, times, layouts, fidelity, &groups, &stages);
    for (p, pipeline) in plan.pipelines.iter().enumerate() {
        communicators.pipeline(p, pipeline, &programs, &mut job)?;
    }
    communicators.gradients(&mut job)?;
    communicators.enter_ranks(&mut job);
    lowered.job = job.finish();
    lowered.orders = classes.orders;
    Ok(lowered)
}

/// What a stage does, before it is known in which order.
#[derive(Debug)]
struct Work {
    shape: StageShape,
    /// By tensor rank.
    passes: Vec<PassesId>,
}

impl Work {
    fn priced<'a>(
        &'a self,
        stage: &Stage,
        programs: &'a Programs,
        times: &KernelTimes,
    ) -> StageWork<'a> {
        let kinds = stage.gpus.iter().map(|&gpu| times.kind(gpu));
        let passes = self.passes.iter().map(|&id| programs.get(id));
        StageWork { shape: &self.shape, ranks: kinds.zip(passes).collect() }
    }
}

/// The ranks of one stage.
#[derive(Debug)]
struct StageRanks {
    first_rank: u32,
    /// By tensor rank.
    programs: Vec<ProgramId>,
    /// By tensor rank.
    passes: Vec<PassesId>,
    /// What the slots of the programs stand for.
    slots: Vec<SlotUse>,
    shape: StageShape,
}

fn links(cluster: &Cluster) -> Vec<Link> {
    (0..cluster.link_count())
        .map(|link| Link { capacity: cluster.capacity(LinkId(link)).0 })
        .collect()
}

/// Bytes of an activation element as the cards of a stage exchange it: the widest that one of them
/// computes in.
fn element_bytes(stage: &Stage, times: &KernelTimes) -> u32 {
    let width = |gpu| times.path(times.kind(gpu)).precision.element_bytes();
    stage.gpus.iter().map(|&gpu| width(gpu)).max().unwrap_or(4)
}

fn stage_shape(
    plan: &Plan,
    placement: &Placement,
    p: usize,
    s: usize,
    groups: &[GradientGroup],
    (sharing_words, word_shards): &(Vec<usize>, u32),
    times: &KernelTimes,
) -> StageShape {
    let pipeline = &plan.pipelines[p];
    let stage = &pipeline.stages[s];
    let tensor_parallel = stage.tensor_parallel();
    let chunks = (0..stage.chunks.len() as u32)
        .map(|chunk| ChunkShape::of(pipeline, placement, Position { stage: s as u32, chunk }));
    let mine = || groups.iter().filter(|group| group.is_held_by((p, s)));
    let reshard_bytes = mine()
        .filter(|group| group.shards != tensor_parallel)
        .map(|group| {
            let parameters: f64 = group.buckets.iter().map(|bucket| bucket.parameters).sum();
            let on_card = f64::from(group.shards / tensor_parallel);
            parameters * on_card * f64::from(times.training().gradient_bytes)
        })
        .sum();
    let [held, trained, quantised] =
        stage_parameters(times.model(), times.training(), pipeline, placement, s);
    let shard = Shard::new(tensor_parallel, plan.sequence_parallel, pipeline.micro_batch_size);
    StageShape {
        micro_batch_size: pipeline.micro_batch_size,
        tensor_parallel,
        sequence_parallel: plan.sequence_parallel,
        overlap_weight_gradient: plan.overlap_weight_gradient,
        recompute: stage.recompute,
        chunks: chunks.collect(),
        routes: placement.routes().len() as u32,
        element_bytes: element_bytes(stage, times),
        gradients: mine()
            .map(|group| GradientShape {
                shards: group.shards / tensor_parallel,
                buckets: group.buckets.iter().map(|bucket| bucket.items.clone()).collect(),
            })
            .collect(),
        overlap_gradients: matches!(plan.gradient_sync, GradientSync::Overlapped { .. }),
        embedding_shards: if sharing_words.contains(&s) {
            word_shards / tensor_parallel
        } else {
            0
        },
        norm: norm_shape(plan, pipeline, s),
        parameters: held.per_rank(&shard),
        trained_parameters: trained.per_rank(&shard),
        quantised_parameters: quantised.per_rank(&shard),
        reshard_bytes,
    }
}

fn norm_shape(plan: &Plan, pipeline: &Pipeline, s: usize) -> NormShape {
    let stages = pipeline.stages.len();
    if stages == 1 && pipeline.stages[0].gpus.len() <= 1 {
        return NormShape::Alone;
    }
    match plan.schedule.optimizer_step() {
        OptimizerStep::PostValidation if stages > 1 => {
            NormShape::Chain { receives: s > 0, sends: s + 1 < stages }
        }
        _ => NormShape::Meeting,
    }
}

//! Lowering: from a plan on a cluster to a job.
//!
//! For each stage the *shape* of its work is found ([`shape`]), for each shape and kind of card a
//! program is built once ([`program`]), and for each stage the communicators are laid over the
//! routes that its cards really have. Programs name communicators by slot, so that stages of equal
//! shape share programs however their routes differ.

mod communicators;
mod gradients;
mod load;
mod program;
mod shape;

use std::collections::HashMap;

use motley_collectives::{Fidelity, Layouts};
use motley_job::{Job, JobBuilder, Link, ProgramId};
use motley_topology::{Cluster, LinkId, RouteError};
use motley_workload::{MemoryUse, Shard};

use self::communicators::Communicators;
use self::gradients::{GradientGroup, gradient_groups, stage_parameters};
use self::load::{memory_use, model_flops, repeated_flops};
use self::program::{Names, Request, build, streams};
use self::shape::{ChunkShape, GradientShape, SlotUse, StageShape};
use crate::lowered::{Lowered, Place};
use crate::plan::{GradientSync, Plan, Stage};
use crate::times::{CardKind, KernelTimes};

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
    let names = Names::new(&mut job);
    let groups = gradient_groups(plan, times.model(), times.training());
    let mut programs = Programs::default();

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
    };
    for (p, pipeline) in plan.pipelines.iter().enumerate() {
        for (s, stage) in pipeline.stages.iter().enumerate() {
            let shape = stage_shape(plan, p, s, &groups, times);
            let first_rank = lowered.places.len() as u32;
            let mut members = Vec::with_capacity(stage.gpus.len());
            let mut tensor_calls = 0;
            for (tensor_rank, &gpu) in stage.gpus.iter().enumerate() {
                let kind = times.kind(gpu);
                tensor_calls = programs.find(&shape, kind, times, names, &mut job);
                let built = &programs.built[tensor_calls];
                members.push(built.program);
                lowered.places.push(Place {
                    gpu,
                    pipeline: p as u32,
                    stage: s as u32,
                    tensor_rank: tensor_rank as u32,
                });
                lowered.model_flops.push(built.model_flops);
                lowered.recomputed_flops.push(built.recomputed_flops);
                lowered.memory.push(built.memory);
                lowered.paths.push(*times.path(kind));
            }
            stages.push(StageRanks {
                first_rank,
                programs: members,
                tensor_calls,
                slots: shape.slots(),
                shape,
            });
        }
    }

    let mut communicators =
        Communicators::new(plan, cluster, times, layouts, fidelity, &groups, &stages);
    for (p, pipeline) in plan.pipelines.iter().enumerate() {
        communicators.pipeline(p, pipeline, &programs.built, &mut job)?;
    }
    communicators.gradients(&mut job)?;
    communicators.enter_ranks(&mut job);
    lowered.job = job.finish();
    Ok(lowered)
}

/// The ranks of one stage.
#[derive(Debug)]
struct StageRanks {
    first_rank: u32,
    /// By tensor rank.
    programs: Vec<ProgramId>,
    /// Which built program's calls the tensor-parallel group makes.
    tensor_calls: usize,
    /// What the slots of the programs stand for.
    slots: Vec<SlotUse>,
    shape: StageShape,
}

/// What depends on the shape of a stage and the kind of card alone.
#[derive(Debug)]
struct Built {
    shape: StageShape,
    program: ProgramId,
    /// What the program wants of its tensor-parallel group, by call number.
    tensor_calls: Vec<Request>,
    memory: MemoryUse,
    model_flops: f64,
    recomputed_flops: f64,
}

/// Programs by shape and kind of card.
#[derive(Debug, Default)]
struct Programs {
    /// Shapes hold floats, so they are found by comparison within a bucket of equal stages.
    known: HashMap<(u32, CardKind), Vec<usize>>,
    built: Vec<Built>,
}

impl Programs {
    /// The place in `built` of a shape on a kind of card, entered at its first use.
    fn find(
        &mut self,
        shape: &StageShape,
        kind: CardKind,
        times: &KernelTimes,
        names: Names,
        job: &mut JobBuilder,
    ) -> usize {
        let bucket = self.known.entry((shape.stage, kind)).or_default();
        if let Some(&index) = bucket.iter().find(|&&index| self.built[index].shape == *shape) {
            return index;
        }
        let (program, tensor_calls) = build(shape, kind, times, names);
        bucket.push(self.built.len());
        self.built.push(Built {
            shape: shape.clone(),
            program: job.program(&program),
            tensor_calls,
            memory: memory_use(shape, kind, times),
            model_flops: model_flops(shape, times),
            recomputed_flops: repeated_flops(shape, *times.path(kind), times),
        });
        self.built.len() - 1
    }
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
    p: usize,
    s: usize,
    groups: &[GradientGroup],
    times: &KernelTimes,
) -> StageShape {
    let pipeline = &plan.pipelines[p];
    let stage = &pipeline.stages[s];
    let last = s + 1 == pipeline.stages.len();
    let tensor_parallel = stage.tensor_parallel();
    let chunk_count = stage.chunks.len();
    let chunks = stage.chunks.iter().enumerate().map(|(c, range)| ChunkShape {
        first_layer: range.start,
        layers: range.end - range.start,
        embedding: s == 0 && c == 0,
        head: last && c + 1 == chunk_count,
    });
    let mine = || groups.iter().filter(|group| group.holders[p] == (p, s));
    let reshard_bytes = mine()
        .filter(|group| group.shards != tensor_parallel)
        .map(|group| {
            let parameters: f64 = group.buckets.iter().map(|bucket| bucket.parameters).sum();
            let on_card = f64::from(group.shards / tensor_parallel);
            parameters * on_card * f64::from(times.training().gradient_bytes)
        })
        .sum();
    let [held, trained] = stage_parameters(times.model(), times.training(), pipeline, s);
    let shard = Shard::new(tensor_parallel, plan.sequence_parallel, pipeline.micro_batch_size);
    StageShape {
        schedule: plan.schedule,
        stage: s as u32,
        stages: pipeline.stages.len() as u32,
        micro_batches: pipeline.micro_batches,
        micro_batch_size: pipeline.micro_batch_size,
        tensor_parallel,
        sequence_parallel: plan.sequence_parallel,
        overlap_weight_gradient: plan.overlap_weight_gradient,
        recompute: stage.recompute,
        chunks: chunks.collect(),
        element_bytes: element_bytes(stage, times),
        gradients: mine()
            .map(|group| GradientShape {
                shards: group.shards / tensor_parallel,
                ready: group.buckets.iter().map(|bucket| bucket.ready).collect(),
            })
            .collect(),
        overlap_gradients: matches!(plan.gradient_sync, GradientSync::Overlapped { .. }),
        embedding_shards: communicators::embedding_shards(
            pipeline,
            s,
            times.model(),
            times.training(),
        ) / tensor_parallel,
        gradient_norm: pipeline.stages.iter().map(|stage| stage.gpus.len()).sum::<usize>() > 1,
        parameters: held.per_rank(&shard),
        trained_parameters: trained.per_rank(&shard),
        reshard_bytes,
    }
}

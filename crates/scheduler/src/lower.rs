//! Lowering: from a plan on a cluster to a job.
//!
//! For each stage the *shape* of its work is found ([`shape`]). For each shape and kind of card the
//! passes through its layers are laid out as strands ([`passes`]) and put into a program in the
//! order of the schedule ([`program`]), once. For each stage the communicators are laid over the
//! routes that its cards really have ([`communicators`]). Programs name communicators by slot, so
//! that stages of equal shape share programs however their routes differ.

mod communicators;
mod gradients;
mod names;
mod passes;
mod program;
mod shape;
mod strand;

use std::collections::HashMap;

use motley_collectives::{Fidelity, Layouts};
use motley_job::{Job, JobBuilder, Link, ProgramId};
use motley_topology::{Cluster, LinkId, RouteError};
use motley_workload::{MemoryUse, StageLoad, head_forward_flops, layer_forward_flops, memory};

use self::communicators::Communicators;
use self::gradients::{GradientGroup, gradient_groups, stage_parameters};
use self::names::{Names, streams};
use self::passes::Passes;
use self::program::build;
use self::shape::{ChunkShape, GradientShape, SlotUse, StageShape};
use self::strand::Request;
use crate::lowered::{Lowered, Place};
use crate::order::{peak_in_flight, steps};
use crate::plan::{GradientSync, Pipeline, Plan, Stage};
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
    let groups = gradient_groups(plan, times.model(), times.training().gradient_bytes);
    let mut programs = Programs::default();

    // First every rank with its program, so that communicators know who their members are.
    let mut stages = Vec::new();
    let mut lowered = Lowered {
        job: Job::default(),
        places: Vec::new(),
        model_flops: Vec::new(),
        memory: Vec::new(),
        paths: Vec::new(),
        fidelity,
    };
    for (p, pipeline) in plan.pipelines.iter().enumerate() {
        for (s, stage) in pipeline.stages.iter().enumerate() {
            let shape = stage_shape(plan, p, s, &groups, times);
            let flops = rank_flops(pipeline, s, times);
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
                lowered.model_flops.push(flops);
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
        let passes = Passes::new(shape, kind, times, names);
        let program = build(shape, &passes, kind, times, names);
        bucket.push(self.built.len());
        self.built.push(Built {
            shape: shape.clone(),
            program: job.program(&program),
            tensor_calls: passes.tensor_calls,
            memory: stage_memory(shape, kind, times),
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
        embedding_shards: communicators::embedding_shards(pipeline, s, times.model())
            / tensor_parallel,
        gradient_norm: pipeline.stages.iter().map(|stage| stage.gpus.len()).sum::<usize>() > 1,
        parameters: stage_parameters(times.model(), plan, p, s) / f64::from(tensor_parallel),
        reshard_bytes,
    }
}

/// Forward and backward FLOPs of one rank in an iteration, without recompute. Backward costs twice
/// forward: a product for the input's gradient and one for the weights'.
fn rank_flops(pipeline: &Pipeline, s: usize, times: &KernelTimes) -> f64 {
    let stage = &pipeline.stages[s];
    let sequence_length = times.training().sequence_length;
    let mut forward =
        f64::from(stage.layer_count()) * layer_forward_flops(times.model(), sequence_length).0;
    if s + 1 == pipeline.stages.len() {
        forward += head_forward_flops(times.model(), sequence_length).0;
    }
    3.0 * forward * pipeline.sequences() as f64 / f64::from(stage.tensor_parallel())
}

fn stage_memory(shape: &StageShape, kind: CardKind, times: &KernelTimes) -> MemoryUse {
    let order = steps(
        shape.schedule,
        shape.stage,
        shape.stages,
        shape.micro_batches,
        shape.chunks.len() as u32,
    );
    let held = |weight: &dyn Fn(&ChunkShape) -> f64| {
        peak_in_flight(&order, |chunk| weight(&shape.chunks[chunk as usize]))
    };
    let load = StageLoad {
        parameters_per_gpu: shape.parameters,
        layers_in_flight: held(&|chunk| f64::from(chunk.layers)),
        embedding_in_flight: held(&|chunk| f64::from(u8::from(chunk.embedding))),
        head_in_flight: held(&|chunk| f64::from(u8::from(chunk.head))),
        recompute: shape.recompute,
        shard: shape.shard(),
    };
    memory(times.model(), times.training(), times.path(kind), &load)
}

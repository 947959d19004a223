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
mod copies;
mod costs;
mod flops;
mod gathers;
mod gradients;
mod launches;
mod memory;
mod names;
mod passes;
mod portions;
mod program;
mod programs;
mod shape;
mod states;
mod strand;
mod walk;

use motley_collectives::{Fidelity, Layouts};
use motley_job::{Job, JobBuilder, Link, ProgramId, RankId};
use motley_topology::{Cluster, GpuId, LinkId, RouteError};
use motley_workload::{Model, ProcessGroup, Training};

use self::classes::Classes;
use self::communicators::Communicators;
use self::copies::Copies;
use self::costs::{RankWork, StageWork, costs};
use self::flops::stage_flops;
use self::gradients::{
    GradientGroup, Holder, gradient_groups, part, stage_items, stage_parameters,
};
use self::names::{Names, streams};
use self::portions::Portions;
use self::programs::{PassesId, Programs};
use self::shape::{
    BucketShape, ChunkShape, GradientShape, NormShape, Routing, SlotUse, StageShape,
};
use self::states::States;
use crate::lowered::{Lowered, Place};
use crate::plan::{GradientSync, Pipeline, Plan, Stage};
use crate::schedule::{Costs, OptimizerStep, Placement, Position};
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
    let mut job = JobBuilder::new(links(cluster), streams::count(plan));
    let chunks = plan.pipelines.iter().flat_map(|p| &p.stages).map(|stage| stage.chunks.len());
    let names = Names::new(&mut job, chunks.max().unwrap_or(1) as u32);
    let copies = Copies::new(plan);
    let groups = gradient_groups(plan, times.model(), times.training(), &copies);
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
        moments: Vec::new(),
        course_of: Vec::new(),
        courses: Vec::new(),
        paths: Vec::new(),
        fidelity,
        orders: Vec::new(),
    };
    let placements: Vec<Placement> =
        plan.pipelines.iter().map(|pipeline| pipeline.placement(plan.schedule)).collect();
    let memory = |rank: RankId| times.memory(times.kind(copies.gpu(rank))).0;
    let portions: Vec<Portions> =
        groups.iter().map(|group| Portions::new(plan.zero, group, memory)).collect();
    let mut works: Vec<Vec<Work>> = Vec::with_capacity(plan.pipelines.len());
    for (p, pipeline) in plan.pipelines.iter().enumerate() {
        let placement = &placements[p];
        let words =
            communicators::words_shared(pipeline, placement, times.model(), times.training());
        let work = |s: usize| {
            let at = (placement, (p, s));
            let shape = stage_shape(plan, at, (&groups, &copies), &words, (cluster, times));
            let [held, trained, _] =
                stage_parameters(times.model(), times.training(), pipeline, placement, s);
            let parameters = [held, trained];
            let (layers, offload) = (times.model().layer_count(), pipeline.stages[s].offload);
            let items = stage_items(pipeline, placement, s, layers).into_iter();
            let held = |item| {
                let part = part(times.model(), item);
                times.model().held_parameters(part, times.training()).per_rank(&shape.shard)
            };
            let largest = items.map(held).fold(0.0, f64::max);
            let first_rank = copies.first_rank((p, s));
            let mut passes = Vec::with_capacity(pipeline.stages[s].gpus.len());
            let mut own = shape.clone();
            for (rank, &gpu) in (first_rank..).zip(&pipeline.stages[s].gpus) {
                let portion =
                    |(group, portions): (_, &Portions)| (group, portions.of(RankId(rank)));
                let held: Vec<(&GradientGroup, f64)> = groups
                    .iter()
                    .zip(&portions)
                    .filter(|(group, _)| group.is_held_by((p, s)))
                    .map(portion)
                    .collect();
                let sharded = (plan.zero.in_effect(), offload);
                own.states = States::new(parameters, &shape.shard, &held, sharded, largest);
                passes.push(programs.passes(s, &own, times.kind(gpu)));
            }
            Work { shape, passes }
        };
        works.push((0..pipeline.stages.len()).map(work).collect());
    }

    // Then the orders of their passes. Pipelines that meet in their passes follow one order, which
    // an automatic schedule makes for the slowest of them.
    let mut costs_of: Vec<Option<Costs>> = vec![None; plan.pipelines.len()];
    let mut leaders: Vec<usize> = (0..plan.pipelines.len()).collect();
    if plan.schedule.is_automatic() {
        leaders = copies.leaders(plan);
        for (p, pipeline) in plan.pipelines.iter().enumerate() {
            let priced: Vec<StageWork> = works[p]
                .iter()
                .zip(&pipeline.stages)
                .enumerate()
                .map(|(s, (work, stage))| {
                    let groups = copies.first_groups((p, s), &work.shape.shard);
                    work.priced(stage, groups, &programs, times)
                })
                .collect();
            let own =
                costs(pipeline, &placements[p], plan.schedule, &priced, cluster, times, layouts)?;
            let leader = leaders[p];
            costs_of[leader] = Some(match costs_of[leader].take() {
                Some(known) => known.slower(own),
                None => own,
            });
        }
    }

    for (p, (pipeline, works)) in plan.pipelines.iter().zip(works).enumerate() {
        let placement = &placements[p];
        let first_order = classes.first_order(
            plan.schedule,
            placement,
            pipeline.micro_batches,
            costs_of[leaders[p]].clone(),
        );
        for (s, (Work { shape, passes }, stage)) in
            works.into_iter().zip(&pipeline.stages).enumerate()
        {
            let flops = stage_flops(pipeline, placement, s, &shape, times);
            let order = first_order + s as u32;
            let first_rank = lowered.places.len() as u32;
            let mut members = Vec::with_capacity(stage.gpus.len());
            for (rank, (&gpu, &id)) in (0..).zip(stage.gpus.iter().zip(&passes)) {
                let built = programs.program(id, order, &classes.orders, &mut job);
                members.push(built.program);
                lowered.places.push(Place {
                    gpu,
                    pipeline: p as u32,
                    stage: s as u32,
                    stage_rank: rank,
                    order,
                });
                let done = flops[rank as usize];
                lowered.model_flops.push(done.model);
                lowered.recomputed_flops.push(done.again);
                lowered.memory.push(built.memory);
                lowered.moments.push(built.moment);
                lowered.course_of.push(id.number());
                lowered.paths.push(*times.path(times.kind(gpu)));
            }
            let mut slots = shape.slots();
            if passes.iter().any(|&id| !programs.get(id).launches.is_empty()) {
                slots.push(SlotUse::Launches);
                job.use_stream(streams::LAUNCHES);
            }
            stages.push(StageRanks { first_rank, programs: members, passes, slots, shape });
        }
    }

    let machine = (cluster, times, layouts, fidelity);
    let ranks = (&stages[..], &lowered.places[..]);
    let mut communicators = Communicators::new(machine, plan, (&groups, &copies), ranks);
    for (p, pipeline) in plan.pipelines.iter().enumerate() {
        communicators.pipeline(p, pipeline, &programs, &mut job)?;
    }
    communicators.experts(&programs, &mut job)?;
    communicators.hosts(&programs, &mut job)?;
    communicators.launches(&programs, &mut job);
    communicators.gradients(&mut job)?;
    communicators.enter_ranks(&mut job);
    lowered.courses = programs.into_courses();
    lowered.job = job.finish();
    lowered.orders = classes.orders;
    Ok(lowered)
}

/// How many copies of the same parameters a plan has, and whether they are experts, where they do not
/// divide into the groups that share out their states.
pub(crate) fn uneven_copies(
    plan: &Plan,
    model: &Model,
    training: &Training,
) -> Option<(usize, bool)> {
    let groups = gradient_groups(plan, model, training, &Copies::new(plan));
    let uneven =
        |group: &&GradientGroup| !group.copies.len().is_multiple_of(group.sharing(plan.zero.group));
    groups.iter().find(uneven).map(|group| (group.copies.len(), group.experts))
}

/// What a stage does, before it is known in which order.
#[derive(Debug)]
struct Work {
    /// What all its ranks have in common.
    shape: StageShape,
    /// By rank of the stage.
    passes: Vec<PassesId>,
}

impl Work {
    fn priced<'a>(
        &'a self,
        stage: &Stage,
        groups: [Vec<GpuId>; ProcessGroup::ALL.len()],
        programs: &'a Programs,
        times: &KernelTimes,
    ) -> StageWork<'a> {
        let kinds = stage.gpus.iter().map(|&gpu| times.kind(gpu));
        let ranks = kinds.zip(&self.passes).map(|(kind, &id)| RankWork {
            kind,
            shape: programs.shape(id),
            passes: programs.get(id),
        });
        StageWork { shape: &self.shape, groups, ranks: ranks.collect() }
    }
}

/// The ranks of one stage.
#[derive(Debug)]
struct StageRanks {
    first_rank: u32,
    /// By rank of the stage.
    programs: Vec<ProgramId>,
    /// By rank of the stage.
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
    (placement, (p, s)): (&Placement, Holder),
    (groups, copies): (&[GradientGroup], &Copies),
    (sharing_words, word_shards): &(Vec<usize>, u32),
    (cluster, times): (&Cluster, &KernelTimes),
) -> StageShape {
    let (model, training) = (times.model(), times.training());
    let pipeline = &plan.pipelines[p];
    let stage = &pipeline.stages[s];
    let shard = stage.shard(plan.sequence_parallel, pipeline.micro_batch_size);
    let chunks = (0..stage.chunks.len() as u32)
        .map(|chunk| ChunkShape::of(pipeline, placement, Position { stage: s as u32, chunk }));
    let mine: Vec<&GradientGroup> =
        groups.iter().filter(|group| group.is_held_by((p, s))).collect();
    let resharded = mine.iter().filter(|group| group.shards_on_rank(&shard) > 1);
    let reshard_bytes = resharded
        .map(|group| {
            let on_rank = f64::from(group.shards_on_rank(&shard));
            group.trained() * on_rank * f64::from(training.gradient_bytes)
        })
        .sum();
    let [_, _, quantised] = stage_parameters(model, training, pipeline, placement, s);
    let shared =
        |group: &GradientGroup| plan.zero.stage() > 0 && group.sharing(plan.zero.group) > 1;
    let gradient = |group: &&GradientGroup| GradientShape {
        shards: group.shards_on_rank(&shard),
        buckets: group
            .buckets
            .iter()
            .map(|bucket| BucketShape {
                items: bucket.items.clone(),
                trained: bucket.parameters > 0.0,
            })
            .collect(),
        shared: shared(group),
        replicated: shared(group) && group.sharing(plan.zero.group) < group.copies.len(),
    };
    let degrees = [
        stage.tensor_parallel(),
        stage.context.degree,
        if stage.keeps_tokens() { 1 } else { stage.expert_degrees().0 },
    ];
    let has_experts = stage.layer_parts(model).iter().any(|&(part, _)| model.has_experts(part));
    StageShape {
        shard,
        overlap_weight_gradient: plan.overlap_weight_gradient,
        overlap_tensor: plan.overlap_tensor,
        recompute: stage.recompute,
        chunks: chunks.collect(),
        routes: placement.routes().len() as u32,
        element_bytes: element_bytes(stage, times),
        dispatch: (has_experts && !stage.keeps_tokens()).then(|| {
            let group = &copies.first_groups((p, s), &shard)[ProcessGroup::Expert as usize];
            let mut nodes: Vec<_> = group.iter().map(|&gpu| cluster.node_of(gpu)).collect();
            nodes.sort_unstable();
            nodes.dedup();
            Routing {
                dispatch: stage.experts.dispatch,
                element_bytes: stage
                    .gpus
                    .iter()
                    .map(|&gpu| training.dispatch_bytes(times.path(times.kind(gpu))))
                    .fold(0.0, f64::max),
                ranks: group.len() as u32,
                nodes: nodes.len() as u32,
            }
        }),
        gradients: mine.iter().map(gradient).collect(),
        overlap_gradients: matches!(plan.gradient_sync, GradientSync::Overlapped { .. }),
        sharded: plan.zero.in_effect(),
        embedding_shards: if sharing_words.contains(&s) {
            word_shards / stage.tensor_parallel()
        } else {
            0
        },
        norm: norm_shape(plan, pipeline, s),
        states: States::default(),
        offload: stage.offload,
        ranks_on_node: if stage.offload.optimizer {
            copies.ranks_on_node(cluster, (p, s))
        } else {
            1
        },
        quantised_parameters: quantised.per_rank(&shard),
        communicators: communicators_of(plan, pipeline, &mine, &degrees),
        reshard_bytes,
    }
}

/// How many communicators of two ranks, and of more, a rank of a stage is a member of: its process
/// groups, the replicas of what it holds, the stages of its pipeline, the ranks of its pipeline, and the
/// world, in which frameworks meet before the first iteration.
fn communicators_of(
    plan: &Plan,
    pipeline: &Pipeline,
    groups: &[&GradientGroup],
    degrees: &[u32],
) -> [u32; 2] {
    let stages = pipeline.stages.len();
    let ranks = pipeline.stages.iter().map(|stage| stage.gpus.len()).sum::<usize>();
    let replicas = |experts| {
        let copies = groups.iter().filter(|group| group.experts == experts);
        copies.map(|group| group.copies.len()).max().unwrap_or(1)
    };
    let model = if stages > 1 && ranks > stages { ranks } else { 1 };
    let sizes = degrees.iter().map(|&degree| degree as usize);
    let sizes = sizes.chain([stages, model, replicas(false), replicas(true), plan.gpus().count()]);
    sizes.fold([0, 0], |[pairs, more], size| match size {
        0 | 1 => [pairs, more],
        2 => [pairs + 1, more],
        _ => [pairs, more + 1],
    })
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

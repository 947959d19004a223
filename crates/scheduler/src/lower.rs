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
mod measured_share;
mod memory;
mod names;
mod passes;
mod portions;
mod price;
mod program;
mod programs;
mod shape;
mod stage;
mod states;
mod strand;
mod walk;
mod work;

use motley_collectives::{Fidelity, Layouts};
use motley_job::{Job, JobBuilder, Link, ProgramId};
use motley_topology::{Cluster, LinkId, RouteError};
use motley_workload::{Model, Training};

use self::classes::Classes;
use self::communicators::Communicators;
use self::copies::Copies;
use self::costs::costs;
use self::flops::stage_flops;
use self::gradients::{GradientGroup, gradient_groups, groups_of_stages};
use self::measured_share::measured_share;
use self::names::{Names, streams};
use self::programs::{PassesId, Programs};
use self::shape::{SlotUse, StageShape};
use self::work::{Held, Work};
use crate::collective_times::CollectiveSources;
use crate::lowered::{Lowered, Place};
use crate::measured::KernelSources;
use crate::plan::Plan;
use crate::schedule::{Costs, Placement};
use crate::times::KernelTimes;

pub use self::price::{StagePrice, price};

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
    let groups_of = groups_of_stages(plan, &groups);
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
        kernel_sources: KernelSources::default(),
        collective_sources: CollectiveSources::default(),
        fidelity,
        orders: Vec::new(),
    };
    let placements: Vec<Placement> =
        plan.pipelines.iter().map(|pipeline| pipeline.placement(plan.schedule)).collect();
    let held = Held::new(plan, (cluster, times), (&copies, &groups, &groups_of));
    let mut works: Vec<Vec<Work>> = Vec::with_capacity(plan.pipelines.len());
    for (p, pipeline) in plan.pipelines.iter().enumerate() {
        let words =
            communicators::words_shared(pipeline, &placements[p], times.model(), times.training());
        works.push(held.pipeline((&placements[p], &words), p, &mut programs));
    }

    // Then the orders of their passes. Pipelines that meet in their passes follow one order, which
    // an automatic schedule makes for the slowest of them.
    let mut costs_of: Vec<Option<Costs>> = vec![None; plan.pipelines.len()];
    let mut leaders: Vec<usize> = (0..plan.pipelines.len()).collect();
    if plan.schedule.is_automatic() {
        leaders = copies.leaders(plan, times.model());
        for (p, pipeline) in plan.pipelines.iter().enumerate() {
            let priced = held.priced(p, &works[p], &programs);
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
    let timed = communicators.enter_ranks(&mut job);
    lowered.courses = programs.into_courses();
    lowered.job = job.finish();
    lowered.kernel_sources = times.sources();
    lowered.collective_sources = times.collectives().sources(cluster);
    lowered.collective_sources.measured_time_ratio = measured_share(&lowered.job, &timed);
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

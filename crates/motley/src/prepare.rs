//! From a scenario to a job: everything before the replay.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use motley_collectives::Layouts;
use motley_engine::{Fold, draw_slowness, expected_slowest};
use motley_hardware::Catalog;
use motley_job::{Op, RankId};
use motley_scenario::{Pace, PlanChoice, Scenario};
use motley_scheduler::{
    ComputeSpeed, KernelTimes, Lowered, Plan, PlanError, PlanPath, check_plan, lower,
};
use motley_topology::Cluster;
use motley_workload::{ProfiledCollective, ProfiledKernel};

use crate::SimulateError;

/// A scenario made ready to be replayed.
#[derive(Debug)]
pub struct Prepared<'a> {
    /// What was asked.
    pub scenario: &'a Scenario,
    /// The machine.
    pub cluster: Arc<Cluster>,
    /// The plan, written out.
    pub plan: Plan,
    /// The job, and what its ranks stand for.
    pub lowered: Lowered,
    /// The kernels that the job is made of, each card, precision and shape once, with their times.
    pub kernels: Vec<ProfiledKernel>,
    /// The collectives that it calls, each kind, communicator and size once, with their times when
    /// nothing else moves; without those that no profile can have.
    pub collectives: Vec<ProfiledCollective>,
    /// See [`Prepared::fold`].
    fold: OnceLock<Option<Fold>>,
}

/// Builds the cluster, writes the plan out, checks it and lowers it to a job.
///
/// # Errors
/// If the scenario cannot be simulated; see [`SimulateError`].
pub fn prepare(scenario: &Scenario) -> Result<Prepared<'_>, SimulateError> {
    let cluster = Arc::new(Cluster::build(scenario.cluster.clone())?);
    prepare_with(scenario, cluster, &mut Layouts::new(false))
}

/// The same on a cluster that is built, with what is known of its process groups.
pub(crate) fn prepare_with<'s>(
    scenario: &'s Scenario,
    cluster: Arc<Cluster>,
    layouts: &mut Layouts,
) -> Result<Prepared<'s>, SimulateError> {
    let catalog = Catalog::builtin();
    let (model, training) = (&scenario.model, &scenario.training);
    let profile = scenario.profile.as_ref();
    let reject = |errors| SimulateError::Plan(Box::new(scenario.reject_plan(errors)));

    let plan = match &scenario.plan {
        PlanChoice::Auto => {
            let nobody = PlanError::new(
                PlanPath::Plan,
                "the plan is `Auto`: nobody has said yet who does what",
            );
            let help = "let it be searched: `motley plan FILE -o PLANNED.ron` writes a scenario \
                        with the best plan that it finds";
            return Err(reject(vec![nobody.help(help)]));
        }
        PlanChoice::Explicit(plan) => plan.clone(),
        PlanChoice::Uniform(uniform) => {
            let times =
                KernelTimes::new(&cluster, catalog, model, training, profile, cluster.gpus())
                    .map_err(reject)?;
            let speed = ComputeSpeed {
                times: &times,
                shard: uniform.shard(),
                recompute: uniform.recompute,
            };
            uniform.expand(&cluster, model, scenario.global_batch, &speed).map_err(reject)?
        }
    };
    prepare_plan(scenario, plan, cluster, layouts)
}

/// The same with a plan that is not the scenario's own.
pub(crate) fn prepare_plan<'s>(
    scenario: &'s Scenario,
    plan: Plan,
    cluster: Arc<Cluster>,
    layouts: &mut Layouts,
) -> Result<Prepared<'s>, SimulateError> {
    let catalog = Catalog::builtin();
    let (model, training) = (&scenario.model, &scenario.training);
    let profile = scenario.profile.as_ref();
    let reject = |errors| SimulateError::Plan(Box::new(scenario.reject_plan(errors)));
    let errors = check_plan(&plan, &cluster, catalog, model, training, scenario.global_batch);
    if !errors.is_empty() {
        return Err(reject(errors));
    }

    let times = KernelTimes::new(&cluster, catalog, model, training, profile, plan.gpus())
        .map_err(reject)?;
    let mut lowered = lower(&plan, &cluster, &times, layouts, scenario.fidelity)?;
    slow_down(&mut lowered, &cluster, scenario);
    let (kernels, collectives) = times.into_asked();
    let fold = OnceLock::new();
    Ok(Prepared { scenario, cluster, plan, lowered, kernels, collectives, fold })
}

/// Gives each rank the speed of its card.
fn slow_down(lowered: &mut Lowered, cluster: &Cluster, scenario: &Scenario) {
    let spread = scenario.noise.card_spread;
    if spread == 0.0 {
        return;
    }
    let ranks = lowered.job.ranks.iter_mut().zip(&lowered.places);
    match scenario.noise.pace {
        // Drawn by the card's number, not the rank's: a card keeps its speed whatever the plan does
        // with it.
        Pace::Own => ranks.for_each(|(rank, place)| {
            rank.slowness = draw_slowness(scenario.seed, RankId(place.gpu.0), spread);
        }),
        Pace::Slowest => {
            let mut cards: BTreeMap<&str, u32> = BTreeMap::new();
            for place in &lowered.places {
                *cards.entry(&cluster.device(place.gpu).id).or_default() += 1;
            }
            ranks.for_each(|(rank, place)| {
                let count = cards[cluster.device(place.gpu).id.as_str()];
                rank.slowness = expected_slowest(count, spread);
            });
        }
    }
}

impl Prepared<'_> {
    /// The job with ranks that cannot be told apart taken as one, if there are such. Jitter tells
    /// all apart.
    pub fn fold(&self) -> Option<&Fold> {
        let jitter = self.scenario.noise.kernel_jitter > 0.0;
        self.fold.get_or_init(|| if jitter { None } else { Fold::of(&self.lowered.job) }).as_ref()
    }

    /// How many operations one replay executes on compute streams, for those who measure progress by
    /// simulated work: of the job, or of its fold where ranks need not be told apart.
    pub fn operations(&self, tell_ranks_apart: bool) -> u64 {
        let fold = if tell_ranks_apart { None } else { self.fold() };
        let job = fold.map_or(&self.lowered.job, Fold::job);
        let of_program = job.program_sums(|op| u64::from(!matches!(op, Op::Issue { .. })));
        job.ranks.iter().map(|rank| of_program[rank.program.0 as usize]).sum()
    }
}

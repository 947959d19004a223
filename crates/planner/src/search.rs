//! The whole search: what rivals would choose, templates, replicas, then changes to the best, all
//! ranked by the engine.

use motley::{Evaluator, Scenario, SimulateError};
use motley_collectives::Layouts;
use motley_hardware::Catalog;
use motley_scenario::PlanChoice;
use motley_scheduler::{KernelTimes, Plan, PlanError, PlanPath};
use motley_topology::Cluster;
use motley_units::Time;

use crate::bound::lower_bound;
use crate::combination::{combinations, sizes};
use crate::costs::Pricing;
use crate::effort::Effort;
use crate::exchange::Exchange;
use crate::mixes::mixes;
use crate::neighbours::neighbours;
use crate::pool::Pool;
use crate::rank::{Judge, Judged, Origin};
use crate::replicas::replicas;
use crate::rivals::{Field, hexiscale, metis, sailor, uniform};
use crate::settings::{Settings, has_experts};
use crate::sketch::{Placing, Sketch};

/// Combinations that are looked at.
const COMBINATIONS: usize = 400;

/// Sketches of mixes, and of replicas, that the engine is asked about at most.
const ASKED: [usize; 2] = [64, 24];

/// Plans that are judged side by side.
const BATCH: usize = 32;

/// Plans from which changes are tried: the first in any case, the others as long as most of the budget
/// is left.
const STARTS: [usize; 2] = [6, 40];

/// How far a search goes, and what it starts from.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// What two cores do in so many seconds, counted in plans and operations: the search stops then,
    /// with the best that it has.
    pub budget_s: f64,
    /// How stages work; unless given, as in the scenario's own plan, which is then ranked, too.
    pub settings: Option<Settings>,
}

impl Default for Options {
    fn default() -> Self {
        Self { budget_s: 6.0, settings: None }
    }
}

/// Where a search is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// What it is at.
    pub stage: &'static str,
    /// Of the work that it may do, the share that is done, 0 to 1.
    pub share: f64,
    /// Plans that the engine was asked about.
    pub plans: u64,
    /// The best time so far.
    pub best: Option<Time>,
}

/// What a search has found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The cards.
    pub pool: Pool,
    /// The scenario's own plan, if it has one.
    pub baseline: Option<Judged>,
    /// What each rival would choose: the first by its rule that fits; none if none does.
    pub rivals: Vec<(Origin, Option<Judged>)>,
    /// All plans that count, best first.
    pub ranked: Vec<Judged>,
    /// Seconds that no plan of this search can beat.
    pub lower_bound_s: f64,
    /// Plans that the engine was asked about.
    pub plans: u64,
    /// Operations of their replays.
    pub operations: u64,
    /// The budget ended the search before it was done.
    pub cut: bool,
}

impl Found {
    /// The best plan, if one fits.
    pub fn best(&self) -> Option<&Judged> {
        self.ranked.first().filter(|best| best.fits())
    }
}

/// Searches the best plans for a scenario's cluster and model.
///
/// # Errors
/// If the scenario cannot be simulated whatever the plan, or no card can run its training.
pub fn search(
    scenario: &Scenario,
    options: &Options,
    progress: &dyn Fn(Progress),
) -> Result<Found, SimulateError> {
    let cluster = Cluster::build(scenario.cluster.clone())?;
    let pool = Pool::new(scenario, &cluster);
    if pool.types.is_empty() {
        let refused = pool.refused.first().map_or("", |(_, why)| why.as_str());
        let error = PlanError::new(
            PlanPath::Training("precision"),
            format!("no card of the cluster can run the training: {refused}"),
        );
        return Err(SimulateError::Plan(Box::new(scenario.reject_plan(vec![error]))));
    }
    let settings = options.settings.clone().unwrap_or_else(|| Settings::of(scenario));
    let usable = pool.types.iter().flat_map(|kind| kind.nodes.iter().flatten().copied());
    let times = KernelTimes::new(
        &cluster,
        Catalog::builtin(),
        &scenario.model,
        &scenario.training,
        scenario.profile.as_ref(),
        usable,
    )
    .map_err(|errors| SimulateError::Plan(Box::new(scenario.reject_plan(errors))))?;
    let mut pricing = Pricing {
        scenario,
        cluster: &cluster,
        times,
        pool: &pool,
        settings: settings.clone(),
        experts: has_experts(scenario),
        layouts: Layouts::new(true),
    };
    let mut judge = Judge::new(scenario, Effort::of_seconds(options.budget_s));
    let report = |stage: &'static str, judge: &Judge| {
        progress(Progress {
            stage,
            share: judge.effort.share(),
            plans: judge.effort.plans(),
            best: judge.ranked.first().and_then(|best| best.time),
        });
    };

    let mut baseline = None;
    if options.settings.is_none() && scenario.plan != PlanChoice::Auto {
        let own = Evaluator::new().prepare(scenario)?.plan;
        baseline = judge.judge(vec![own], Origin::Scenario).pop().flatten();
    }
    report("prices", &judge);
    let combinations = combinations(&mut pricing, COMBINATIONS);
    let kinds: Vec<usize> = (0..pool.types.len()).collect();
    let per_byte = pricing.sync(&kinds, 1e9) / 1e9;
    let sync = move |bytes: f64| per_byte * bytes;
    let exchange = Exchange::of(&mut pricing, &combinations);
    let field = Field {
        pool: &pool,
        settings: &settings,
        experts: pricing.experts,
        layers: scenario.model.layer_count(),
        batch: scenario.global_batch,
        combinations: &combinations,
    };

    report("rivals", &judge);
    let proposals = [
        (Origin::Uniform, uniform(&mut pricing)),
        (Origin::Metis, metis(&field, &sync)),
        (Origin::Sailor, sailor(&field, &sync)),
        (Origin::HexiScale, hexiscale(&field, &sync)),
    ];
    let mut rivals = Vec::new();
    for (origin, plans) in proposals {
        // Of uniform plans people try a few; rivals trust their formula, as far as its plans fit.
        let at_once = if origin == Origin::Uniform { plans.len().max(1) } else { 1 };
        let mut chosen = None;
        for plans in plans.chunks(at_once) {
            let judged = judge.judge(plans.to_vec(), origin).into_iter().flatten();
            chosen = judged.filter(Judged::fits).min_by_key(Judged::order);
            if chosen.is_some() {
                break;
            }
        }
        rivals.push((origin, chosen));
        report("rivals", &judge);
    }

    let alone: Vec<Plan> = replicas(&mut pricing)
        .iter()
        .take(ASKED[1])
        .filter_map(|(_, sketch)| {
            sketch.place(&pool, &settings, false, Placing::PipelineByPipeline)
        })
        .collect();
    let place = |sketches: &[(f64, Sketch)], most: usize| -> Vec<Plan> {
        sketches
            .iter()
            .take(most)
            .flat_map(|(_, sketch)| {
                Placing::ALL.map(|placing| sketch.place(&pool, &settings, pricing.experts, placing))
            })
            .flatten()
            .collect()
    };
    let mixed = place(&mixes(&field, &exchange), ASKED[0]);
    for (stage, origin, plans) in
        [("replicas", Origin::Replicas, alone), ("templates", Origin::Templates, mixed)]
    {
        for batch in plans.chunks(BATCH) {
            // What is left is for changes.
            if judge.effort.share() > 0.6 {
                judge.effort.cut();
                break;
            }
            judge.judge(batch.to_vec(), origin);
            report(stage, &judge);
        }
    }
    improve(&mut judge, &pool, &report);

    let mut all: Vec<u32> =
        if scenario.model.tokens().is_some() { (1..=16).collect() } else { sizes(&pricing) };
    all.extend(
        judge.ranked.iter().flat_map(|judged| {
            judged.plan.pipelines.iter().map(|pipeline| pipeline.micro_batch_size)
        }),
    );
    all.sort_unstable();
    all.dedup();
    let lower_bound_s = lower_bound(&pricing, &all);
    drop(pricing);
    Ok(Found {
        baseline,
        rivals,
        lower_bound_s,
        plans: judge.effort.plans(),
        operations: judge.effort.operations(),
        cut: judge.effort.was_cut(),
        ranked: judge.ranked,
        pool,
    })
}

/// Changes the best plans as long as that makes them better, and goes on from the next best of
/// another shape.
fn improve(judge: &mut Judge, pool: &Pool, report: &dyn Fn(&'static str, &Judge)) {
    let mut tried: Vec<Plan> = Vec::new();
    for number in 0..STARTS[1] {
        if number >= STARTS[0] && judge.effort.share() > 0.3 {
            break;
        }
        let Some(start) = judge
            .ranked
            .iter()
            .filter(|judged| judged.fits() && judged.origin != Origin::Neighbour)
            .find(|judged| !tried.contains(&judged.plan))
            .or_else(|| judge.ranked.first().filter(|first| !tried.contains(&first.plan)))
            .cloned()
        else {
            break;
        };
        tried.push(start.plan.clone());
        let mut current = start;
        loop {
            let all = neighbours(&current.plan, pool);
            let mut best: Option<Judged> = None;
            for batch in all.chunks(BATCH) {
                let found = judge.judge(batch.to_vec(), Origin::Neighbour);
                let found = found.into_iter().flatten().min_by_key(Judged::order);
                if let Some(found) = found
                    && best.as_ref().is_none_or(|best| found.order() < best.order())
                {
                    best = Some(found);
                }
                report("changes", judge);
                if judge.effort.is_spent() {
                    break;
                }
            }
            match best.filter(|best| best.order() < current.order()) {
                Some(better) if !judge.effort.is_spent() => current = better,
                _ => break,
            }
        }
        if judge.effort.is_spent() {
            judge.effort.cut();
            break;
        }
    }
}

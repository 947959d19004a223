//! What a search says: the best plans with all that the engine knows of them.

use motley::{Evaluator, Report, Scenario, SimulateError};
use motley_report::{Breakdown, CardType, PlanSummary};
use motley_scenario::raw::{RawPlan, RawScenario};
use motley_scheduler::Plan;
use motley_units::Time;
use serde::Serialize;

use crate::alone::Mixing;
use crate::export::{flagscale, megatron};
use crate::frameworks::{Verdict, verdicts};
use crate::rank::{Judged, Origin};
use crate::search::Found;

/// One of the best plans.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Who thought of it.
    pub origin: Origin,
    /// The plan.
    pub plan: Plan,
    /// What the engine says.
    pub report: Report,
    /// How much longer it takes than the lower bound, as a share of that.
    pub gap_ratio: f64,
    /// Who can run it.
    pub frameworks: Vec<Verdict>,
    /// Megatron-LM's flags, if it can.
    pub megatron: Option<Vec<String>>,
    /// FlagScale's keys, if it can.
    pub flagscale: Option<Vec<String>>,
}

/// What somebody else would choose.
#[derive(Clone, Debug, Serialize)]
pub struct Choice {
    /// Who.
    pub origin: Origin,
    /// Its time; none if it has no plan that fits.
    pub iteration_time_s: Option<f64>,
    /// How much longer it takes than the best plan, as a share of that.
    pub over_best_ratio: Option<f64>,
    /// Cards that it uses.
    pub used_card_count: Option<u32>,
}

/// The best plan that leaves a type of card out.
#[derive(Clone, Debug, Serialize)]
pub struct Without {
    /// The type, by its vendor's name.
    pub card: String,
    /// The time.
    pub iteration_time_s: f64,
    /// How much longer that takes than the best plan, as a share of that; 0 if that leaves it out.
    pub over_best_ratio: f64,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was found.
    pub found: Found,
    /// What each type of card is good for, if plans without it were looked at.
    pub without: Vec<Without>,
    /// What the mix makes of its types, if it has several and that was searched.
    pub mixing: Option<Mixing>,
    /// The best plans, each of another shape, best first. Empty if nothing fits.
    pub plans: Vec<Candidate>,
    /// The scenario's own plan and what rivals would choose.
    pub choices: Vec<Choice>,
}

impl Answer {
    /// Reports on the `top` best plans of a search.
    ///
    /// # Errors
    /// If one of them cannot be simulated after all, which would be a defect.
    pub fn new(
        scenario: &Scenario,
        found: Found,
        mixing: Option<Mixing>,
        top: usize,
    ) -> Result<Self, SimulateError> {
        let mut evaluator = Evaluator::new();
        let mut plans: Vec<Candidate> = Vec::new();
        let mut shapes: Vec<String> = Vec::new();
        for judged in found.ranked.iter().filter(|judged| judged.fits()) {
            if plans.len() == top {
                break;
            }
            let shape = shape(judged, &found);
            if shapes.contains(&shape) {
                continue;
            }
            shapes.push(shape);
            let report = evaluator.prepare_plan(scenario, judged.plan.clone())?.conclude()?;
            let seconds = report.iteration_time.mean.as_secs_f64();
            plans.push(Candidate {
                origin: judged.origin,
                gap_ratio: seconds / found.lower_bound_s - 1.0,
                frameworks: verdicts(&judged.plan, &found.pool),
                megatron: megatron(&judged.plan, &found.pool, scenario.global_batch).ok(),
                flagscale: flagscale(&judged.plan, &found.pool).ok(),
                plan: judged.plan.clone(),
                report,
            });
        }
        let best = found.best().and_then(|best| best.time);
        let choice = |origin: Origin, judged: Option<&Judged>| {
            let time = judged.filter(|judged| judged.fits()).and_then(|judged| judged.time);
            Choice {
                origin,
                iteration_time_s: time.map(Time::as_secs_f64),
                over_best_ratio: time
                    .zip(best)
                    .map(|(time, best)| time.as_secs_f64() / best.as_secs_f64() - 1.0),
                used_card_count: judged.map(|judged| judged.plan.gpus().count() as u32),
            }
        };
        let own = found.baseline.iter().map(|own| choice(Origin::Scenario, Some(own)));
        let rivals = found.rivals.iter().map(|(origin, judged)| choice(*origin, judged.as_ref()));
        let choices = own.chain(rivals).collect();
        let without = match best {
            Some(best) => without(&found, best.as_secs_f64()),
            None => Vec::new(),
        };
        Ok(Self { found, without, mixing, plans, choices })
    }

    /// What [`motley::json`] makes a document of, every number with its unit.
    pub fn document(&self) -> impl Serialize + '_ {
        let refused = self.found.pool.refused.iter();
        Document {
            lower_bound_s: self.found.lower_bound_s,
            evaluated_plan_count: self.found.plans,
            replayed_operation_count: self.found.operations,
            budget_cut: self.found.cut,
            refused_cards: refused.map(|(card, reason)| RefusedCard { card, reason }).collect(),
            choices: &self.choices,
            without: &self.without,
            mixing: self.mixing.as_ref(),
            plans: self.plans.iter().map(PlanDocument::of).collect(),
        }
    }

    /// The scenario with one of its plans in place of its own.
    pub fn scenario(&self, scenario: &Scenario, candidate: &Candidate) -> RawScenario {
        RawScenario { plan: RawPlan::written_out(&candidate.plan), ..scenario.raw.clone() }
    }
}

fn without(found: &Found, best: f64) -> Vec<Without> {
    let types = found.pool.types.iter().enumerate();
    let of_type = |(kind, card): (usize, &crate::pool::CardType)| {
        let spares =
            |judged: &&Judged| judged.plan.gpus().all(|gpu| found.pool.type_of(gpu) != Some(kind));
        let plan = found.ranked.iter().filter(|judged| judged.fits()).find(spares)?;
        let seconds = plan.time?.as_secs_f64();
        Some(Without {
            card: card.name.clone(),
            iteration_time_s: seconds,
            over_best_ratio: seconds / best - 1.0,
        })
    };
    types.filter_map(of_type).collect()
}

/// What tells plans apart that are worth showing beside each other: types and degrees of stages, sizes
/// of micro-batches, what is shared out.
fn shape(judged: &Judged, found: &Found) -> String {
    let mut pipelines: Vec<String> = judged
        .plan
        .pipelines
        .iter()
        .map(|pipeline| {
            let stages: Vec<String> = pipeline
                .stages
                .iter()
                .map(|stage| {
                    let kind = stage.gpus.first().and_then(|&gpu| found.pool.type_of(gpu));
                    format!("{kind:?}x{}", stage.gpus.len())
                })
                .collect();
            format!("{}:{}", pipeline.micro_batch_size, stages.join(","))
        })
        .collect();
    pipelines.sort_unstable();
    format!("{}{}", judged.plan.zero.stage(), pipelines.join(";"))
}

#[derive(Serialize)]
struct Document<'a> {
    lower_bound_s: f64,
    evaluated_plan_count: u64,
    replayed_operation_count: u64,
    budget_cut: bool,
    refused_cards: Vec<RefusedCard<'a>>,
    choices: &'a [Choice],
    without: &'a [Without],
    #[serde(skip_serializing_if = "Option::is_none")]
    mixing: Option<&'a Mixing>,
    plans: Vec<PlanDocument<'a>>,
}

#[derive(Serialize)]
struct RefusedCard<'a> {
    card: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
struct PlanDocument<'a> {
    origin: Origin,
    iteration_time_s: f64,
    tokens_per_s: Option<f64>,
    samples_per_s: f64,
    gap_to_lower_bound_ratio: f64,
    plan: &'a PlanSummary,
    breakdown: &'a Breakdown,
    card_types: &'a [CardType],
    frameworks: &'a [Verdict],
    megatron_flags: Option<&'a [String]>,
    flagscale_keys: Option<&'a [String]>,
}

impl<'a> PlanDocument<'a> {
    fn of(candidate: &'a Candidate) -> Self {
        let report = &candidate.report;
        Self {
            origin: candidate.origin,
            iteration_time_s: report.iteration_time.mean.as_secs_f64(),
            tokens_per_s: report.efficiency.tokens_per_s,
            samples_per_s: report.efficiency.samples_per_s,
            gap_to_lower_bound_ratio: candidate.gap_ratio,
            plan: &report.plan,
            breakdown: &report.breakdown,
            card_types: &report.card_types,
            frameworks: &candidate.frameworks,
            megatron_flags: candidate.megatron.as_deref(),
            flagscale_keys: candidate.flagscale.as_deref(),
        }
    }
}

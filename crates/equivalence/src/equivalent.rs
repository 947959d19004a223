//! How many of one card reach what a cluster of others does.

use std::collections::BTreeSet;

use motley::{Evaluator, Report, Scenario};
use motley_report::PlanSummary;
use motley_scheduler::Plan;
use motley_study::KnownErrors;
use serde::Serialize;

use crate::clusters::{alone, on, times, with_model};
use crate::curve::{Curve, Reach};
use crate::resources::{HardBound, Resource, hard_bounds, per_card};
use crate::search::{Best, Planner, Told, best, report};
use crate::{EquivalenceError, Nodes};

/// Numbers of nodes that lie closer are not told apart: where the count is asked for, at the ends of its
/// interval, and in tables.
const TOLERANCES: [f64; 3] = [0.01, 0.04, 0.02];

/// A gain that is smaller is none.
const NONE: f64 = 0.005;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The other card's nodes.
    pub nodes: Nodes,
    /// Effort of each search, see [`motley_planner::Options`].
    pub budget_s: f64,
    /// Cards of the other kind, at most.
    pub most: u32,
    /// Model presets for which the count is asked for, too.
    pub models: Vec<String>,
    /// How many times the reference's nodes, for which it is asked for, too.
    pub multiples: Vec<u32>,
}

/// A cluster with its best plan.
#[derive(Clone, Debug)]
pub struct Side {
    /// All that the engine says.
    pub report: Report,
    /// Cards, those that the plan leaves idle among them.
    pub cards: u32,
    /// Nodes.
    pub nodes: u32,
    /// Cost of an hour of all cards, US dollars, if all have a price.
    pub usd_per_hour: Option<f64>,
    /// Rated power of all nodes, watts, if the catalogue knows.
    pub rated_power_w: Option<f64>,
}

/// The count, and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Count {
    /// Cards, on a straight line between whole nodes.
    pub cards: f64,
    /// Whole nodes that reach the reference.
    pub nodes: u32,
    /// Cards if predictions are off by what they are known to be, to the other card's advantage.
    pub low: Option<f64>,
    /// To its disadvantage; none if then no number reaches the reference.
    pub high: Option<f64>,
}

/// A resource, and what cards gain that have as much of it as the reference's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Given {
    /// Which.
    pub resource: Resource,
    /// How many times as much they get.
    pub ratio: f64,
    /// The gain of throughput, as a share.
    pub gain_ratio: f64,
}

/// A point of the curve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Cards.
    pub count: u32,
    /// Those that the best plan uses.
    pub used_card_count: u32,
    /// Samples per second.
    pub samples_per_s: f64,
    /// Of the reference's throughput, the share.
    pub of_reference_ratio: f64,
}

/// The count for another model or another number of the reference's nodes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The model.
    pub model: String,
    /// Cards of the reference.
    pub reference_count: u32,
    /// Cards of the other kind that reach it; none if no number does, or the reference cannot train it.
    pub equivalent_count: Option<f64>,
    /// Over the reference's.
    pub count_ratio: Option<f64>,
    /// Why there is none.
    pub reason: Option<String>,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Equivalent {
    /// The reference with its best plan.
    pub reference: Side,
    /// The other card's nodes.
    pub nodes: Nodes,
    /// As many of these as reach the reference, or the best that they do.
    pub other: Side,
    /// How many; none if no number of them reaches the reference.
    pub count: Option<Count>,
    /// By how much the ratio of both predictions may be off in four of five cases, as a logarithm.
    pub log_error: f64,
    /// Architectures of which too few measured runs are known; the error is that of all cards.
    pub unmeasured: Vec<String>,
    /// What single resources can explain.
    pub hard_bounds: Vec<HardBound>,
    /// What the other cards gain from each resource of which the reference's have more, the most first.
    pub given: Vec<Given>,
    /// Throughput by count.
    pub curve: Vec<Point>,
    /// Other models and references.
    pub table: Vec<Row>,
    /// Plans that the engine was asked about.
    pub plans: u64,
    /// A search was ended by its budget.
    pub cut: bool,
}

impl Equivalent {
    /// The most that one resource can explain: where counts above it come from loss of scale, not from the
    /// cards.
    pub fn hard_bound(&self) -> Option<HardBound> {
        self.hard_bounds.iter().copied().max_by(|a, b| a.ratio.total_cmp(&b.ratio))
    }

    /// The resource that would gain most; none if none gains.
    pub fn binding(&self) -> Option<Given> {
        self.given.first().copied().filter(|given| given.gain_ratio >= NONE)
    }
}

/// How many of a card, in nodes that are built for it, reach the throughput of a scenario's cluster with
/// the same batch, each side with its best plan.
///
/// # Errors
/// If the scenario cannot be simulated, no plan of it fits, or the other card cannot run its training.
pub fn equivalent(
    scenario: &Scenario,
    question: &Question,
    told: Told,
) -> Result<Equivalent, EquivalenceError> {
    let mut planner = Planner::new(scenario, question.budget_s, told);
    let found = planner.own(scenario, "the reference")?;
    let target = best(scenario, &found).ok_or_else(|| {
        EquivalenceError::Asked("no plan of the scenario fits into its cards".to_owned())
    })?;
    let mut curve = Curve::new(scenario, question.nodes.clone(), question.most);
    let reach = curve.reach(&mut planner, target.samples_per_s, TOLERANCES[0])?;

    let other_scenario = curve.at(1)?;
    let errors = KnownErrors::published();
    let sides = [scenario, &other_scenario].map(architectures);
    let log_error = errors.of_ratio(&sides[0], &sides[1]);
    let known = |id: &&String| !errors.get(id).1;
    let unmeasured: BTreeSet<String> = sides.iter().flatten().filter(known).cloned().collect();

    let (count, shown) = match reach {
        Reach::By { cards, nodes } => {
            let mut end = |shift: f64| -> Result<Option<f64>, EquivalenceError> {
                let shifted = target.samples_per_s * shift.exp();
                Ok(match curve.reach(&mut planner, shifted, TOLERANCES[1])? {
                    Reach::By { cards, .. } => Some(cards),
                    Reach::Never => None,
                })
            };
            let (low, high) = (end(-log_error)?, end(log_error)?);
            (Some(Count { cards, nodes, low, high }), nodes)
        }
        Reach::Never => (None, u32::MAX),
    };
    let (nodes, plan) = match curve.best(shown) {
        Some((nodes, best)) => (nodes, best.clone()),
        None => {
            return Err(EquivalenceError::Asked(format!(
                "the model fits into no number of {} up to {} cards",
                question.nodes.device.name, question.most
            )));
        }
    };
    let other = side(&curve.at(nodes)?, &plan.plan)?;
    let reference_resources = per_card(scenario);
    let own_resources = per_card(&other_scenario);
    let reference = side(scenario, &target.plan)?;
    let mut given =
        given(scenario, &curve, nodes, &plan, [reference_resources, own_resources], &mut planner)?;
    given.sort_by(|a, b| b.gain_ratio.total_cmp(&a.gain_ratio));
    // Whoever has more nodes may leave some idle.
    let points = curve.points.keys().filter_map(|&nodes| {
        let (_, best) = curve.best(nodes)?;
        Some(Point {
            count: nodes * question.nodes.gpus(),
            used_card_count: best.used_cards,
            samples_per_s: best.samples_per_s,
            of_reference_ratio: best.samples_per_s / target.samples_per_s,
        })
    });
    let points: Vec<Point> = points.collect();
    let table = table(scenario, question, &mut planner)?;
    Ok(Equivalent {
        hard_bounds: hard_bounds(reference_resources, own_resources, f64::from(reference.cards)),
        reference,
        nodes: question.nodes.clone(),
        other,
        count,
        log_error,
        unmeasured: unmeasured.into_iter().collect(),
        given,
        curve: points,
        table,
        plans: planner.plans,
        cut: planner.cut,
    })
}

/// A cluster with a plan.
pub(crate) fn side(scenario: &Scenario, plan: &Plan) -> Result<Side, EquivalenceError> {
    let groups = &scenario.cluster.groups;
    let sum = |of: &dyn Fn(&motley_topology::NodeGroup) -> Option<f64>| -> Option<f64> {
        groups.iter().map(|group| Some(f64::from(group.count) * of(group)?)).sum()
    };
    Ok(Side {
        report: report(scenario, plan)?,
        cards: scenario.cluster.gpus(),
        nodes: groups.iter().map(|group| group.count).sum(),
        usd_per_hour: sum(&|group| {
            let price = group.device.price.as_ref()?;
            Some(f64::from(group.design.gpus) * price.usd_per_hour.get())
        }),
        rated_power_w: sum(&|group| group.design.power.as_ref().map(|power| power.get().0)),
    })
}

fn architectures(scenario: &Scenario) -> BTreeSet<String> {
    scenario.cluster.groups.iter().map(|group| group.device.architecture.clone()).collect()
}

/// What the other cards gain from as much of each resource as the reference's have, where these have more:
/// with the plan that they have, of memory with the best for so much of it.
fn given(
    scenario: &Scenario,
    curve: &Curve,
    nodes: u32,
    best_plan: &Best,
    [reference, own]: [[f64; 5]; 2],
    planner: &mut Planner,
) -> Result<Vec<Given>, EquivalenceError> {
    let mut list = Vec::new();
    for (resource, (reference, own)) in Resource::ALL.into_iter().zip(reference.iter().zip(own)) {
        let ratio = reference / own;
        if !ratio.is_finite() || ratio <= 1.0 + NONE {
            continue;
        }
        let Some(changed) = with(scenario, curve, nodes, resource, ratio)? else { continue };
        let seconds = if resource == Resource::Memory {
            let found = planner.open(&changed, "more memory")?;
            best(&changed, &found).map(|best| best.seconds)
        } else {
            let mut evaluator = Evaluator::new();
            let prepared = evaluator.prepare_plan(&changed, best_plan.plan.clone())?;
            Some(prepared.iteration()?.0.as_secs_f64())
        };
        let Some(seconds) = seconds else { continue };
        // What was planned for less memory is still there with more.
        let seconds = seconds.min(best_plan.seconds);
        list.push(Given { resource, ratio, gain_ratio: best_plan.seconds / seconds - 1.0 });
    }
    Ok(list)
}

/// The other cards with so many times as much of a resource; none if they have none of it.
fn with(
    scenario: &Scenario,
    curve: &Curve,
    nodes: u32,
    resource: Resource,
    ratio: f64,
) -> Result<Option<Scenario>, EquivalenceError> {
    if resource == Resource::CardLinks && curve.nodes.device.nvlink.is_none() {
        return Ok(None);
    }
    let mut cluster = alone(scenario, &curve.nodes, nodes);
    let scale = resource.scale(ratio);
    for group in &mut cluster.groups {
        group.scale = scale;
    }
    let mut changed = on(scenario, cluster, resource.name())?;
    if scale.is_none() {
        for group in &mut changed.cluster.groups {
            let rate = motley_units::BytesPerSec(group.nic.rate.get().0 * ratio);
            let why = "what if it were as fast as the reference's".to_owned();
            group.nic.rate = motley_hardware::Cited::Assumed(rate, why);
        }
    }
    changed.noise.kernel_jitter = 0.0;
    Ok(Some(changed))
}

fn table(
    scenario: &Scenario,
    question: &Question,
    planner: &mut Planner,
) -> Result<Vec<Row>, EquivalenceError> {
    let mut rows = Vec::new();
    let models: Vec<Option<&String>> = if question.models.is_empty() {
        vec![None]
    } else {
        question.models.iter().map(Some).collect()
    };
    let multiples =
        if question.multiples.is_empty() { vec![1] } else { question.multiples.clone() };
    if question.models.is_empty() && question.multiples.is_empty() {
        return Ok(rows);
    }
    for model in models {
        let base = match model {
            Some(model) => with_model(scenario, model)?,
            None => scenario.clone(),
        };
        for &factor in &multiples {
            let reference = times(&base, factor)?;
            let cards = reference.cluster.gpus();
            let found =
                planner.open(&reference, &format!("{} on {cards} cards", base.model.name))?;
            let mut row = Row {
                model: base.model.name.clone(),
                reference_count: cards,
                equivalent_count: None,
                count_ratio: None,
                reason: None,
            };
            match best(&reference, &found) {
                None => row.reason = Some("does not fit into the reference".to_owned()),
                Some(target) => {
                    let mut curve = Curve::new(&base, question.nodes.clone(), question.most);
                    match curve.reach(planner, target.samples_per_s, TOLERANCES[2])? {
                        Reach::By { cards: count, .. } => {
                            row.equivalent_count = Some(count);
                            row.count_ratio = Some(count / f64::from(cards));
                        }
                        Reach::Never => {
                            let best = curve.best(u32::MAX);
                            let share = best
                                .map_or(0.0, |(_, best)| best.samples_per_s / target.samples_per_s);
                            row.reason =
                                Some(format!("no number reaches more than {share:.2} of it"));
                        }
                    }
                }
            }
            rows.push(row);
        }
    }
    Ok(rows)
}

#[derive(Serialize)]
pub(crate) struct SideDocument<'a> {
    card_count: u32,
    node_count: u32,
    iteration_time_s: f64,
    samples_per_s: f64,
    tokens_per_s: Option<f64>,
    mfu_ratio: Option<f64>,
    cost_per_hour_usd: Option<f64>,
    rated_power_w: Option<f64>,
    plan: &'a PlanSummary,
}

impl<'a> SideDocument<'a> {
    pub(crate) fn of(side: &'a Side) -> Self {
        let efficiency = &side.report.efficiency;
        Self {
            card_count: side.cards,
            node_count: side.nodes,
            iteration_time_s: side.report.iteration_time.mean.as_secs_f64(),
            samples_per_s: efficiency.samples_per_s,
            tokens_per_s: efficiency.tokens_per_s,
            mfu_ratio: efficiency.mfu_ratio,
            cost_per_hour_usd: side.usd_per_hour,
            rated_power_w: side.rated_power_w,
            plan: &side.report.plan,
        }
    }
}

#[derive(Serialize)]
struct Interval {
    low_count: Option<f64>,
    high_count: Option<f64>,
    confidence_ratio: f64,
    log_error_ratio: f64,
    unmeasured_architectures: Vec<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    card: &'a str,
    node_design: &'a str,
    nic: &'a str,
    equivalent_count: Option<f64>,
    equivalent_node_count: Option<u32>,
    count_ratio: Option<f64>,
    interval: Interval,
    hard_bound_count: Option<f64>,
    hard_bound_resource: Option<Resource>,
    hard_bounds: &'a [HardBound],
    binding_resource: Option<Resource>,
    gains_from_resources: &'a [Given],
    cost_ratio: Option<f64>,
    rated_power_ratio: Option<f64>,
    reference: SideDocument<'a>,
    other: SideDocument<'a>,
    curve: &'a [Point],
    table: &'a [Row],
    evaluated_plan_count: u64,
    budget_cut: bool,
}

impl Equivalent {
    /// Cost of the count over that of the reference, for the same throughput.
    pub fn cost_ratio(&self) -> Option<f64> {
        let per_card = self.nodes.usd_per_hour()? / f64::from(self.nodes.gpus());
        Some(self.count?.cards * per_card / self.reference.usd_per_hour?)
    }

    /// Rated power of the count over that of the reference, for the same throughput.
    pub fn power_ratio(&self) -> Option<f64> {
        let per_card = self.nodes.rated_power_w()? / f64::from(self.nodes.gpus());
        Some(self.count?.cards * per_card / self.reference.rated_power_w?)
    }

    /// Cards over those of the reference.
    pub fn count_ratio(&self) -> Option<f64> {
        Some(self.count?.cards / f64::from(self.reference.cards))
    }

    /// What [`motley::json`] makes a document of, every number with its unit.
    pub fn document(&self) -> impl Serialize + '_ {
        let bound = self.hard_bound();
        Document {
            card: &self.nodes.device.id,
            node_design: &self.nodes.design.id,
            nic: &self.nodes.nic.id,
            equivalent_count: self.count.map(|count| count.cards),
            equivalent_node_count: self.count.map(|count| count.nodes),
            count_ratio: self.count_ratio(),
            interval: Interval {
                low_count: self.count.and_then(|count| count.low),
                high_count: self.count.and_then(|count| count.high),
                confidence_ratio: 0.8,
                log_error_ratio: self.log_error,
                unmeasured_architectures: self.unmeasured.clone(),
            },
            hard_bound_count: bound.map(|bound| bound.count),
            hard_bound_resource: bound.map(|bound| bound.resource),
            hard_bounds: &self.hard_bounds,
            binding_resource: self.binding().map(|given| given.resource),
            gains_from_resources: &self.given,
            cost_ratio: self.cost_ratio(),
            rated_power_ratio: self.power_ratio(),
            reference: SideDocument::of(&self.reference),
            other: SideDocument::of(&self.other),
            curve: &self.curve,
            table: &self.table,
            evaluated_plan_count: self.plans,
            budget_cut: self.cut,
        }
    }
}

//! What the engine says of plans: every plan that counts is replayed, none is ranked by a formula.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use motley::{Evaluator, Scenario};
use motley_scenario::Pace;
use motley_scheduler::Plan;
use motley_units::Time;
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use serde::Serialize;

use crate::effort::Effort;

/// Who thought of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The scenario itself.
    Scenario,
    /// Megatron-LM's uniform plans.
    Uniform,
    /// Metis's rule.
    Metis,
    /// Sailor's rule.
    Sailor,
    /// HexiScale's rule.
    HexiScale,
    /// Templates and knapsack.
    Templates,
    /// One stage on each card, with micro-batches by its speed.
    Replicas,
    /// A change to a better plan.
    Neighbour,
}

impl Origin {
    /// As tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scenario => "scenario",
            Self::Uniform => "uniform",
            Self::Metis => "Metis",
            Self::Sailor => "Sailor",
            Self::HexiScale => "HexiScale",
            Self::Templates => "templates",
            Self::Replicas => "replicas",
            Self::Neighbour => "neighbour",
        }
    }
}

/// A plan, and what the engine says of it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The plan.
    pub plan: Plan,
    /// Whose it is.
    pub origin: Origin,
    /// The time of an iteration; none if it does not fit and was not replayed.
    pub time: Option<Time>,
    /// By how much the fullest card is too small, bytes; 0 if all is well.
    pub shortage_bytes: f64,
}

impl Judged {
    /// Whether every card holds what it needs.
    pub fn fits(&self) -> bool {
        self.shortage_bytes <= 0.0 && self.time.is_some()
    }

    /// Smaller is better: what fits comes first, then the time, then the cards that it uses.
    pub(crate) fn order(&self) -> (bool, u64, Time, usize) {
        let shortage = self.shortage_bytes.max(0.0) as u64;
        (!self.fits(), shortage, self.time.unwrap_or(Time::MAX), self.plan.gpus().count())
    }
}

/// Asks the engine, and keeps its answers in order.
#[derive(Debug)]
pub(crate) struct Judge {
    scenario: Scenario,
    /// By key, what was said; nothing of plans that are not sound.
    known: BTreeMap<u64, Option<Said>>,
    /// Best first.
    pub ranked: Vec<Judged>,
    /// What has been spent.
    pub effort: Effort,
}

thread_local! {
    /// Evaluators keep a cluster and its process groups; each thread has its own.
    static EVALUATOR: RefCell<Evaluator> = RefCell::new(Evaluator::new());
}

impl Judge {
    /// Plans are compared without jitter, and with cards of one type at one speed: neither can be
    /// planned for.
    pub(crate) fn new(scenario: &Scenario, effort: Effort) -> Self {
        let mut scenario = scenario.clone();
        scenario.noise.kernel_jitter = 0.0;
        scenario.noise.pace = Pace::Slowest;
        Self { scenario, known: BTreeMap::new(), ranked: Vec::new(), effort }
    }

    /// Judges plans side by side, as far as effort is left; those of rivals and the scenario's own in
    /// any case, uncharged. In the order of `plans`, what is known of each then.
    pub(crate) fn judge(&mut self, plans: Vec<Plan>, origin: Origin) -> Vec<Option<Judged>> {
        let charged = origin > Origin::HexiScale;
        let keys: Vec<u64> = plans.iter().map(key).collect();
        let mut fresh: Vec<(u64, &Plan)> = Vec::new();
        for (&key, plan) in keys.iter().zip(&plans) {
            let known = self.known.contains_key(&key) || fresh.iter().any(|(own, _)| *own == key);
            if known {
                continue;
            }
            if charged && self.effort.is_spent() {
                self.effort.cut();
                break;
            }
            if charged {
                self.effort.charge_plan(plan.gpus().count());
            }
            fresh.push((key, plan));
        }
        let scenario = &self.scenario;
        let said: Vec<Option<(Said, u64)>> =
            fresh.par_iter().map(|(_, plan)| ask(scenario, Plan::clone(plan))).collect();
        for ((key, plan), said) in fresh.into_iter().zip(said) {
            self.known.insert(key, said.map(|(said, _)| said));
            self.effort.count(said.map_or(0, |(_, operations)| operations));
            let Some((said, operations)) = said else { continue };
            if charged {
                self.effort.charge_operations(operations);
            }
            let judged = said.of(plan.clone(), origin);
            let place = self.ranked.partition_point(|known| known.order() <= judged.order());
            self.ranked.insert(place, judged);
        }
        self.ranked.truncate(KEPT);
        let known = |(key, plan): (u64, Plan)| {
            self.known.get(&key).copied().flatten().map(|said| said.of(plan, origin))
        };
        keys.into_iter().zip(plans).map(known).collect()
    }
}

/// Plans that are remembered whole.
const KEPT: usize = 400;

/// What the engine said of a plan.
#[derive(Clone, Copy, Debug)]
struct Said {
    time: Option<Time>,
    shortage_bytes: f64,
}

impl Said {
    fn of(self, plan: Plan, origin: Origin) -> Judged {
        Judged { plan, origin, time: self.time, shortage_bytes: self.shortage_bytes }
    }
}

/// What the engine says of one plan, and in how many operations; nothing if the plan is not sound or
/// its cards cannot reach each other.
fn ask(scenario: &Scenario, plan: Plan) -> Option<(Said, u64)> {
    EVALUATOR.with_borrow_mut(|evaluator| {
        let prepared = evaluator.prepare_plan(scenario, plan).ok()?;
        let shortage_bytes = prepared
            .out_of_memory()
            .iter()
            .map(|row| row.needed_bytes - row.capacity_bytes)
            .fold(0.0, f64::max);
        if shortage_bytes > 0.0 {
            return Some((Said { time: None, shortage_bytes }, 0));
        }
        let (time, operations) = prepared.iteration().ok()?;
        Some((Said { time: Some(time), shortage_bytes }, operations))
    })
}

/// What tells plans apart.
fn key(plan: &Plan) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{plan:?}").hash(&mut hasher);
    hasher.finish()
}

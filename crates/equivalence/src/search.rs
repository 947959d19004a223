//! Best plans of clusters, and what they reach.

use motley::{Evaluator, Report, Scenario};
use motley_planner::{Found, Judged, Options, Settings, search};
use motley_scheduler::Plan;

use crate::EquivalenceError;

/// What is told while an answer is looked for: what is being planned, and how many plans were asked of the
/// engine so far.
pub type Told<'a> = &'a dyn Fn(&str, u64);

/// The best plan of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Best {
    pub plan: Plan,
    pub seconds: f64,
    pub samples_per_s: f64,
    pub used_cards: u32,
}

/// Plans clusters with the same effort each.
pub(crate) struct Planner<'a> {
    /// How stages work, on all of them.
    settings: Settings,
    budget_s: f64,
    told: Told<'a>,
    /// Plans that the engine was asked about.
    pub plans: u64,
    /// Some search was ended by its budget.
    pub cut: bool,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(scenario: &Scenario, budget_s: f64, told: Told<'a>) -> Self {
        Self { settings: Settings::of(scenario), budget_s, told, plans: 0, cut: false }
    }

    /// Searches a scenario's plans; its own counts, if it has one.
    pub(crate) fn own(
        &mut self,
        scenario: &Scenario,
        what: &str,
    ) -> Result<Found, EquivalenceError> {
        let options = Options { budget_s: self.budget_s, settings: None };
        self.ask(scenario, &options, what)
    }

    /// Searches plans of a scenario that has none.
    pub(crate) fn open(
        &mut self,
        scenario: &Scenario,
        what: &str,
    ) -> Result<Found, EquivalenceError> {
        let settings = Some(self.settings.clone());
        let options = Options { budget_s: self.budget_s, settings };
        self.ask(scenario, &options, what)
    }

    fn ask(
        &mut self,
        scenario: &Scenario,
        options: &Options,
        what: &str,
    ) -> Result<Found, EquivalenceError> {
        let before = self.plans;
        let told = self.told;
        told(what, before);
        let found = search(scenario, options, &|progress| told(what, before + progress.plans))?;
        self.plans += found.plans;
        self.cut |= found.cut;
        Ok(found)
    }
}

/// The best plan that was found, if one fits.
pub(crate) fn best(scenario: &Scenario, found: &Found) -> Option<Best> {
    found.best().and_then(|judged| as_best(scenario, judged))
}

/// A plan that was judged, if it fits.
pub(crate) fn as_best(scenario: &Scenario, judged: &Judged) -> Option<Best> {
    let seconds = judged.time.filter(|_| judged.fits())?.as_secs_f64();
    Some(Best {
        seconds,
        samples_per_s: f64::from(scenario.global_batch) / seconds,
        used_cards: judged.plan.gpus().count() as u32,
        plan: judged.plan.clone(),
    })
}

/// The report on a plan, without jitter among kernels, as it was ranked.
pub(crate) fn report(scenario: &Scenario, plan: &Plan) -> Result<Report, EquivalenceError> {
    let mut scenario = scenario.clone();
    scenario.noise.kernel_jitter = 0.0;
    Ok(Evaluator::new().prepare_plan(&scenario, plan.clone())?.conclude()?)
}

//! From a job to its replays and to the report on them.

use motley_engine::{Engine, Jitter, Law, Observer, Options, Outcome, Silent, replay};
use motley_report::{
    Account, OutOfMemory, Published, PublishedValue, Report, Run, Subject, Trace, TraceLimits,
    balanced_slowness,
};
use motley_scenario::{Measure, Scenario};
use motley_units::Time;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::SimulateError;
use crate::prepare::{Prepared, prepare};

/// Slowness by which a rank may differ from balance and still count as balanced.
const BALANCED: f64 = 1e-6;

/// The replays of a prepared scenario.
#[derive(Clone, Debug)]
pub struct Replays {
    /// One for each iteration; one alone if there is nothing by which iterations could differ.
    pub runs: Vec<Run>,
    /// The same job with all compute spread in proportion to the speed of each card; none if it
    /// is spread so already.
    pub balanced: Option<Run>,
}

/// Simulates a scenario and reports on it.
///
/// # Errors
/// If it cannot be simulated; see [`SimulateError`].
pub fn simulate(scenario: &Scenario) -> Result<Report, SimulateError> {
    let prepared = prepare(scenario)?;
    let replays = prepared.replay(&mut Silent, &|| {})?;
    prepared.report(&replays)
}

impl Prepared<'_> {
    /// Replays every iteration, in parallel. `observer` watches the first one; `progress` is
    /// called after each.
    ///
    /// # Errors
    /// If the job cannot finish, which would be a defect.
    pub fn replay(
        &self,
        observer: &mut (impl Observer + Send),
        progress: &(impl Fn() + Sync),
    ) -> Result<Replays, SimulateError> {
        let scenario = self.scenario;
        let engine = Engine::new(&self.lowered.job)?;
        let jitter = (scenario.noise.kernel_jitter > 0.0).then_some(Jitter {
            relative_deviation: scenario.noise.kernel_jitter,
            law: Law::default(),
        });
        let options =
            |iteration| Options { seed: scenario.seed, iteration, jitter, slowness: None };

        let first = || {
            let mut account = Account::new(&self.lowered);
            let outcome = replay(&engine, &options(0), &mut (&mut account, observer))?;
            progress();
            finished(outcome, account)
        };
        let (first, balanced) = rayon::join(first, || self.balanced(&engine));
        let (first, balanced) = (first?, balanced?);

        // Without jitter every iteration is the first one again.
        let iterations = if jitter.is_some() { scenario.iterations } else { 1 };
        let later: Vec<Run> = (1..iterations)
            .into_par_iter()
            .map(|iteration| {
                let mut account = Account::new(&self.lowered);
                let outcome = replay(&engine, &options(iteration), &mut account)?;
                progress();
                finished(outcome, account)
            })
            .collect::<Result<_, SimulateError>>()?;
        let mut runs = vec![first];
        runs.extend(later);
        Ok(Replays { runs, balanced })
    }

    /// The what-if in which every card works as long as every other.
    fn balanced(&self, engine: &Engine) -> Result<Option<Run>, SimulateError> {
        let slowness = balanced_slowness(&self.lowered);
        let ranks = &self.lowered.job.ranks;
        if slowness.iter().zip(ranks).all(|(s, rank)| (s / rank.slowness - 1.0).abs() < BALANCED) {
            return Ok(None);
        }
        let options = Options { slowness: Some(&slowness), ..Options::default() };
        let mut account = Account::new(&self.lowered);
        let outcome = replay(engine, &options, &mut account)?;
        finished(outcome, account).map(Some)
    }

    /// Which stages do not fit into their cards' memory; known without a replay.
    pub fn out_of_memory(&self) -> Vec<OutOfMemory> {
        OutOfMemory::of(&self.subject(&[]))
    }

    /// A trace of the job's timeline, to be handed to [`Prepared::replay`] as its observer.
    pub fn trace(&self, limits: TraceLimits) -> Trace<'_> {
        Trace::new(&self.cluster, &self.lowered, limits)
    }

    /// Concludes from the replays.
    ///
    /// # Errors
    /// If the replays are not this job's.
    pub fn report(&self, replays: &Replays) -> Result<Report, SimulateError> {
        let published: Vec<Published> = self.scenario.published.iter().map(published).collect();
        let subject = self.subject(&published);
        Ok(Report::new(&subject, &replays.runs, replays.balanced.as_ref())?)
    }

    fn subject<'s>(&'s self, published: &'s [Published]) -> Subject<'s> {
        Subject {
            title: self.scenario.question.as_deref(),
            cluster: &self.cluster,
            plan: &self.plan,
            lowered: &self.lowered,
            model: &self.scenario.model,
            training: &self.scenario.training,
            global_batch: self.scenario.global_batch,
            published,
        }
    }
}

/// A run, unless its end lies beyond what simulated time can tell.
fn finished(outcome: Outcome, account: Account) -> Result<Run, SimulateError> {
    if outcome.end == Time::MAX {
        Err(SimulateError::TooLong)
    } else {
        Ok(Run { outcome, account })
    }
}

fn published(figure: &motley_scenario::Published) -> Published {
    Published {
        what: figure.what.clone(),
        value: match figure.value {
            Measure::IterationTime(time) => PublishedValue::Seconds(time.0),
            Measure::TokensPerSec(rate) => PublishedValue::TokensPerSec(rate),
            Measure::TflopsPerGpu(rate) => PublishedValue::TflopsPerGpu(rate),
            Measure::HardwareTflopsPerGpu(rate) => PublishedValue::HardwareTflopsPerGpu(rate),
            Measure::Mfu(ratio) => PublishedValue::Mfu(ratio),
        },
        source: figure.source.clone(),
    }
}

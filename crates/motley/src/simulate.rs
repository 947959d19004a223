//! From a job to its replays and to the report on them.

use motley_engine::{Engine, Fold, Jitter, Law, Observer, Options, Outcome, Silent, replay};
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
    prepare(scenario)?.conclude()
}

impl Prepared<'_> {
    /// Replays and reports, watched by nobody.
    pub(crate) fn conclude(&self) -> Result<Report, SimulateError> {
        let replays = self.replay(&mut Silent, &|| {})?;
        self.report(&replays)
    }

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
        let fold = if observer.tells_ranks_apart() { None } else { self.fold() };
        let job = fold.map_or(&self.lowered.job, Fold::job);
        let engine = Engine::new(job)?;
        let jitter = (scenario.noise.kernel_jitter > 0.0).then_some(Jitter {
            relative_deviation: scenario.noise.kernel_jitter,
            law: Law::default(),
        });
        let options =
            |iteration| Options { seed: scenario.seed, iteration, jitter, slowness: None };

        let first = || {
            let mut account = Account::new(job);
            let outcome = replay(&engine, &options(0), &mut (&mut account, observer))?;
            progress();
            self.finished(outcome, account, fold)
        };
        let (first, balanced) = rayon::join(first, || self.balanced(&engine, fold));
        let (first, balanced) = (first?, balanced?);

        // Without jitter every iteration is the first one again.
        let iterations = if jitter.is_some() { scenario.iterations } else { 1 };
        let later: Vec<Run> = (1..iterations)
            .into_par_iter()
            .map(|iteration| {
                let mut account = Account::new(job);
                let outcome = replay(&engine, &options(iteration), &mut account)?;
                progress();
                self.finished(outcome, account, fold)
            })
            .collect::<Result<_, SimulateError>>()?;
        let mut runs = vec![first];
        runs.extend(later);
        Ok(Replays { runs, balanced })
    }

    /// The what-if in which every card works as long as every other.
    fn balanced(&self, engine: &Engine, fold: Option<&Fold>) -> Result<Option<Run>, SimulateError> {
        let slowness = balanced_slowness(&self.lowered);
        let ranks = &self.lowered.job.ranks;
        if slowness.iter().zip(ranks).all(|(s, rank)| (s / rank.slowness - 1.0).abs() < BALANCED) {
            return Ok(None);
        }
        let Some(fold) = fold else {
            return self.replay_balanced(engine, &slowness, None).map(Some);
        };
        match fold.fold(&slowness) {
            Some(folded) => self.replay_balanced(engine, &folded, Some(fold)),
            // Interchangeable as they are, but not in the work that they do.
            None => self.replay_balanced(&Engine::new(&self.lowered.job)?, &slowness, None),
        }
        .map(Some)
    }

    fn replay_balanced(
        &self,
        engine: &Engine,
        slowness: &[f64],
        fold: Option<&Fold>,
    ) -> Result<Run, SimulateError> {
        let options = Options { slowness: Some(slowness), ..Options::default() };
        let mut account = Account::new(engine.job());
        let outcome = replay(engine, &options, &mut account)?;
        self.finished(outcome, account, fold)
    }

    /// A run of the job, unless its end lies beyond what simulated time can tell.
    fn finished(
        &self,
        outcome: Outcome,
        account: Account,
        fold: Option<&Fold>,
    ) -> Result<Run, SimulateError> {
        if outcome.end == Time::MAX {
            return Err(SimulateError::TooLong);
        }
        Ok(match fold {
            Some(fold) => Run {
                outcome: fold.unfold(&outcome),
                account: account.unfold(fold, &self.lowered.job),
            },
            None => Run { outcome, account },
        })
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

fn published(figure: &motley_scenario::Published) -> Published {
    Published {
        what: figure.what.clone(),
        value: match figure.value {
            Measure::IterationTime(time) => PublishedValue::Seconds(time.0),
            Measure::TokensPerSec(rate) => PublishedValue::TokensPerSec(rate),
            Measure::SamplesPerSec(rate) => PublishedValue::SamplesPerSec(rate),
            Measure::TflopsPerGpu(rate) => PublishedValue::TflopsPerGpu(rate),
            Measure::HardwareTflopsPerGpu(rate) => PublishedValue::HardwareTflopsPerGpu(rate),
            Measure::Mfu(ratio) => PublishedValue::Mfu(ratio),
        },
        source: figure.source.clone(),
    }
}

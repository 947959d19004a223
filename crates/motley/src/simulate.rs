//! From a job to its replays and to the report on them.

use motley_engine::{Engine, Fold, Observer, Options, Silent, replay};
use motley_job::RankId;
use motley_report::{
    Account, MemoryTimeline, OutOfMemory, Published, PublishedValue, Report, Run, Subject, Trace,
    TraceLimits, balanced_slowness,
};
use motley_scenario::{Measure, Scenario};
use motley_scheduler::OptimizerStep;
use motley_units::Time;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::SimulateError;
use crate::prepare::{Prepared, prepare};

/// Replays in which iterations that follow one another must find their rhythm.
const RHYTHM_REPLAYS: u32 = 12;

/// How much the time from one iteration to the next may differ between ranks that have found it.
const RHYTHM: f64 = 1e-6;

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
    ///
    /// # Errors
    /// As [`Prepared::replay`].
    pub fn conclude(&self) -> Result<Report, SimulateError> {
        let replays = self.replay(&mut Silent, &|| {})?;
        self.report(&replays)
    }

    /// The same without the replay of balanced compute: what only that could tell is not in the report
    /// ([`Report::imbalance`]), or not told apart (the bubble from waits for slower stages).
    ///
    /// # Errors
    /// As [`Prepared::replay`].
    pub fn conclude_unbalanced(&self) -> Result<Report, SimulateError> {
        let replays = self.replay_with(&mut Silent, &|| {}, false)?;
        self.report(&replays)
    }

    /// The time of the first iteration by itself and the operations that its replay took: the least
    /// that whoever compares many plans wants to know.
    ///
    /// # Errors
    /// As [`Prepared::replay`].
    pub fn iteration(&self) -> Result<(Time, u64), SimulateError> {
        let fold = self.fold();
        let engine = Engine::new(fold.map_or(&self.lowered.job, Fold::job))?;
        let options = Options { seed: self.scenario.seed, ..Options::default() };
        let starts = self.starts(&engine, &options)?;
        let options = Options { starts: starts.as_deref(), ..options };
        let run = self.run(&engine, fold, &options, &mut Silent)?;
        Ok((run.outcome.end, run.outcome.operations))
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
        self.replay_with(observer, progress, true)
    }

    fn replay_with(
        &self,
        observer: &mut (impl Observer + Send),
        progress: &(impl Fn() + Sync),
        balance: bool,
    ) -> Result<Replays, SimulateError> {
        let scenario = self.scenario;
        let fold = if observer.tells_ranks_apart() { None } else { self.fold() };
        let job = fold.map_or(&self.lowered.job, Fold::job);
        let engine = Engine::new(job)?;
        let jitter = self.jitter();
        let nominal = Options { seed: scenario.seed, ..Options::default() };
        let starts = self.starts(&engine, &nominal)?;
        let options =
            |iteration| Options { iteration, jitter, starts: starts.as_deref(), ..nominal };

        let first = || {
            let run = self.run(&engine, fold, &options(0), observer);
            progress();
            run
        };
        let balanced = || if balance { self.balanced(&engine, fold) } else { Ok(None) };
        let (first, balanced) = rayon::join(first, balanced);
        let (first, balanced) = (first?, balanced?);

        // Without jitter every iteration is the first one again.
        let iterations = if jitter.is_some() { scenario.iterations } else { 1 };
        let later: Vec<Run> = (1..iterations)
            .into_par_iter()
            .map(|iteration| {
                let run = self.run(&engine, fold, &options(iteration), &mut Silent);
                progress();
                run
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
            return self.replay_balanced(engine, None, &slowness).map(Some);
        };
        match fold.fold(&slowness) {
            Some(folded) => self.replay_balanced(engine, Some(fold), &folded),
            // Interchangeable as they are, but not in the work that they do.
            None => self.replay_balanced(&Engine::new(&self.lowered.job)?, None, &slowness),
        }
        .map(Some)
    }

    fn replay_balanced(
        &self,
        engine: &Engine,
        fold: Option<&Fold>,
        slowness: &[f64],
    ) -> Result<Run, SimulateError> {
        let options = Options { slowness: Some(slowness), ..Options::default() };
        let starts = self.starts(engine, &options)?;
        let options = Options { starts: starts.as_deref(), ..options };
        self.run(engine, fold, &options, &mut Silent)
    }

    /// When the iteration begins on each rank, where it does so as soon as the rank is done with
    /// the one before: replays follow one another until all ranks take the same time from one to
    /// the next. None where all ranks begin together.
    pub(crate) fn starts(
        &self,
        engine: &Engine,
        options: &Options,
    ) -> Result<Option<Vec<Time>>, SimulateError> {
        if self.plan.schedule.optimizer_step() == OptimizerStep::Synchronous {
            return Ok(None);
        }
        let mut starts = vec![Time::ZERO; engine.job().ranks.len()];
        for _ in 0..RHYTHM_REPLAYS {
            let following = Options { starts: Some(&starts), ..*options };
            let finish = replay(engine, &following, &mut Silent)?.finish;
            let spans = || finish.iter().zip(&starts).map(|(&finish, &start)| finish - start);
            let longest = spans().max().unwrap_or_default().as_secs_f64();
            let shortest = spans().min().unwrap_or_default().as_secs_f64();
            if longest - shortest <= RHYTHM * longest {
                break;
            }
            let first = finish.iter().copied().min().unwrap_or_default();
            starts = finish.iter().map(|&finish| finish - first).collect();
        }
        Ok(Some(starts))
    }

    /// One iteration of the job, by a replay of it or of its fold.
    fn run(
        &self,
        engine: &Engine,
        fold: Option<&Fold>,
        options: &Options,
        observer: &mut (impl Observer + Send),
    ) -> Result<Run, SimulateError> {
        let starts = options.starts.unwrap_or_default();
        let mut account = Account::starting(engine.job(), starts.to_vec());
        let mut outcome = replay(engine, options, &mut (&mut account, observer))?;
        if outcome.end == Time::MAX {
            return Err(SimulateError::TooLong);
        }
        if let Some(fold) = fold {
            outcome = fold.unfold(&outcome);
            account = account.unfold(fold, &self.lowered.job);
        }
        if !starts.is_empty() {
            // The next iteration has begun on some ranks before this one ends on others.
            for (rank, finish) in (0..).map(RankId).zip(&mut outcome.finish) {
                let began = fold.map_or(rank, |fold| fold.rank(rank));
                *finish = *finish - starts[began.0 as usize];
            }
            outcome.end = outcome.finish.iter().copied().max().unwrap_or_default();
        }
        Ok(Run { outcome, account })
    }

    /// Which stages do not fit into their cards' memory; known without a replay.
    pub fn out_of_memory(&self) -> Vec<OutOfMemory> {
        OutOfMemory::of(&self.subject(&[]))
    }

    /// A trace of the job's timeline, to be handed to [`Prepared::replay`] as its observer.
    pub fn trace(&self, limits: TraceLimits) -> Trace<'_> {
        Trace::new(&self.cluster, &self.lowered, limits)
    }

    /// The memory of the cards over time, to be handed to [`Prepared::replay`] as its observer.
    pub fn memory_timeline(&self) -> MemoryTimeline<'_> {
        MemoryTimeline::new(&self.subject(&[]))
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

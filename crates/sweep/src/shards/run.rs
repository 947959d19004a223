//! Running a shard.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::log::Log;
use super::part::{self, Identity};
use super::{Sweep, SweepError};
use crate::evaluate::{Row, Status};

/// Points that a thread takes at once: neighbours, which are likely to have their cluster in common.
const RUN: usize = 8;

/// When to stop early.
#[derive(Debug)]
pub struct Limits<'a> {
    /// More points without an answer than these end the shard.
    pub max_failures: Option<u64>,
    /// Once true, points that are under way are finished and no others begun.
    pub interrupted: &'a AtomicBool,
}

/// How a shard ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It is done.
    Done,
    /// It was interrupted; what is finished is kept.
    Interrupted,
    /// More points failed than may; what is finished is kept.
    TooManyFailures,
}

/// How many points ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// By [`Status`], in the order of [`Status::ALL`].
    pub counts: [u64; 4],
}

impl Tally {
    /// One more.
    pub fn add(&mut self, status: Status) {
        self.counts[status as usize] += 1;
    }

    /// How many of one status.
    pub fn of(&self, status: Status) -> u64 {
        self.counts[status as usize]
    }

    /// Points without an answer.
    pub fn failures(&self) -> u64 {
        Status::ALL
            .into_iter()
            .filter(|status| status.is_failure())
            .map(|status| self.of(status))
            .sum()
    }

    /// All.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl Sweep {
    /// Runs what is missing of a shard, on the threads of the pool that it is called on. `progress` is told
    /// of each row as it is finished, first of all those that were finished before; of a shard that was
    /// done before it is told nothing.
    ///
    /// # Errors
    /// If the folder cannot be read or written.
    pub fn run_shard(
        &self,
        shard: u32,
        limits: &Limits,
        progress: &(dyn Fn(Status) + Sync),
    ) -> Result<Ended, SweepError> {
        let range = self.range(shard);
        let metrics = self.study.metrics().len();
        let part_path = self.path(shard, "jsonl");
        let log_path = self.path(shard, "log");
        let identity = Identity { plan: self.hash(), shard, range: range.clone() };
        let mut wanted: Vec<u64> = range.clone().filter(|&index| self.study.has(index)).collect();
        let rows = wanted.len() as u64;
        let failed = |error| SweepError::io(&log_path, error);
        let whole = part::is_whole(&part_path, &identity, rows);
        if whole.map_err(|error| SweepError::io(&part_path, error))? == Some(true) {
            // Left over by a process that was killed between its last two steps.
            let _ = fs::remove_file(&log_path);
            return Ok(Ended::Done);
        }
        let mut done = vec![false; (range.end - range.start) as usize];
        let mut failures = 0;
        let log = Log::open(&log_path, self.hash(), &range, metrics, &mut |index, status| {
            done[(index - range.start) as usize] = true;
            failures += u64::from(status.is_failure());
            progress(status);
        });
        let log = Mutex::new(log.map_err(failed)?);
        wanted.retain(|&index| !done[(index - range.start) as usize]);
        drop(done);
        // Points with the same cluster one after the other.
        wanted.sort_by_key(|&index| (self.study.cluster_key(index), index));

        let next = AtomicUsize::new(0);
        let failures = AtomicU64::new(failures);
        let too_many =
            || limits.max_failures.is_some_and(|most| failures.load(Ordering::Relaxed) > most);
        let stopped = || limits.interrupted.load(Ordering::Relaxed) || too_many();
        let keep = |row: &Row| -> Result<(), SweepError> {
            failures.fetch_add(u64::from(row.status.is_failure()), Ordering::Relaxed);
            log.lock().unwrap_or_else(PoisonError::into_inner).append(row).map_err(failed)?;
            progress(row.status);
            Ok(())
        };
        let work = || -> Result<(), SweepError> {
            let mut evaluator = self.study.evaluator();
            while !stopped() {
                let start = next.fetch_add(RUN, Ordering::Relaxed);
                let Some(run) = wanted.get(start..).filter(|rest| !rest.is_empty()) else { break };
                for &index in run.iter().take(RUN) {
                    if stopped() {
                        break;
                    }
                    if let Some(point) = self.study.point(index) {
                        keep(&self.study.evaluate(&mut evaluator, &point))?;
                    }
                }
            }
            Ok(())
        };
        (0..rayon::current_num_threads())
            .into_par_iter()
            .map(|_| work())
            .collect::<Result<Vec<()>, _>>()?;

        let log = log.into_inner().unwrap_or_else(PoisonError::into_inner);
        if log.len() as u64 == rows {
            part::write(&part_path, &identity, log)
                .map_err(|error| SweepError::io(&part_path, error))?;
            fs::remove_file(&log_path).or_else(gone).map_err(failed)?;
            return Ok(Ended::Done);
        }
        Ok(if too_many() { Ended::TooManyFailures } else { Ended::Interrupted })
    }
}

/// Another process was faster.
fn gone(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

//! A bar for runs that take longer than one waits patiently, counted in simulated work.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use motley_engine::Observer;
use motley_job::{CommId, RankId, Tag};
use motley_units::Time;

/// Shorter runs show no progress.
const PATIENCE: Duration = Duration::from_secs(2);

/// Operations between two looks at the clock, a power of two.
const STRIDE: u64 = 1 << 20;

/// The bar. Drawn on standard error if that is a terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    start: Instant,
    per_iteration: u64,
}

impl Progress {
    /// For so many iterations of so many operations, begun at `start`.
    pub(crate) fn new(iterations: u32, per_iteration: u64, start: Instant) -> Self {
        let total = per_iteration * u64::from(iterations);
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        let look = "{bar:40} {percent} % of {human_len} operations, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(look) {
            bar.set_style(style);
        }
        Self { bar, start, per_iteration }
    }

    /// An iteration that nobody watched is over.
    pub(crate) fn iteration_done(&self) {
        self.advance(self.per_iteration);
    }

    /// An observer of the first iteration, which may take long by itself.
    pub(crate) fn watch(&self) -> Watch<'_> {
        Watch { progress: self, seen: 0 }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn advance(&self, operations: u64) {
        if self.bar.is_hidden() && self.start.elapsed() > PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.inc(operations);
    }
}

/// Counts the operations of a replay.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    progress: &'a Progress,
    seen: u64,
}

impl Watch<'_> {
    #[inline]
    fn see(&mut self, operations: u64) {
        self.seen += operations;
        if self.seen >= STRIDE {
            self.progress.advance(std::mem::take(&mut self.seen));
        }
    }
}

/// Operations that a summary tells of were counted when they were passed over.
impl Observer for Watch<'_> {
    #[inline]
    fn compute(&mut self, _: RankId, _: Tag, _: Time, _: Time) {
        self.see(1);
    }

    #[inline]
    fn wait(&mut self, _: RankId, _: CommId, _: u16, _: Tag, _: Time, _: Time, _: Time) {
        self.see(1);
    }

    #[inline]
    fn summarises(&self, _: CommId) -> bool {
        true
    }

    #[inline]
    fn tells_ranks_apart(&self) -> bool {
        false
    }

    #[inline]
    fn pass_over(&mut self, operations: u64) {
        self.see(operations);
    }
}

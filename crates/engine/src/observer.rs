//! Who is told what happened when.

use motley_job::{CommId, RankId, Tag};
use motley_units::Time;

/// Receives the events of a replay.
///
/// The replay is compiled for each observer, so what one ignores costs nothing. For each rank the
/// calls of `compute` and `wait` come in the order of its program; between ranks and communicators
/// there is no order of time, as cursors run ahead of each other.
pub trait Observer {
    /// The compute stream of `rank` was busy.
    #[inline]
    fn compute(&mut self, rank: RankId, tag: Tag, start: Time, end: Time) {
        let _ = (rank, tag, start, end);
    }

    /// Of the compute just told of, `by`, a span above zero, was lost to calls beside it that take
    /// processors: without them it would have ended so much earlier.
    #[inline]
    fn slow_down(&mut self, rank: RankId, tag: Tag, by: Time) {
        let _ = (rank, tag, by);
    }

    /// The compute stream of `rank` stood still from `from` to `end`, a span above zero, for an
    /// instance of `comm` that made the communicator's call `call` and began to move at `start`,
    /// when its last member had joined. `start` may be before `from`.
    #[inline]
    #[expect(clippy::too_many_arguments, reason = "one flat record, never stored as such")]
    fn wait(
        &mut self,
        rank: RankId,
        comm: CommId,
        call: u16,
        tag: Tag,
        from: Time,
        start: Time,
        end: Time,
    ) {
        let _ = (rank, comm, call, tag, from, start, end);
    }

    /// Instance `sequence` of `comm` moved from `start`, when its last member had joined with its
    /// stream free, to `end`.
    #[inline]
    fn transfer(&mut self, comm: CommId, call: u16, sequence: u32, start: Time, end: Time) {
        let _ = (comm, call, sequence, start, end);
    }

    /// The compute stream of `rank` has run its whole program.
    #[inline]
    fn finish(&mut self, rank: RankId, at: Time) {
        let _ = (rank, at);
    }

    /// Whether the observer takes summaries of what the members of `comm` do again and again among
    /// themselves: only how often, and how long each time, not when. A replay is many times faster
    /// for one that does. What is summed up is told at the end, see [`Observer::repeat`].
    #[inline]
    fn summarises(&self, comm: CommId) -> bool {
        let _ = comm;
        false
    }

    /// Whether it matters to the observer which rank it is told of. One to whom it does not matter
    /// may be shown the replay of a [`crate::Fold`] instead.
    #[inline]
    fn tells_ranks_apart(&self) -> bool {
        true
    }

    /// So many operations were passed over that will be told of in a summary.
    #[inline]
    fn pass_over(&mut self, operations: u64) {
        let _ = operations;
    }

    /// Until the next call, what is told happened so many times, each time with these durations, at
    /// other times than those told. Called with 1 when it is over.
    #[inline]
    fn repeat(&mut self, times: u64) {
        let _ = times;
    }
}

/// An observer that ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    #[inline]
    fn summarises(&self, _: CommId) -> bool {
        true
    }

    #[inline]
    fn tells_ranks_apart(&self) -> bool {
        false
    }
}

impl<A: Observer, B: Observer> Observer for (A, B) {
    #[inline]
    fn compute(&mut self, rank: RankId, tag: Tag, start: Time, end: Time) {
        self.0.compute(rank, tag, start, end);
        self.1.compute(rank, tag, start, end);
    }

    #[inline]
    fn slow_down(&mut self, rank: RankId, tag: Tag, by: Time) {
        self.0.slow_down(rank, tag, by);
        self.1.slow_down(rank, tag, by);
    }

    #[inline]
    fn wait(
        &mut self,
        rank: RankId,
        comm: CommId,
        call: u16,
        tag: Tag,
        from: Time,
        start: Time,
        end: Time,
    ) {
        self.0.wait(rank, comm, call, tag, from, start, end);
        self.1.wait(rank, comm, call, tag, from, start, end);
    }

    #[inline]
    fn transfer(&mut self, comm: CommId, call: u16, sequence: u32, start: Time, end: Time) {
        self.0.transfer(comm, call, sequence, start, end);
        self.1.transfer(comm, call, sequence, start, end);
    }

    #[inline]
    fn finish(&mut self, rank: RankId, at: Time) {
        self.0.finish(rank, at);
        self.1.finish(rank, at);
    }

    #[inline]
    fn summarises(&self, comm: CommId) -> bool {
        self.0.summarises(comm) && self.1.summarises(comm)
    }

    #[inline]
    fn tells_ranks_apart(&self) -> bool {
        self.0.tells_ranks_apart() || self.1.tells_ranks_apart()
    }

    #[inline]
    fn pass_over(&mut self, operations: u64) {
        self.0.pass_over(operations);
        self.1.pass_over(operations);
    }

    #[inline]
    fn repeat(&mut self, times: u64) {
        self.0.repeat(times);
        self.1.repeat(times);
    }
}

impl<O: Observer> Observer for &mut O {
    #[inline]
    fn compute(&mut self, rank: RankId, tag: Tag, start: Time, end: Time) {
        (**self).compute(rank, tag, start, end);
    }

    #[inline]
    fn slow_down(&mut self, rank: RankId, tag: Tag, by: Time) {
        (**self).slow_down(rank, tag, by);
    }

    #[inline]
    fn wait(
        &mut self,
        rank: RankId,
        comm: CommId,
        call: u16,
        tag: Tag,
        from: Time,
        start: Time,
        end: Time,
    ) {
        (**self).wait(rank, comm, call, tag, from, start, end);
    }

    #[inline]
    fn transfer(&mut self, comm: CommId, call: u16, sequence: u32, start: Time, end: Time) {
        (**self).transfer(comm, call, sequence, start, end);
    }

    #[inline]
    fn finish(&mut self, rank: RankId, at: Time) {
        (**self).finish(rank, at);
    }

    #[inline]
    fn summarises(&self, comm: CommId) -> bool {
        (**self).summarises(comm)
    }

    #[inline]
    fn tells_ranks_apart(&self) -> bool {
        (**self).tells_ranks_apart()
    }

    #[inline]
    fn pass_over(&mut self, operations: u64) {
        (**self).pass_over(operations);
    }

    #[inline]
    fn repeat(&mut self, times: u64) {
        (**self).repeat(times);
    }
}

/// Nobody ignores everything.
impl<O: Observer> Observer for Option<O> {
    #[inline]
    fn compute(&mut self, rank: RankId, tag: Tag, start: Time, end: Time) {
        if let Some(observer) = self {
            observer.compute(rank, tag, start, end);
        }
    }

    #[inline]
    fn wait(
        &mut self,
        rank: RankId,
        comm: CommId,
        call: u16,
        tag: Tag,
        from: Time,
        start: Time,
        end: Time,
    ) {
        if let Some(observer) = self {
            observer.wait(rank, comm, call, tag, from, start, end);
        }
    }

    #[inline]
    fn transfer(&mut self, comm: CommId, call: u16, sequence: u32, start: Time, end: Time) {
        if let Some(observer) = self {
            observer.transfer(comm, call, sequence, start, end);
        }
    }

    #[inline]
    fn finish(&mut self, rank: RankId, at: Time) {
        if let Some(observer) = self {
            observer.finish(rank, at);
        }
    }

    #[inline]
    fn summarises(&self, comm: CommId) -> bool {
        self.as_ref().is_none_or(|observer| observer.summarises(comm))
    }

    #[inline]
    fn tells_ranks_apart(&self) -> bool {
        self.as_ref().is_some_and(Observer::tells_ranks_apart)
    }

    #[inline]
    fn pass_over(&mut self, operations: u64) {
        if let Some(observer) = self {
            observer.pass_over(operations);
        }
    }

    #[inline]
    fn repeat(&mut self, times: u64) {
        if let Some(observer) = self {
            observer.repeat(times);
        }
    }
}

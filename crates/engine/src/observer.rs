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

/// Of an observer `$this` that hands on what it is told: all events, to each of `$observers` in turn.
/// What it answers is its own.
macro_rules! hand_on {
    (@each $this:ident $observers:tt $($event:ident $arguments:tt;)+) => {
        $(hand_on!(@one $this $observers $event $arguments);)+
    };
    (@one $this:ident $observers:tt $event:ident($($argument:ident: $kind:ty),+)) => {
        #[inline]
        fn $event(&mut self, $($argument: $kind),+) {
            let $this = self;
            hand_on!(@tell $observers $event($($argument),+));
        }
    };
    (@tell ($($observer:expr),+) $event:ident $arguments:tt) => {
        $(if let Some(observer) = $observer {
            observer.$event $arguments;
        })+
    };
    ($this:ident to $($observer:expr),+) => {
        hand_on!(@each $this ($($observer),+)
            compute(rank: RankId, tag: Tag, start: Time, end: Time);
            slow_down(rank: RankId, tag: Tag, by: Time);
            wait(
                rank: RankId, comm: CommId, call: u16, tag: Tag, from: Time, start: Time, end: Time
            );
            transfer(comm: CommId, call: u16, sequence: u32, start: Time, end: Time);
            finish(rank: RankId, at: Time);
            pass_over(operations: u64);
            repeat(times: u64);
        );
    };
}

impl<A: Observer, B: Observer> Observer for (A, B) {
    hand_on!(both to Some(&mut both.0), Some(&mut both.1));

    #[inline]
    fn summarises(&self, comm: CommId) -> bool {
        self.0.summarises(comm) && self.1.summarises(comm)
    }

    #[inline]
    fn tells_ranks_apart(&self) -> bool {
        self.0.tells_ranks_apart() || self.1.tells_ranks_apart()
    }
}

impl<O: Observer> Observer for &mut O {
    hand_on!(it to Some(&mut **it));

    #[inline]
    fn summarises(&self, comm: CommId) -> bool {
        (**self).summarises(comm)
    }

    #[inline]
    fn tells_ranks_apart(&self) -> bool {
        (**self).tells_ranks_apart()
    }
}

/// Nobody ignores everything.
impl<O: Observer> Observer for Option<O> {
    hand_on!(perhaps to perhaps.as_mut());

    #[inline]
    fn summarises(&self, comm: CommId) -> bool {
        self.as_ref().is_none_or(|observer| observer.summarises(comm))
    }

    #[inline]
    fn tells_ranks_apart(&self) -> bool {
        self.as_ref().is_some_and(Observer::tells_ranks_apart)
    }
}

#[cfg(test)]
mod tests {
    use motley_job::NameId;

    use super::*;

    /// Counts what it is told, each event as itself.
    #[derive(Debug, Default, PartialEq)]
    struct Told([u32; 7]);

    impl Observer for Told {
        fn compute(&mut self, _: RankId, _: Tag, _: Time, _: Time) {
            self.0[0] += 1;
        }

        fn slow_down(&mut self, _: RankId, _: Tag, _: Time) {
            self.0[1] += 1;
        }

        fn wait(&mut self, _: RankId, _: CommId, _: u16, _: Tag, _: Time, _: Time, _: Time) {
            self.0[2] += 1;
        }

        fn transfer(&mut self, _: CommId, _: u16, _: u32, _: Time, _: Time) {
            self.0[3] += 1;
        }

        fn finish(&mut self, _: RankId, _: Time) {
            self.0[4] += 1;
        }

        fn pass_over(&mut self, _: u64) {
            self.0[5] += 1;
        }

        fn repeat(&mut self, _: u64) {
            self.0[6] += 1;
        }
    }

    fn tell_everything(mut observer: impl Observer) {
        let tag = Tag { name: NameId(0), index: 0 };
        let (rank, comm, now) = (RankId(0), CommId(0), Time::ZERO);
        observer.compute(rank, tag, now, now);
        observer.slow_down(rank, tag, now);
        observer.wait(rank, comm, 0, tag, now, now, now);
        observer.transfer(comm, 0, 0, now, now);
        observer.finish(rank, now);
        observer.pass_over(1);
        observer.repeat(1);
    }

    #[test]
    fn whoever_hands_on_keeps_nothing_back() {
        let mut told = [(); 4].map(|()| Told::default());
        let [one, other, third, perhaps] = &mut told;
        tell_everything((one, other));
        tell_everything(&mut &mut *third);
        tell_everything(Some(perhaps));
        assert_eq!(told, [(); 4].map(|()| Told([1; 7])));
        tell_everything(None::<Told>);
    }
}

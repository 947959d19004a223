//! Compute beside calls that take processors from it.
//!
//! Of each rank the replay remembers which such calls it has issued and not known to be over, with
//! what is known of their starts and ends. The start of an instance is known when its last member
//! has joined, its end at the same time if it shares no links, and otherwise when it is there. All of
//! that is known no later than the clock is at it, for joins lie at or after the clock.
//!
//! If all that a computation runs beside is known, its end is worked out and the rank runs on ahead
//! of the clock as ever. If not, the rank is *busy*: it stands, an event is set to where the
//! computation ends as far as is known, and moved whenever more becomes known. The clock reaches that
//! event only when nothing can happen any more before it. If all that was missing becomes known
//! earlier, the rank runs on then.
//!
//! The calls of a gang among itself are settled as they are made, and found in its communicator's
//! window.

use motley_job::{RankId, Tag};
use motley_units::Time;

use super::{Replay, length};
use crate::Observer;
use crate::pace::{Span, Speed, end_beside};
use crate::prepare::{Cursor, Gang, Tables};
use crate::queue::Event;

/// Of one rank.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside {
    open: Vec<Open>,
    busy: Option<Busy>,
}

/// A call that takes processors.
#[derive(Clone, Copy, Debug)]
struct Open {
    communicator: u32,
    sequence: u32,
    span: Span,
}

/// A computation whose end is not known yet.
#[derive(Clone, Copy, Debug)]
struct Busy {
    tag: Tag,
    from: Time,
    /// How long it takes alone.
    work: Time,
}

impl Beside {
    /// Nothing issued yet, by all ranks; none if no call takes processors.
    pub(super) fn new(tables: &Tables) -> Vec<Self> {
        vec![Self::default(); tables.processors.len()]
    }

    fn spans(&self) -> impl Iterator<Item = Span> + Clone {
        self.open.iter().map(|open| open.span)
    }

    /// Drops what is over by `now`.
    fn forget(&mut self, now: Time) {
        self.open.retain(|open| open.span.end > now);
    }

    /// When a computation ends, as far as is known, and whether that is for good.
    fn end(&self, from: Time, work: Time) -> (Time, bool) {
        let end = end_beside(from, work, &self.spans());
        // What ends at a time not known matters if it starts before, or at a time not known either.
        let known =
            |span: Span| span.end < Time::MAX || (span.start < Time::MAX && span.start >= end);
        (end, self.spans().all(known))
    }
}

impl<O: Observer> Replay<'_, O> {
    /// A rank issues an instance of a communicator at `now`, by a call that may take processors.
    pub(super) fn open(
        &mut self,
        rank: u32,
        communicator: u32,
        call: u16,
        sequence: u32,
        now: Time,
    ) {
        let calls = self.communicators[communicator as usize].calls;
        let taken = self.tables.calls[calls as usize + usize::from(call)].taken;
        let speed = Speed::beside(taken, self.tables.processors[rank as usize]);
        if speed < Speed::FULL {
            let span = Span { start: Time::MAX, end: Time::MAX, speed };
            let beside = &mut self.beside[rank as usize];
            beside.forget(now);
            beside.open.push(Open { communicator, sequence, span });
        }
    }

    /// A rank computes from `now` on; when that ends, if it can be known.
    pub(super) fn compute_beside(
        &mut self,
        rank: u32,
        tag: Tag,
        now: Time,
        work: Time,
    ) -> Option<Time> {
        let beside = &mut self.beside[rank as usize];
        beside.forget(now);
        let (end, known) = beside.end(now, work);
        if known {
            self.tell_compute(rank, tag, (now, end), work);
            return Some(end);
        }
        beside.busy = Some(Busy { tag, from: now, work });
        self.queue.set(end, Event::Computed(rank));
        None
    }

    /// The start of an instance of a communicator has become known, and its end unless that is
    /// [`Time::MAX`]: for all members that have issued it.
    pub(super) fn place_in_time(
        &mut self,
        communicator: u32,
        sequence: u32,
        start: Time,
        end: Time,
    ) {
        let tables = self.tables;
        let comm = &self.communicators[communicator as usize];
        let members = comm.members as usize..(comm.members + comm.size) as usize;
        for &rank in &tables.members[members] {
            let beside = &mut self.beside[rank as usize];
            let is_it =
                |open: &&mut Open| open.communicator == communicator && open.sequence == sequence;
            let Some(open) = beside.open.iter_mut().find(is_it) else { continue };
            (open.span.start, open.span.end) = (start, end);
            let Some(Busy { from, work, .. }) = beside.busy else { continue };
            let (end, known) = beside.end(from, work);
            if known {
                self.queue.cancel(rank);
                self.computed(rank, end);
            } else {
                self.queue.set(end, Event::Computed(rank));
            }
        }
    }

    /// A rank has computed until `end` what it was busy with.
    pub(super) fn computed(&mut self, rank: u32, end: Time) {
        if let Some(Busy { tag, from, work }) = self.beside[rank as usize].busy.take() {
            self.tell_compute(rank, tag, (from, end), work);
            self.go_on(rank, end, 1);
        }
    }

    /// Takes the members of a gang through a computation beside calls among themselves.
    pub(super) fn compute_gang_beside(&mut self, gang: Gang, tag: Tag, spread: u16, duration: f64) {
        for r in gang.ranks() {
            let Cursor { now, slowness, .. } = self.cursors[r];
            let work = length(&mut self.noise, r, spread, duration * slowness);
            let end = end_beside(now, work, &self.spans_among(gang, r));
            self.cursors[r].now = end;
            self.tell_compute(r as u32, tag, (now, end), work);
        }
    }

    /// Members of a gang part: what goes on of their calls among themselves, they go on beside as
    /// each for itself.
    pub(super) fn part_beside(&mut self, gang: Gang) {
        if self.beside.is_empty() {
            return;
        }
        for r in gang.ranks() {
            let now = self.cursors[r].now;
            let open: Vec<Open> = self
                .spans_among(gang, r)
                .filter(|span| span.end > now)
                .map(|span| Open { communicator: gang.communicator, sequence: u32::MAX, span })
                .collect();
            self.beside[r].open = open;
        }
    }

    /// The latest instances of a gang's communicator, as compute of a member has them beside it.
    fn spans_among(&self, gang: Gang, member: usize) -> impl Iterator<Item = Span> + Clone {
        let comm = &self.communicators[gang.communicator as usize];
        let processors = self.tables.processors.get(member).copied().unwrap_or(f64::INFINITY);
        let calls = &self.tables.calls[comm.calls as usize..];
        self.windows[comm.eager as usize].instances().map(move |instance| {
            let taken = calls[usize::from(instance.call)].taken;
            Span {
                start: instance.start,
                end: instance.end,
                speed: Speed::beside(taken, processors),
            }
        })
    }

    fn tell_compute(&mut self, rank: u32, tag: Tag, (start, end): (Time, Time), work: Time) {
        self.observer.compute(RankId(rank), tag, start, end);
        if end - start > work {
            self.observer.slow_down(RankId(rank), tag, (end - start) - work);
        }
    }
}

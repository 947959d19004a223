//! The critical path: from what ended last back to what it waited for, and so on to the beginning.
//!
//! A rank's compute stream computes or waits, without gap. Where it waited for an instance, the path goes
//! through the instance's transfer to the member that joined last, at the moment when it did: to what that
//! member did then, or, where the call stood in line on its stream, to the transfer ahead of it. So the
//! path is a chain of compute and transfers without gap, as long as the iteration; whatever is not on it
//! could have taken a little longer.
//!
//! Where iterations follow one another without all ranks beginning together, the path goes on in the
//! iteration before, until it is as long as one iteration.

use motley_job::{CommId, Job, NameId, RankId};
use motley_units::Time;

use crate::joins::Joins;
use crate::recording::Recording;

/// What a piece of the path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Kernels, as long as they take by themselves.
    Compute(NameId),
    /// What they took longer beside communication.
    SlowDown,
    /// An instance of a communicator moved.
    Transfer(CommId),
}

/// A piece of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Who did it or waited for it.
    pub(crate) rank: RankId,
    pub(crate) kind: Kind,
    pub(crate) length: Time,
}

/// A replay that was recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recorded<'a> {
    pub(crate) job: &'a Job,
    pub(crate) recording: &'a Recording,
    pub(crate) starts: &'a [Time],
    pub(crate) finish: &'a [Time],
    /// When the last transfer or rank ended.
    pub(crate) end: Time,
    /// How long an iteration is.
    pub(crate) iteration: Time,
}

/// Where the walk stands.
#[derive(Clone, Copy, Debug)]
enum At {
    /// At what a rank did until some time.
    Rank(RankId, Time),
    /// At the end of an instance, for which a rank waited.
    Instance(RankId, CommId, u32),
}

/// The pieces of the critical path, the last first; together as long as the iteration.
pub(crate) fn critical_path(recorded: &Recorded) -> Vec<Piece> {
    let mut walk = Walk {
        recorded,
        joins: Joins::new(recorded.job, recorded.recording, recorded.starts),
        left: recorded.iteration,
        pieces: Vec::new(),
        idle: 0,
    };
    let mut at = walk.last();
    // What takes no time is passed once on the way back to what does.
    let patience = recorded.job.ranks.len() + recorded.job.communicators.len();
    while let Some(here) = at
        && walk.left > Time::ZERO
        && walk.idle <= patience
    {
        at = match here {
            At::Rank(rank, time) => walk.step(rank, time),
            At::Instance(rank, comm, sequence) => walk.instance(rank, comm, sequence),
        };
    }
    walk.pieces
}

struct Walk<'a> {
    recorded: &'a Recorded<'a>,
    joins: Joins<'a>,
    /// How much of the iteration is still before.
    left: Time,
    pieces: Vec<Piece>,
    /// Moves since the last piece.
    idle: usize,
}

impl Walk<'_> {
    fn start(&self, rank: RankId) -> Time {
        self.recorded.starts.get(rank.0 as usize).copied().unwrap_or_default()
    }

    /// What ended last: the rank that took longest, the first of several, or a transfer that no rank
    /// waits for.
    fn last(&self) -> Option<At> {
        let Recorded { recording, finish, starts, end, .. } = *self.recorded;
        let ranks = (0..finish.len() as u32).map(RankId);
        let (span, rank) = ranks
            .map(|rank| (finish[rank.0 as usize] - self.start(rank), rank))
            .max_by_key(|&(span, rank)| (span, std::cmp::Reverse(rank)))?;
        if !starts.is_empty() || span == end {
            return Some(At::Rank(rank, finish[rank.0 as usize]));
        }
        recording.transfers.iter().zip(0..).find_map(|(spans, comm)| {
            let &(_, last) = spans.last()?;
            let member = *self.recorded.job.communicators[comm as usize].members.first()?;
            (last == end).then(|| At::Instance(member, CommId(comm), spans.len() as u32 - 1))
        })
    }

    fn take(&mut self, rank: RankId, kind: Kind, length: Time) {
        self.idle += 1;
        let length = length.min(self.left);
        if length > Time::ZERO {
            self.idle = 0;
            self.left = self.left - length;
            self.pieces.push(Piece { rank, kind, length });
        }
    }

    /// Goes through what a rank did until `time`.
    fn step(&mut self, rank: RankId, time: Time) -> Option<At> {
        let recording = self.recorded.recording;
        let start = self.start(rank);
        if time <= start {
            // The iteration before ended then, on this rank.
            self.idle += 1;
            return Some(At::Rank(rank, self.recorded.finish[rank.0 as usize]));
        }
        let steps = &recording.steps[rank.0 as usize];
        let number = steps.partition_point(|step| step.until < time);
        let step = steps.get(number)?;
        if let Some(comm) = step.waited_for() {
            let sequence = recording.instance(comm, (step.start, step.until))?;
            return Some(At::Instance(rank, comm, sequence));
        }
        let slowed = recording.slowed(rank, number);
        self.take(rank, Kind::Compute(step.name), step.until - step.start - slowed);
        self.take(rank, Kind::SlowDown, slowed);
        Some(At::Rank(rank, step.start))
    }

    /// Goes through a transfer to what it waited for.
    fn instance(&mut self, rank: RankId, comm: CommId, sequence: u32) -> Option<At> {
        let recording = self.recorded.recording;
        let (start, end) = recording.transfers[comm.0 as usize][sequence as usize];
        self.take(rank, Kind::Transfer(comm), end - start);
        let ends_then = |&(comm, sequence): &(CommId, u32)| {
            recording.transfers[comm.0 as usize][sequence as usize].1 == start
        };
        let mut queued = None;
        for &member in &self.recorded.job.communicators[comm.0 as usize].members {
            let Some(join) = self.joins.of(member, comm, sequence) else { continue };
            if join.at == start {
                return Some(At::Rank(member, start));
            }
            let before = join.behind.filter(ends_then);
            queued = queued.or(before.map(|(comm, sequence)| At::Instance(member, comm, sequence)));
        }
        // Or it waited for the communicator's instance before, issued on another stream.
        queued.or_else(|| {
            let before = (comm, sequence.checked_sub(1)?);
            ends_then(&before).then_some(At::Instance(rank, before.0, before.1))
        })
    }
}

//! Why a replay could not go on: who waits for whom.

use std::fmt;

use motley_job::{CommId, Op, RankId, Stream};
use motley_units::Time;
use thiserror::Error;

use crate::Engine;
use crate::prepare::{Communicator, Cursor, Instruction, NONE};
use crate::streams::Streams;

/// How many of the waiting ranks, and of the ranks that one waits for, are kept.
const KEPT: usize = 16;
/// How many of the waiting ranks are put in words.
const TOLD: usize = 4;

/// Ranks wait for each other so that none can go on: the programs' communication does not match.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct Deadlock {
    /// When the last event happened.
    pub at: Time,
    /// How many ranks and streams wait.
    pub stuck: usize,
    /// The first of them, in the order of ranks.
    pub waiting: Vec<Waiting>,
    /// Each waits for the next, the last for the first; empty if what is waited for was never
    /// going to happen.
    pub cycle: Vec<Waiting>,
}

/// A rank, or one of its communication streams, that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The rank.
    pub rank: RankId,
    /// The stream, `None` for the compute stream.
    pub stream: Option<Stream>,
    /// The operation that waits, an index into the rank's program in full.
    pub op: usize,
    /// The operation's name.
    pub name: String,
    /// What it waits for: this communicator,
    pub communicator: CommId,
    /// to complete this instance.
    pub sequence: u32,
    /// Members of the communicator that have not joined its current instance; the first few.
    pub missing: Vec<RankId>,
    /// How many those are in all.
    pub missing_count: usize,
}

/// The state in which a replay got stuck.
pub(crate) struct Stuck<'a> {
    pub(crate) engine: &'a Engine<'a>,
    pub(crate) cursors: &'a [Cursor],
    pub(crate) communicators: &'a [Communicator],
    pub(crate) streams: &'a Streams,
}

/// A waiting compute stream or communication stream, before it is described.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    rank: usize,
    stream: Option<usize>,
    instruction: usize,
    communicator: usize,
    sequence: u32,
}

impl Stuck<'_> {
    /// Says who waits for whom.
    pub(crate) fn explain(&self, at: Time) -> Deadlock {
        let places: Vec<Place> = (0..self.cursors.len()).flat_map(|r| self.places(r)).collect();
        Deadlock {
            at,
            stuck: places.len(),
            waiting: places.iter().take(KEPT).map(|&place| self.describe(place)).collect(),
            cycle: self.cycle(&places).into_iter().map(|place| self.describe(place)).collect(),
        }
    }

    /// Where a rank waits: its compute stream, then the heads of its communication streams.
    fn places(&self, rank: usize) -> impl Iterator<Item = Place> {
        let cursor = self.cursors[rank];
        let slot = |slot| self.engine.tables.communicator(cursor.slots, slot) as usize;
        let compute = match self.engine.tables.instruction(cursor) {
            Instruction::Collective { slot: s, sequence, .. }
            | Instruction::Await { slot: s, sequence, .. } => Some(Place {
                rank,
                stream: None,
                instruction: cursor.at as usize,
                communicator: slot(s),
                sequence,
            }),
            _ => None,
        };
        let heads = (0..self.streams.per_rank()).filter_map(move |stream| {
            let head = self.streams.head(rank, stream)?;
            Some(Place {
                rank,
                stream: Some(stream),
                instruction: head.instruction as usize,
                communicator: head.communicator as usize,
                sequence: head.sequence,
            })
        });
        compute.into_iter().chain(heads)
    }

    /// Whether a place has joined the current instance of a communicator.
    fn has_joined(&self, place: Place, communicator: usize) -> bool {
        let joins = place.stream.is_some()
            || matches!(
                self.engine.tables.code.instructions[place.instruction],
                Instruction::Collective { .. }
            );
        joins
            && place.communicator == communicator
            && place.sequence == self.communicators[communicator].completed
    }

    /// The members of a communicator that have not joined its current instance.
    fn missing(&self, communicator: usize) -> impl Iterator<Item = usize> {
        self.engine.job.communicators[communicator]
            .members
            .iter()
            .map(|rank| rank.0 as usize)
            .filter(move |&rank| {
                !self.places(rank).any(|place| self.has_joined(place, communicator))
                    && !self.has_issued_eagerly(rank, communicator)
            })
    }

    /// Whether a rank has issued the current instance of a communicator that ends without events,
    /// and whose calls are on no stream therefore.
    fn has_issued_eagerly(&self, rank: usize, communicator: usize) -> bool {
        let comm = &self.communicators[communicator];
        if comm.eager == NONE {
            return false;
        }
        let call = self.call(rank, communicator, comm.completed);
        call.is_some_and(|(at, op)| matches!(op, Op::Issue { .. }) && at < self.position(rank))
    }

    /// Where a rank stands in its program in full.
    fn position(&self, rank: usize) -> usize {
        let code = &self.engine.tables.code;
        let Cursor { at, back, .. } = self.cursors[rank];
        let program = self.engine.job.ranks[rank].program.0 as usize;
        let (until, inside) = match code.segment_before(back) {
            Some(segment) => (back - 1, at - segment.first),
            None => (at, 0),
        };
        let before = code.instructions[code.programs[program].first as usize..until as usize]
            .iter()
            .map(|instruction| match *instruction {
                Instruction::Segment { segment, .. } => code.segments[segment as usize].len,
                _ => 1,
            });
        (before.sum::<u32>() + inside) as usize
    }

    /// The call by which a rank joins an instance, if it ever does, and its place in the program in
    /// full.
    fn call(&self, rank: usize, communicator: usize, instance: u32) -> Option<(usize, Op)> {
        let job = self.engine.job;
        let rank = &job.ranks[rank];
        job.expanded(rank.program)
            .enumerate()
            .filter(|(_, op)| {
                op.call().is_some_and(|(slot, _)| {
                    rank.slots[usize::from(slot.0)].0 as usize == communicator
                })
            })
            .nth(instance as usize)
    }

    /// What keeps a rank from joining the current instance of a communicator: the head of the
    /// stream on which it has issued the call, or its compute stream if the call is yet to come.
    /// `None` if it never makes the call.
    fn keeps_away(&self, rank: usize, communicator: usize) -> Option<Place> {
        let instance = self.communicators[communicator].completed;
        let issued_on = (0..self.streams.per_rank()).find(|&stream| {
            self.streams
                .iter(rank, stream)
                .any(|call| call.communicator as usize == communicator && call.sequence == instance)
        });
        let to_come = || {
            let call = self.call(rank, communicator, instance);
            call.is_some_and(|(at, _)| at >= self.position(rank))
        };
        if issued_on.is_none() && !to_come() {
            return None;
        }
        self.places(rank).find(|place| place.stream == issued_on)
    }

    /// A cycle that can be reached from the first waiting place.
    fn cycle(&self, places: &[Place]) -> Vec<Place> {
        let mut walked: Vec<Place> = Vec::new();
        let mut next = places.first().copied();
        while let Some(place) = next {
            if let Some(closed) = walked.iter().position(|&before| before == place) {
                return walked.split_off(closed);
            }
            walked.push(place);
            next = self
                .missing(place.communicator)
                .find_map(|rank| self.keeps_away(rank, place.communicator));
        }
        Vec::new()
    }

    fn describe(&self, place: Place) -> Waiting {
        let tag = self.engine.tables.code.instructions[place.instruction].tag();
        let name = tag.map_or_else(String::new, |tag| self.engine.job.name(tag.name).to_owned());
        let issued = || self.call(place.rank, place.communicator, place.sequence);
        let op = match place.stream {
            Some(_) => issued().map_or(0, |(at, _)| at),
            None => self.position(place.rank),
        };
        let missing: Vec<RankId> =
            self.missing(place.communicator).map(|rank| RankId(rank as u32)).collect();
        Waiting {
            rank: RankId(place.rank as u32),
            stream: place.stream.map(|stream| Stream(stream as u8)),
            op,
            name,
            communicator: CommId(place.communicator as u32),
            sequence: place.sequence,
            missing_count: missing.len(),
            missing: missing.into_iter().take(KEPT).collect(),
        }
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {}", self.rank.0)?;
        if let Some(stream) = self.stream {
            write!(f, ", stream {}", stream.0)?;
        }
        write!(
            f,
            " (op {}, `{}`) waits for instance {} of communicator {}, which {} ",
            self.op,
            self.name,
            self.sequence,
            self.communicator.0,
            if self.missing_count == 1 { "rank" } else { "ranks" },
        )?;
        for (i, rank) in self.missing.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { ", " }, rank.0)?;
        }
        match self.missing_count - self.missing.len() {
            0 => {}
            more => write!(f, " and {more} more")?,
        }
        write!(f, " {} not joined", if self.missing_count == 1 { "has" } else { "have" })
    }
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "deadlock at {}: ", self.at)?;
        for (i, waiting) in self.waiting.iter().take(TOLD).enumerate() {
            write!(f, "{}{waiting}", if i == 0 { "" } else { "; " })?;
        }
        match self.stuck - self.waiting.len().min(TOLD) {
            0 => {}
            more => write!(f, "; and {more} more")?,
        }
        if !self.cycle.is_empty() {
            write!(f, "; in a circle: ")?;
            for waiting in &self.cycle {
                write!(f, "rank {} waits for ", waiting.rank.0)?;
            }
            write!(f, "rank {}", self.cycle[0].rank.0)?;
        }
        Ok(())
    }
}

//! What is worked out once per job, before any replay.
//!
//! [`paths`] numbers what moves at a rate of its own, [`usage`] finds out who calls what from where,
//! [`sharing`] which links can be shared at all, [`takers`] which compute may be slowed by calls beside
//! it, [`gangs`] which ranks walk side by side, and this module lays all of it out as the flat tables that the replay reads.

mod gangs;
mod instruction;
mod paths;
mod sharing;
mod takers;
mod usage;

use std::collections::BTreeMap;

use motley_job::{Job, JobError, verify};
use motley_units::Time;

pub(crate) use gangs::Gang;
pub(crate) use instruction::{Code, Instruction, Segment, shifted};
pub(crate) use paths::{Numbers, Paths, idle_rate};
pub(crate) use sharing::Sharing;
pub(crate) use usage::Usage;

use takers::Takers;

use crate::digest::Course;
use crate::flow::{Fabric, PICOS, round_up};

/// An index that points nowhere.
pub(crate) const NONE: u32 = u32::MAX;

/// One rank as the replay starts it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    /// Local time of the compute stream.
    pub(crate) now: Time,
    /// The instruction to execute, or at which the rank stands.
    pub(crate) at: u32,
    /// Where the rank's slots begin in [`Tables::slots`].
    pub(crate) slots: u32,
    /// Factor on its compute durations.
    pub(crate) slowness: f64,
    /// In a segment: where the program goes on after it. Else [`NONE`].
    pub(crate) back: u32,
    /// In a segment: calls of its slot before it. Else zero.
    pub(crate) before: u32,
}

/// One communicator: what the replay needs to know of it and what it remembers, together, because
/// each operation on it needs both. A cache line.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct Communicator {
    /// Where its members begin in [`Tables::members`], and how many they are.
    pub(crate) members: u32,
    pub(crate) size: u32,
    /// Where its calls begin in [`Tables::calls`].
    pub(crate) calls: u32,
    /// Where its footprints begin in [`Tables::footprints`].
    pub(crate) footprints: u32,
    /// The first of its flows, or [`NONE`] if it shares no links.
    pub(crate) flow: u32,
    /// Its index among those whose instances end without an event, or [`NONE`]; see
    /// [`crate::eager`].
    pub(crate) eager: u32,

    /// Which call the instance in progress makes.
    pub(crate) call: u16,
    /// How many members have joined the current instance.
    pub(crate) joined: u32,
    /// How many instances are complete.
    pub(crate) completed: u32,
    /// The first of the ranks that wait for it without having joined, or [`NONE`].
    pub(crate) waiters: u32,
    /// How many flows of the instance in progress have yet to arrive.
    pub(crate) moving: u32,
    /// The latest join of the current instance; its start, once all members have joined.
    pub(crate) latest: Time,
    /// Of its completion times.
    pub(crate) course: Course,
}

/// One call of a communicator, with all that is known of its duration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// From start to completion, if it shares no links.
    pub(crate) duration: Time,
    /// From start to the first byte.
    pub(crate) latency: Time,
    /// What a connection moves.
    pub(crate) bytes: f64,
    /// No connection is faster, bytes per picosecond.
    pub(crate) cap: f64,
    /// Which of the communicator's footprints.
    pub(crate) footprint: u8,
    /// It crosses links that it may have to share.
    pub(crate) shared: bool,
    /// The processors that it takes from compute beside it.
    pub(crate) taken: f64,
}

/// The flat tables of a job.
#[derive(Debug)]
pub(crate) struct Tables {
    /// What ranks do.
    pub(crate) code: Code,
    /// The communicators behind the slots of all ranks.
    pub(crate) slots: Vec<u32>,
    /// The members of all communicators.
    pub(crate) members: Vec<u32>,
    /// The footprints of all communicators.
    pub(crate) footprints: Vec<u32>,
    /// The calls of communicators; communicators of one shape share them.
    pub(crate) calls: Vec<Call>,
    /// All ranks, at the start of their programs.
    pub(crate) cursors: Vec<Cursor>,
    /// The processors of all ranks; empty if no call takes any.
    pub(crate) processors: Vec<f64>,
    /// All communicators, before their first instance.
    pub(crate) communicators: Vec<Communicator>,
    /// How many operations all ranks execute together.
    pub(crate) operations: u64,
    /// The links that may be shared, and who crosses them.
    pub(crate) fabric: Fabric,
    /// How many communicators end without events.
    pub(crate) eager: u32,
    /// The ranks that walk side by side.
    pub(crate) gangs: Vec<Gang>,
    /// How many stretches all gangs have together, and how many offsets these.
    pub(crate) stretches: u32,
    pub(crate) offsets: u32,
    /// By rank, the gang that it leads, or [`NONE`].
    pub(crate) led: Vec<u32>,
    /// The ranks that are in no gang or lead one, last first.
    pub(crate) starters: Vec<u32>,
}

/// Verifies and lays out `job`. With `reduce`, links that need no solver are found and left to
/// closed forms; without, every link of every footprint is solved and every completion is an event.
pub(crate) fn prepare(job: &Job, reduce: bool) -> Result<Tables, JobError> {
    verify(job)?;
    let paths = Paths::new(job);
    let usage = Usage::new(job)?;
    let sharing = sharing::find(job, &paths, &usage, reduce);
    let fabric = Fabric::new(job, &paths, &usage, &sharing);
    let takers = Takers::new(job);
    let code = instruction::lower(job, &takers);

    let mut slots = Vec::new();
    let mut operations = 0;
    let mut cursors = Vec::with_capacity(job.ranks.len());
    for rank in &job.ranks {
        let program = code.programs[rank.program.0 as usize];
        cursors.push(Cursor {
            now: Time::ZERO,
            at: program.first,
            slots: slots.len() as u32,
            slowness: rank.slowness,
            back: NONE,
            before: 0,
        });
        slots.extend(rank.slots.iter().map(|comm| comm.0));
        operations += program.len;
    }

    let mut tables = Tables {
        code,
        slots,
        members: Vec::new(),
        footprints: Vec::new(),
        calls: Vec::new(),
        cursors,
        processors: if takers.any() {
            job.ranks.iter().map(|rank| rank.processors).collect()
        } else {
            Vec::new()
        },
        communicators: Vec::with_capacity(job.communicators.len()),
        operations,
        fabric,
        eager: 0,
        gangs: Vec::new(),
        stretches: 0,
        offsets: 0,
        led: Vec::new(),
        starters: Vec::new(),
    };
    let idle_rates: Vec<f64> = (0u32..)
        .zip(&job.footprints)
        .map(|(f, footprint)| {
            let paths = tables.fabric.paths(f);
            // Of a bundle it is known already.
            if paths.len() == 1 {
                tables.fabric.idle_rate(paths.start)
            } else {
                idle_rate(job, &footprint.links)
            }
        })
        .collect();
    let mut shapes = BTreeMap::new();
    let mut eager = 0;
    for (c, comm) in job.communicators.iter().enumerate() {
        // Communicators with the same call set and equal footprints, as far as closed forms can
        // tell them apart, share their calls.
        let footprints = comm
            .footprints
            .iter()
            .map(|f| (idle_rates[f.0 as usize].to_bits(), tables.fabric.is_shared(f.0)));
        let shape = (comm.calls, footprints.collect::<Vec<_>>());
        let next = tables.calls.len() as u32;
        let calls = *shapes.entry(shape).or_insert(next);
        if calls == next {
            let set = &job.call_sets[comm.calls.0 as usize].calls;
            tables.calls.extend(set.iter().map(|call| {
                let footprint = comm.footprints[usize::from(call.footprint)].0;
                known_of(call, idle_rates[footprint as usize], tables.fabric.is_shared(footprint))
            }));
        }
        tables.communicators.push(Communicator {
            members: tables.members.len() as u32,
            size: comm.members.len() as u32,
            calls,
            footprints: tables.footprints.len() as u32,
            flow: tables.fabric.first_flow(c as u32).unwrap_or(NONE),
            eager: if reduce && usage.among_members(c) && private(&tables, &usage, c) {
                eager += 1;
                eager - 1
            } else {
                NONE
            },
            call: 0,
            joined: 0,
            completed: 0,
            waiters: NONE,
            moving: 0,
            latest: Time::ZERO,
            course: Course::default(),
        });
        tables.members.extend(comm.members.iter().map(|rank| rank.0));
        tables.footprints.extend(comm.footprints.iter().map(|footprint| footprint.0));
    }
    tables.eager = eager;
    gangs::find(job, &mut tables);
    Ok(tables)
}

impl Tables {
    /// The instruction at which a rank stands, as it is there: inside a segment, sequences and
    /// indices count from its use.
    pub(crate) fn instruction(&self, cursor: Cursor) -> Instruction {
        let index = self.code.index_before(cursor.back);
        let before = cursor.before;
        match self.code.instructions[cursor.at as usize] {
            Instruction::Collective { tag, slot, call, sequence } => Instruction::Collective {
                tag: shifted(tag, index),
                slot,
                call,
                sequence: sequence + before,
            },
            Instruction::Await { tag, slot, sequence } => {
                Instruction::Await { tag: shifted(tag, index), slot, sequence: sequence + before }
            }
            other => other,
        }
    }

    /// The communicator behind a slot of a rank.
    #[inline]
    pub(crate) fn communicator(&self, slots: u32, slot: motley_job::Slot) -> u32 {
        self.slots[slots as usize + usize::from(slot.0)]
    }
}

/// Whether no call of a communicator shares links.
fn private(tables: &Tables, usage: &Usage, communicator: usize) -> bool {
    let used = usage.footprints(communicator);
    used.iter().all(|used| !tables.fabric.is_shared(used.footprint))
}

fn known_of(call: &motley_job::Call, idle_rate: f64, crosses: bool) -> Call {
    let cap = call.rate_cap / PICOS;
    Call {
        duration: call.latency + round_up(call.bytes / idle_rate.min(cap)),
        latency: call.latency,
        bytes: call.bytes,
        cap,
        footprint: call.footprint,
        shared: crosses && call.bytes > 0.0,
        taken: call.processors,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_hot_loop_walks_is_small() {
        assert_eq!(size_of::<Instruction>(), 16);
        assert_eq!(size_of::<Cursor>(), 32);
        assert_eq!(size_of::<Communicator>(), 64);
    }
}

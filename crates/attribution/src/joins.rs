//! When ranks were ready for what they communicated.
//!
//! A replay tells when an instance began to move, not who joined it last. That follows from the program:
//! walked through beside what the rank did, it says at what time each call was made, and which call was
//! ahead of it on its stream.

use std::collections::BTreeMap;

use motley_job::{CommId, Job, Op, RankId};
use motley_units::Time;

use crate::recording::{Recording, Step};

/// A call of one member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Join {
    /// When the program came to it.
    pub(crate) at: Time,
    /// The instance that was ahead of it on its stream.
    pub(crate) behind: Option<(CommId, u32)>,
}

/// The calls of ranks, worked out for those that are asked for.
#[derive(Debug)]
pub(crate) struct Joins<'a> {
    job: &'a Job,
    recording: &'a Recording,
    starts: &'a [Time],
    /// By rank and communicator, in order.
    of: Vec<Option<BTreeMap<CommId, Vec<Join>>>>,
}

impl<'a> Joins<'a> {
    pub(crate) fn new(job: &'a Job, recording: &'a Recording, starts: &'a [Time]) -> Self {
        Self { job, recording, starts, of: vec![None; job.ranks.len()] }
    }

    /// When a member joined an instance.
    pub(crate) fn of(&mut self, rank: RankId, comm: CommId, sequence: u32) -> Option<Join> {
        let (job, recording, starts) = (self.job, self.recording, self.starts);
        let calls = self.of[rank.0 as usize].get_or_insert_with(|| {
            let start = starts.get(rank.0 as usize).copied().unwrap_or_default();
            walk(job, rank, &recording.steps[rank.0 as usize], recording, start)
        });
        calls.get(&comm)?.get(sequence as usize).copied()
    }
}

/// Walks through a rank's program and what it did.
fn walk(
    job: &Job,
    rank: RankId,
    steps: &[Step],
    recording: &Recording,
    start: Time,
) -> BTreeMap<CommId, Vec<Join>> {
    let rank = &job.ranks[rank.0 as usize];
    let mut calls: BTreeMap<CommId, Vec<Join>> = BTreeMap::new();
    let mut last: Vec<Option<(CommId, u32)>> = vec![None; usize::from(job.streams)];
    let mut steps = steps.iter().peekable();
    let mut now = start;
    // Operations that took no time left nothing: a wait belongs to the one that waits for its instance.
    let awaited = |step: &Step, comm: CommId| {
        (step.waited_for() == Some(comm))
            .then(|| recording.instance(comm, (step.start, step.until)))
            .flatten()
    };
    for op in job.expanded(rank.program) {
        match op {
            Op::Compute { .. } => now = steps.next().map_or(now, |step| step.until),
            Op::Collective { slot, .. } => {
                let comm = rank.slots[usize::from(slot.0)];
                let sequence = calls.get(&comm).map_or(0, Vec::len) as u32;
                // An instance of the same communicator may have to end before.
                let earlier = |step: &&Step| awaited(step, comm).is_some_and(|it| it < sequence);
                while let Some(step) = steps.next_if(earlier) {
                    now = step.until;
                }
                calls.entry(comm).or_default().push(Join { at: now, behind: None });
                if let Some(step) = steps.next_if(|step| awaited(step, comm) == Some(sequence)) {
                    now = step.until;
                }
            }
            Op::Issue { slot, stream, .. } => {
                let comm = rank.slots[usize::from(slot.0)];
                let own = calls.entry(comm).or_default();
                let sequence = own.len() as u32;
                let behind = last[usize::from(stream.0)].replace((comm, sequence));
                own.push(Join { at: now, behind });
            }
            Op::Await { slot, sequence, .. } => {
                let comm = rank.slots[usize::from(slot.0)];
                if let Some(step) = steps.next_if(|step| awaited(step, comm) == Some(sequence)) {
                    now = step.until;
                }
            }
            // Programs are expanded.
            Op::Segment { .. } => {}
        }
    }
    calls
}

//! Which compute may run beside calls that take processors from it.
//!
//! Found from the programs alone: from the issue of such a call until the program has waited for it,
//! or for a later one of its slot, what it computes may be slowed. All other compute is left alone
//! by the replay, so a job without such calls costs nothing more.

use motley_job::{Job, Op, Slot};

/// By program and slot, whether calls take processors of a rank that runs the program. Empty if none
/// do in the whole job.
#[derive(Debug, Default)]
pub(super) struct Takers {
    programs: Vec<Vec<bool>>,
    /// By segment, the same of its slot in any program that uses it.
    segments: Vec<bool>,
}

impl Takers {
    /// Of a verified job.
    pub(super) fn new(job: &Job) -> Self {
        let sets: Vec<bool> = job
            .call_sets
            .iter()
            .map(|set| set.calls.iter().any(|call| call.processors > 0.0))
            .collect();
        if !sets.contains(&true) {
            return Self::default();
        }
        let mut programs = vec![Vec::new(); job.programs.len()];
        for rank in job.ranks.iter().filter(|rank| rank.processors.is_finite()) {
            let taken: &mut Vec<bool> = &mut programs[rank.program.0 as usize];
            taken.resize(taken.len().max(rank.slots.len()), false);
            for (taken, comm) in taken.iter_mut().zip(&rank.slots) {
                *taken |= sets[job.communicators[comm.0 as usize].calls.0 as usize];
            }
        }
        let mut segments = vec![false; job.segments.len()];
        for (program, taken) in job.programs.iter().zip(&programs) {
            for op in &program.ops {
                if let Op::Segment { segment, .. } = *op {
                    let slot = job.segments[segment.0 as usize].slot;
                    segments[segment.0 as usize] |= slot.is_some_and(|slot| takes(taken, slot));
                }
            }
        }
        Self { programs, segments }
    }

    /// Whether there are any in the job.
    pub(super) fn any(&self) -> bool {
        !self.programs.is_empty()
    }

    /// Nothing issued yet by a program.
    pub(super) fn of_program(&self, program: usize) -> UnderWay<'_> {
        let takers = self.programs.get(program).map_or(Of::Slots(&[]), |slots| Of::Slots(slots));
        UnderWay { takers, open: Vec::new(), always: false }
    }

    /// Nothing issued yet by a segment; `always` if it is used beside calls from before it.
    pub(super) fn of_segment(&self, segment: usize, always: bool) -> UnderWay<'_> {
        let takers = Of::All(self.segments.get(segment).copied().unwrap_or(false));
        UnderWay { takers, open: Vec::new(), always }
    }
}

fn takes(slots: &[bool], slot: Slot) -> bool {
    slots.get(usize::from(slot.0)).copied().unwrap_or(false)
}

#[derive(Debug)]
enum Of<'a> {
    Slots(&'a [bool]),
    All(bool),
}

/// The calls that take processors and may be under way where one walks through a program or a
/// segment.
#[derive(Debug)]
pub(super) struct UnderWay<'a> {
    takers: Of<'a>,
    /// Each with its number on its slot.
    open: Vec<(Slot, u32)>,
    always: bool,
}

impl UnderWay<'_> {
    /// Whether any may be.
    pub(super) fn any(&self) -> bool {
        self.always || !self.open.is_empty()
    }

    /// Call number `sequence` of a slot is issued. Whether it takes processors.
    pub(super) fn issue(&mut self, slot: Slot, sequence: u32) -> bool {
        let takes = match self.takers {
            Of::Slots(slots) => takes(slots, slot),
            Of::All(takes) => takes,
        };
        if takes {
            self.open.push((slot, sequence));
        }
        takes
    }

    /// All calls of a slot up to number `sequence` are over: instances of a communicator follow one
    /// another.
    pub(super) fn settle(&mut self, slot: Slot, sequence: u32) {
        self.open.retain(|&(other, number)| other != slot || number > sequence);
    }
}

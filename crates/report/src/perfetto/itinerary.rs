//! What a program will do, as far as a trace must know it beforehand: which stream carries which
//! instance, what the instance is called, and which kernel a received message is for.

use motley_job::{Job, Op, ProgramId, Stream, Tag};

/// Where an instance runs on a rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Carrier {
    /// The compute stream waits for it.
    Blocking,
    /// Beside compute.
    Beside(Stream),
}

/// An instance that a program joins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joined {
    pub(super) tag: Tag,
    pub(super) carrier: Carrier,
}

/// An await, by the kernel that comes after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    /// The kernel's place among all compute operations of the program.
    pub(super) kernel: u32,
    pub(super) slot: u16,
    pub(super) sequence: u32,
}

/// The itinerary of one program.
#[derive(Debug, Default)]
pub(super) struct Itinerary {
    /// By slot and sequence number.
    pub(super) joined: Vec<Vec<Joined>>,
    pub(super) received: Vec<Received>,
    /// Compute operations.
    pub(super) kernels: u32,
    /// Slices that one rank has at most.
    pub(super) slices: u64,
}

impl Itinerary {
    pub(super) fn new(job: &Job, program: ProgramId) -> Self {
        let mut found = Self::default();
        for op in job.expanded(program) {
            match op {
                Op::Compute { .. } => {
                    found.kernels += 1;
                    found.slices += 1;
                }
                // A transfer, and on the compute track a wait and the exposed part.
                Op::Collective { tag, slot, .. } => {
                    found.join(slot.0, Joined { tag, carrier: Carrier::Blocking });
                    found.slices += 3;
                }
                Op::Issue { tag, slot, stream, .. } => {
                    found.join(slot.0, Joined { tag, carrier: Carrier::Beside(stream) });
                    found.slices += 1;
                }
                Op::Await { slot, sequence, .. } => {
                    found.received.push(Received { kernel: found.kernels, slot: slot.0, sequence });
                    found.slices += 2;
                }
                Op::Segment { .. } => {}
            }
        }
        found
    }

    fn join(&mut self, slot: u16, joined: Joined) {
        let slot = usize::from(slot);
        if self.joined.len() <= slot {
            self.joined.resize_with(slot + 1, Vec::new);
        }
        self.joined[slot].push(joined);
    }
}

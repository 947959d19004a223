//! What every replay ends with, whoever observed it.

use motley_units::Time;

use crate::digest::{Course, Digest};

/// The result of a replay that ran to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// When the last rank had finished and the last instance was complete.
    pub end: Time,
    /// When each rank's compute stream had run its program.
    pub finish: Vec<Time>,
    /// Operations executed, of all kinds, over all ranks.
    pub operations: u64,
    /// Instances of communicators completed.
    pub instances: u64,
    /// Flows that went through the solver: instances that shared links, or each connection of those
    /// whose connections move apart.
    pub flows: u64,
    /// Instants at which rates were solved.
    pub solves: u64,
    /// A fingerprint of the whole course of events: all completion times of each communicator, in
    /// their order, then the finish time of each rank. Equal replays have equal digests; it is
    /// made for comparing, not against forgery.
    pub digest: u64,
    /// By communicator, what happened to it.
    pub(crate) communicators: Vec<Completions>,
}

/// The completions of one communicator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completions {
    pub(crate) course: Course,
    pub(crate) count: u32,
}

/// What the solver had to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Solved {
    pub(crate) flows: u64,
    pub(crate) solves: u64,
}

impl Outcome {
    pub(crate) fn new(
        end: Time,
        finish: Vec<Time>,
        communicators: Vec<Completions>,
        operations: u64,
        Solved { flows, solves }: Solved,
    ) -> Self {
        let mut digest = Digest::EMPTY;
        for completions in &communicators {
            digest.fold(completions.course.value());
        }
        for at in &finish {
            digest.fold(at.as_picos());
        }
        Self {
            end,
            operations,
            instances: communicators.iter().map(|completions| u64::from(completions.count)).sum(),
            flows,
            solves,
            digest: digest.value(),
            finish,
            communicators,
        }
    }
}

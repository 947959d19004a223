//! What every replay ends with, whoever observed it.

use motley_units::Time;

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
}

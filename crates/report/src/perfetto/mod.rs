//! Perfetto traces: `.pftrace` files for <https://ui.perfetto.dev>.
//!
//! A process for each node; for each card a thread for compute, with its kernels and waits, and one
//! for each stream of transfers. Slices are named as the job names its operations and carry rank,
//! stage and micro-batch. Times are cut to nanoseconds, the format's resolution.
//!
//! The format is protobuf rather than the JSON of `chrome://tracing`, which Perfetto keeps as a
//! legacy and which is several times larger.

mod flows;
mod itinerary;
mod proto;
mod slices;
mod tracks;
mod write;

use motley_engine::Observer;
use motley_job::{CommId, ProgramId, RankId, Tag};
use motley_scheduler::Lowered;
use motley_topology::Cluster;
use motley_units::Time;

use self::flows::{Flows, MOST_FLOWS};
use self::itinerary::Itinerary;
use self::tracks::Tracks;

/// How large a trace may get. Ranks that do not fit are left out whole, and [`Trace::note`] says
/// so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceLimits {
    /// Ranks at most; none is all.
    pub ranks: Option<u32>,
    /// Slices at most, over all ranks; a slice takes 40 to 60 bytes.
    pub slices: u64,
}

impl Default for TraceLimits {
    fn default() -> Self {
        Self { ranks: None, slices: 500_000 }
    }
}

/// A kernel that ran.
#[derive(Clone, Copy, Debug)]
struct Kernel {
    rank: RankId,
    tag: Tag,
    start: Time,
    end: Time,
}

/// A time in which a compute stream stood still.
#[derive(Clone, Copy, Debug)]
struct Pause {
    rank: RankId,
    tag: Tag,
    from: Time,
    /// When data began to move, within the pause.
    moving: Time,
    end: Time,
}

/// An instance of a communicator.
#[derive(Clone, Copy, Debug)]
struct Transfer {
    comm: CommId,
    sequence: u32,
    start: Time,
    end: Time,
}

/// An observer that keeps the timeline of a replay, to be written as a trace.
#[derive(Debug)]
pub struct Trace<'a> {
    cluster: &'a Cluster,
    lowered: &'a Lowered,
    limits: TraceLimits,
    itineraries: Vec<Itinerary>,
    tracks: Tracks,
    flows: Flows,
    /// By communicator: a member is traced.
    wanted: Vec<bool>,
    kernels: Vec<Kernel>,
    pauses: Vec<Pause>,
    transfers: Vec<Transfer>,
}

impl<'a> Trace<'a> {
    /// An empty trace of a job on its cluster.
    pub fn new(cluster: &'a Cluster, lowered: &'a Lowered, limits: TraceLimits) -> Self {
        let programs = (0..lowered.job.programs.len() as u32).map(ProgramId);
        let itineraries: Vec<Itinerary> =
            programs.map(|program| Itinerary::new(&lowered.job, program)).collect();
        let tracks = Tracks::new(lowered, &itineraries, limits);
        let flows = Flows::new(lowered, &itineraries, &tracks);
        let communicators = lowered.job.communicators.iter();
        let wanted = communicators
            .map(|communicator| communicator.members.iter().any(|&rank| tracks.traced(rank)))
            .collect();
        Self {
            cluster,
            lowered,
            limits,
            itineraries,
            tracks,
            flows,
            wanted,
            kernels: Vec::new(),
            pauses: Vec::new(),
            transfers: Vec::new(),
        }
    }

    /// What the limits left out, in a sentence; none if the trace is whole.
    pub fn note(&self) -> Option<String> {
        let (traced, all) = (self.tracks.traced_count(), self.tracks.rank_count());
        let mut notes = Vec::new();
        if traced < all {
            notes.push(format!(
                "shows {traced} of {all} ranks, the first of each stage before \
                 others, to stay below {} slices{}",
                self.limits.slices,
                self.limits.ranks.map_or_else(String::new, |n| format!(" and {n} ranks")),
            ));
        }
        if self.flows.capped {
            notes
                .push(format!("only the first {MOST_FLOWS} arrows from send to receive are drawn"));
        }
        (!notes.is_empty()).then(|| notes.join("; "))
    }
}

impl Observer for Trace<'_> {
    fn compute(&mut self, rank: RankId, tag: Tag, start: Time, end: Time) {
        if self.tracks.traced(rank) {
            self.kernels.push(Kernel { rank, tag, start, end });
        }
    }

    fn wait(
        &mut self,
        rank: RankId,
        _comm: CommId,
        _call: u16,
        tag: Tag,
        from: Time,
        start: Time,
        end: Time,
    ) {
        if self.tracks.traced(rank) {
            self.pauses.push(Pause { rank, tag, from, moving: start.clamp(from, end), end });
        }
    }

    fn transfer(&mut self, comm: CommId, _call: u16, sequence: u32, start: Time, end: Time) {
        if self.wanted[comm.0 as usize] {
            self.transfers.push(Transfer { comm, sequence, start, end });
        }
    }
}

//! The job: all tables together.

use std::collections::HashMap;

use crate::known::Known;
use crate::segment::Segments;
use crate::{
    CallSet, CallSetId, CommId, Communicator, Footprint, FootprintId, NameId, Program, ProgramId,
    Segment, Stream,
};

/// A rank of the job, numbered from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RankId(pub u32);

/// One direction of a physical link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Achievable bytes per second, above zero and finite.
    pub capacity: f64,
}

/// One rank: which program it runs, how slow its card is, what calls beside compute take of it, whom
/// it talks to.
#[derive(Clone, Debug, PartialEq)]
pub struct Rank {
    /// The program of its class.
    pub program: ProgramId,
    /// Every compute duration is multiplied by it; 1 is nominal, above 1 is slower.
    pub slowness: f64,
    /// What compute runs on. While a call that takes `n` of them ([`crate::Call::processors`]) is
    /// under way beside compute, compute goes on at `1 - n / processors` of its speed; with several
    /// calls at once the one that takes most counts. Infinite where calls take nothing.
    pub processors: f64,
    /// The communicators that the program's slots stand for.
    pub slots: Vec<CommId>,
}

/// One iteration of a distributed program on shared links.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// All links of the machine.
    pub links: Vec<Link>,
    /// The link sets that communicators cross.
    pub footprints: Vec<Footprint>,
    /// By footprint, the connections that make it up if each of them moves at a rate of its own;
    /// empty, or missing at the end, if they move as one. [`Job::connections_of`] reads it.
    pub connections: Vec<Vec<Footprint>>,
    /// What communicators can do.
    pub call_sets: Vec<CallSet>,
    /// All process groups and point-to-point boundaries.
    pub communicators: Vec<Communicator>,
    /// One per class of ranks.
    pub programs: Vec<Program>,
    /// What programs do again and again.
    pub segments: Vec<Segment>,
    /// All ranks.
    pub ranks: Vec<Rank>,
    /// The names that tags refer to.
    pub names: Vec<String>,
    /// How many communication streams a rank has.
    pub streams: u8,
}

impl Job {
    /// The name that a tag refers to.
    pub fn name(&self, name: NameId) -> &str {
        self.names.get(usize::from(name.0)).map_or("?", String::as_str)
    }

    /// The connections of a footprint that move apart, each with the links that it crosses itself;
    /// none if they move as one.
    pub fn connections_of(&self, footprint: FootprintId) -> &[Footprint] {
        self.connections.get(footprint.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether the connections of any footprint move apart.
    pub fn connections_move_apart(&self) -> bool {
        self.connections.iter().any(|connections| !connections.is_empty())
    }
}

/// Builds a job; equal names, programs and call sets are entered once.
#[derive(Debug, Default)]
pub struct JobBuilder {
    job: Job,
    names: HashMap<String, NameId>,
    segments: Segments,
    call_sets: Known<CallSetId>,
}

impl JobBuilder {
    /// Gives each rank this communication stream, and those numbered before it.
    pub fn use_stream(&mut self, stream: Stream) {
        self.job.streams = self.job.streams.max(stream.0.saturating_add(1));
    }

    /// A job without ranks on `links`, with `streams` communication streams for each rank.
    pub fn new(links: Vec<Link>, streams: u8) -> Self {
        Self { job: Job { links, streams, ..Job::default() }, ..Self::default() }
    }

    /// The id of `name`, entered at its first use.
    ///
    /// # Panics
    /// On more than 65,536 different names; names are kinds of operations, a few dozen.
    pub fn name(&mut self, name: &str) -> NameId {
        if let Some(&id) = self.names.get(name) {
            return id;
        }
        let id =
            NameId(u16::try_from(self.job.names.len()).expect("names are kinds, not instances"));
        self.job.names.push(name.to_owned());
        self.names.insert(name.to_owned(), id);
        id
    }

    /// Enters a footprint whose connections move as one.
    pub fn footprint(&mut self, footprint: Footprint) -> FootprintId {
        self.job.footprints.push(footprint);
        FootprintId(self.job.footprints.len() as u32 - 1)
    }

    /// Enters a footprint whose connections, these, move apart; without any they move as one.
    pub fn expanded_footprint(
        &mut self,
        footprint: Footprint,
        connections: Vec<Footprint>,
    ) -> FootprintId {
        let id = self.footprint(footprint);
        if !connections.is_empty() {
            self.job.connections.resize_with(id.0 as usize, Vec::new);
            self.job.connections.push(connections);
        }
        id
    }

    /// Enters a call set.
    pub fn call_set(&mut self, calls: CallSet) -> CallSetId {
        let job = &mut self.job;
        let fingerprint = calls.fingerprint();
        let equal = |id: &CallSetId| job.call_sets[id.0 as usize] == calls;
        if let Some(&id) = self.call_sets.find(fingerprint, equal) {
            return id;
        }
        let id = CallSetId(job.call_sets.len() as u32);
        self.call_sets.enter(fingerprint, id);
        job.call_sets.push(calls);
        id
    }

    /// Enters a communicator.
    pub fn communicator(&mut self, communicator: Communicator) -> CommId {
        self.job.communicators.push(communicator);
        CommId(self.job.communicators.len() as u32 - 1)
    }

    /// Enters a program, given in full; what occurs again and again becomes segments.
    pub fn program(&mut self, program: &Program) -> ProgramId {
        let ops = self.segments.compress(&program.ops, &mut self.job.segments);
        self.job.programs.push(Program { ops });
        ProgramId(self.job.programs.len() as u32 - 1)
    }

    /// Enters a rank.
    pub fn rank(&mut self, rank: Rank) -> RankId {
        self.job.ranks.push(rank);
        RankId(self.job.ranks.len() as u32 - 1)
    }

    /// The job.
    pub fn finish(mut self) -> Job {
        let Job { footprints, connections, communicators, ranks, .. } = &mut self.job;
        footprints.shrink_to_fit();
        connections.shrink_to_fit();
        communicators.shrink_to_fit();
        ranks.shrink_to_fit();
        self.job
    }
}

//! Who calls what from where: the static facts on which sharing is decided.

use std::collections::BTreeMap;

use motley_job::{Job, JobError, Op, Program, Slot, Stream};

/// From where a rank makes all its calls of one communicator.
///
/// Calls of one lane run one after the other: the compute stream stands until a blocking call is
/// complete, and a communication stream is a queue. So two communicators that a rank calls from
/// one lane only, and from the same, are never active at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Compute,
    Stream(Stream),
    /// From more than one.
    Mixed,
}

/// A footprint that a communicator puts bytes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UsedFootprint {
    pub(crate) footprint: u32,
    /// The highest rate cap of the calls that use it, bytes per second.
    pub(crate) rate_cap: f64,
}

/// The facts about all communicators of a job.
#[derive(Debug)]
pub(crate) struct Usage {
    /// Used footprints, grouped by communicator, and where each group begins.
    footprints: Vec<UsedFootprint>,
    first_footprint: Vec<u32>,
    /// Lanes of members, grouped by communicator, parallel to its members; and where each begins.
    lanes: Vec<Lane>,
    first_lane: Vec<u32>,
    /// See [`Usage::among_members`].
    among_members: Vec<bool>,
}

/// What a program does with one of its slots.
#[derive(Clone, Debug, Default)]
struct SlotUse {
    /// The calls it makes, in order of their first use.
    calls: Vec<u16>,
    /// How many times it calls.
    count: usize,
    lane: Option<Lane>,
    awaited: bool,
    /// Never more than [`OUTSTANDING`] of its calls are neither awaited nor blocked on, and only
    /// those are awaited.
    few_outstanding: bool,
    /// The streams that it calls from.
    streams: Vec<Stream>,
    /// They carry no other slot's calls.
    own_streams: bool,
    /// Calls up to here are known to be complete.
    settled: usize,
}

/// Calls of one communicator that a rank may have made and not yet waited for, if the communicator
/// is to end without events; see [`crate::eager`].
pub(crate) const OUTSTANDING: usize = 2;

/// What the programs of a job do with their slots.
fn slots_of(job: &Job, program: &Program) -> Vec<SlotUse> {
    let mut uses = Uses::default();
    let mut seen = vec![false; job.segments.len()];
    for op in &program.ops {
        match *op {
            Op::Segment { segment, .. } => {
                let again = std::mem::replace(&mut seen[segment.0 as usize], true);
                let segment = &job.segments[segment.0 as usize];
                let Some(slot) = segment.slot else { continue };
                let used = uses.slot(slot);
                let before = used.count;
                if again && used.settled == before {
                    // As the first time: it begins and ends with nothing outstanding.
                    used.count += segment.calls as usize;
                    used.settled = used.count;
                } else {
                    segment.ops.iter().for_each(|&op| uses.take_in(op, before));
                }
            }
            op => uses.take_in(op, 0),
        }
    }
    for used in &mut uses.slots {
        used.own_streams = used.streams.iter().all(|stream| uses.carried[stream].is_some());
    }
    uses.slots
}

/// What has been seen of a program.
#[derive(Default)]
struct Uses {
    slots: Vec<SlotUse>,
    /// By stream, the slot whose calls it carries, if it is only one.
    carried: BTreeMap<Stream, Option<Slot>>,
}

impl Uses {
    fn slot(&mut self, slot: Slot) -> &mut SlotUse {
        let slot = usize::from(slot.0);
        if self.slots.len() <= slot {
            let unused = SlotUse { few_outstanding: true, own_streams: true, ..SlotUse::default() };
            self.slots.resize(slot + 1, unused);
        }
        &mut self.slots[slot]
    }

    /// Takes in an operation that is no segment; sequences are counted from `before`.
    fn take_in(&mut self, op: Op, before: usize) {
        let (slot, call, lane) = match op {
            Op::Compute { .. } | Op::Segment { .. } => return,
            Op::Collective { slot, call, .. } => (slot, call, Lane::Compute),
            Op::Issue { slot, call, stream, .. } => {
                let only = self.carried.entry(stream).or_insert(Some(slot));
                *only = only.filter(|&other| other == slot);
                (slot, call, Lane::Stream(stream))
            }
            Op::Await { slot, sequence, .. } => {
                let used = self.slot(slot);
                let sequence = before + sequence as usize;
                used.awaited = true;
                used.few_outstanding &=
                    sequence < used.count && sequence + OUTSTANDING >= used.count;
                used.settled = used.settled.max(sequence + 1);
                return;
            }
        };
        let used = self.slot(slot);
        used.count += 1;
        used.few_outstanding &= used.count - used.settled <= OUTSTANDING;
        match lane {
            Lane::Compute => used.settled = used.count,
            Lane::Stream(stream) if !used.streams.contains(&stream) => used.streams.push(stream),
            Lane::Stream(_) | Lane::Mixed => {}
        }
        if !used.calls.contains(&call) {
            used.calls.push(call);
        }
        used.lane = Some(match used.lane {
            None => lane,
            Some(before) if before == lane => lane,
            Some(_) => Lane::Mixed,
        });
    }
}

impl Usage {
    /// The facts about a verified job.
    ///
    /// # Errors
    /// A rank that calls one communicator through two slots: it would make more calls than the
    /// other members.
    pub(super) fn new(job: &Job) -> Result<Self, JobError> {
        let communicators = job.communicators.len();
        let mut first_lane = Vec::with_capacity(communicators + 1);
        let mut members = 0;
        for comm in &job.communicators {
            first_lane.push(members);
            members += comm.members.len() as u32;
        }
        first_lane.push(members);

        let programs: Vec<Vec<SlotUse>> =
            job.programs.iter().map(|program| slots_of(job, program)).collect();
        let mut lanes = vec![Lane::Mixed; members as usize];
        let mut among_members = vec![true; communicators];
        // Per communicator: the last member seen, how many were seen, and (program, slot) of one.
        let mut seen: Vec<Option<(usize, u32)>> = vec![None; communicators];
        let mut example: Vec<Option<(usize, usize)>> = vec![None; communicators];
        for (r, rank) in job.ranks.iter().enumerate() {
            let program = rank.program.0 as usize;
            for (s, (used, comm)) in programs[program].iter().zip(&rank.slots).enumerate() {
                let c = comm.0 as usize;
                among_members[c] &= used.few_outstanding && used.own_streams;
                let Some(lane) = used.lane else {
                    among_members[c] &= !used.awaited;
                    continue;
                };
                let nth = match seen[c] {
                    Some((last, _)) if last == r => {
                        return Err(JobError::Mismatched {
                            communicator: c,
                            instance: used.count,
                            rank: r,
                            found: used.calls.first().copied(),
                            expected: None,
                        });
                    }
                    Some((_, nth)) => nth + 1,
                    None => 0,
                };
                seen[c] = Some((r, nth));
                example[c] = Some((program, s));
                // Ranks come in ascending order, as members do, and a verified job has no
                // communicator that some of its members call and others do not.
                lanes[(first_lane[c] + nth) as usize] = lane;
            }
        }

        let mut footprints: Vec<UsedFootprint> = Vec::new();
        let mut first_footprint = Vec::with_capacity(communicators + 1);
        for (comm, example) in job.communicators.iter().zip(&example) {
            let first = footprints.len();
            first_footprint.push(first as u32);
            let calls = example.map_or(&[][..], |(program, slot)| &programs[program][slot].calls);
            for &call in calls {
                let call = &job.call_sets[comm.calls.0 as usize].calls[usize::from(call)];
                if call.bytes <= 0.0 {
                    continue;
                }
                let footprint = comm.footprints[usize::from(call.footprint)].0;
                match footprints[first..].iter_mut().find(|used| used.footprint == footprint) {
                    Some(used) => used.rate_cap = used.rate_cap.max(call.rate_cap),
                    None => footprints.push(UsedFootprint { footprint, rate_cap: call.rate_cap }),
                }
            }
        }
        first_footprint.push(footprints.len() as u32);
        Ok(Self { footprints, first_footprint, lanes, first_lane, among_members })
    }

    /// The footprints that a communicator puts bytes on, each once.
    pub(crate) fn footprints(&self, communicator: usize) -> &[UsedFootprint] {
        let range = self.first_footprint[communicator]..self.first_footprint[communicator + 1];
        &self.footprints[range.start as usize..range.end as usize]
    }

    /// The lanes of a communicator's members, in their order.
    pub(super) fn lanes(&self, communicator: usize) -> &[Lane] {
        let range = self.first_lane[communicator]..self.first_lane[communicator + 1];
        &self.lanes[range.start as usize..range.end as usize]
    }

    /// Nobody but its members waits for a communicator, each has few calls of it outstanding, and
    /// those that are issued share no stream with calls of others: all that happens at a completion
    /// is that members go on, and what they need to know of past ones is bounded.
    pub(super) fn among_members(&self, communicator: usize) -> bool {
        self.among_members[communicator]
    }
}

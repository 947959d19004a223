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
    /// The streams that it calls from carry no other slot's calls.
    own_streams: bool,
    /// Calls up to here are known to be complete.
    settled: usize,
}

/// Calls of one communicator that a rank may have made and not yet waited for, if the communicator
/// is to end without events; see [`crate::eager`].
pub(crate) const OUTSTANDING: usize = 2;

fn slots_of(program: &Program) -> Vec<SlotUse> {
    let mut slots: Vec<SlotUse> = Vec::new();
    // By stream, the slot whose calls it carries, if it is only one.
    let mut carried: BTreeMap<Stream, Option<Slot>> = BTreeMap::new();
    for op in &program.ops {
        if let Op::Issue { slot, stream, .. } = *op {
            let only = carried.entry(stream).or_insert(Some(slot));
            *only = only.filter(|&other| other == slot);
        }
        let (slot, called) = match *op {
            Op::Compute { .. } => continue,
            Op::Collective { slot, call, .. } => (slot, Some((call, Lane::Compute))),
            Op::Issue { slot, call, stream, .. } => (slot, Some((call, Lane::Stream(stream)))),
            Op::Await { slot, .. } => (slot, None),
        };
        let slot = usize::from(slot.0);
        if slots.len() <= slot {
            let unused = SlotUse { few_outstanding: true, own_streams: true, ..SlotUse::default() };
            slots.resize(slot + 1, unused);
        }
        let used = &mut slots[slot];
        let Some((call, lane)) = called else {
            used.awaited = true;
            if let Op::Await { sequence, .. } = *op {
                let sequence = sequence as usize;
                used.few_outstanding &=
                    sequence < used.count && sequence + OUTSTANDING >= used.count;
                used.settled = used.settled.max(sequence + 1);
            }
            continue;
        };
        used.count += 1;
        used.few_outstanding &= used.count - used.settled <= OUTSTANDING;
        if lane == Lane::Compute {
            used.settled = used.count;
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
    for op in &program.ops {
        if let Op::Issue { slot, stream, .. } = *op {
            slots[usize::from(slot.0)].own_streams &= carried[&stream].is_some();
        }
    }
    slots
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

        let programs: Vec<Vec<SlotUse>> = job.programs.iter().map(slots_of).collect();
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

//! What the engine relies on, checked once.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::{Footprint, Job, LinkId, Op, RankId, Slot};

/// Relative difference up to which a sum of multiplicities counts as equal to another.
const ROUNDING: f64 = 1e-12;

/// A job that the engine could not replay; always a defect of whoever built it.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum JobError {
    /// An index points outside its table.
    #[error("{what} {index} of {owner} does not exist")]
    Dangling {
        /// Which kind of index.
        what: &'static str,
        /// Its value.
        index: usize,
        /// Who holds it.
        owner: String,
    },
    /// A number that must be finite and positive is not.
    #[error("{what} of {owner} is {value}")]
    BadNumber {
        /// Which number.
        what: &'static str,
        /// Who holds it.
        owner: String,
        /// Its value.
        value: f64,
    },
    /// A list that must be ascending without duplicates is not.
    #[error("{what} of {owner} are not ascending")]
    Unordered {
        /// Which list.
        what: &'static str,
        /// Who holds it.
        owner: String,
    },
    /// A segment that is not what it says, or leaves calls open.
    #[error("segment {segment} is not a closed run of operations")]
    OpenSegment {
        /// Which.
        segment: usize,
    },
    /// A rank joins a communicator that it does not belong to.
    #[error("rank {rank} joins communicator {communicator} without being a member")]
    NotAMember {
        /// The rank.
        rank: usize,
        /// The communicator.
        communicator: usize,
    },
    /// The connections of a footprint do not make it up.
    #[error(
        "the connections of footprint {footprint} cross link {link} {found} times, the footprint {expected} times"
    )]
    NotTheSum {
        /// The footprint.
        footprint: usize,
        /// The link.
        link: usize,
        /// The sum of the connections' multiplicities.
        found: f64,
        /// The footprint's multiplicity.
        expected: f64,
    },
    /// A call leaves compute no processor.
    #[error(
        "a call of communicator {communicator} takes {taken} of the {processors} processors of rank {rank}"
    )]
    NoneLeft {
        /// The rank.
        rank: usize,
        /// The communicator.
        communicator: usize,
        /// What the call takes.
        taken: f64,
        /// What the rank has.
        processors: f64,
    },
    /// The members of a communicator disagree on what the n-th instance is.
    #[error(
        "instance {instance} of communicator {communicator}: rank {rank} issues call {found:?}, others {expected:?}"
    )]
    Mismatched {
        /// The communicator.
        communicator: usize,
        /// The instance, counted from zero.
        instance: usize,
        /// The rank that differs.
        rank: usize,
        /// Its call, `None` if it never issues this instance.
        found: Option<u16>,
        /// The first member's call.
        expected: Option<u16>,
    },
}

fn inside(
    what: &'static str,
    index: usize,
    len: usize,
    owner: impl Fn() -> String,
) -> Result<(), JobError> {
    if index < len { Ok(()) } else { Err(JobError::Dangling { what, index, owner: owner() }) }
}

fn positive(what: &'static str, value: f64, owner: impl Fn() -> String) -> Result<(), JobError> {
    if value.is_finite() && value > 0.0 {
        Ok(())
    } else {
        Err(JobError::BadNumber { what, owner: owner(), value })
    }
}

/// Checks that every index points somewhere, every number is usable, every rank joins only
/// communicators that it belongs to, and that all members of a communicator issue the same calls
/// in the same order.
///
/// # Errors
/// The first violation found.
pub fn verify(job: &Job) -> Result<(), JobError> {
    for (l, link) in job.links.iter().enumerate() {
        positive("capacity", link.capacity, || format!("link {l}"))?;
    }
    for (f, footprint) in job.footprints.iter().enumerate() {
        verify_links(job, footprint, || format!("footprint {f}"))?;
    }
    verify_connections(job)?;
    for (c, communicator) in job.communicators.iter().enumerate() {
        let owner = || format!("communicator {c}");
        inside("call set", communicator.calls.0 as usize, job.call_sets.len(), owner)?;
        for &footprint in &communicator.footprints {
            inside("footprint", footprint.0 as usize, job.footprints.len(), owner)?;
        }
        for &member in &communicator.members {
            inside("member", member.0 as usize, job.ranks.len(), owner)?;
        }
        if communicator.members.is_empty() || !communicator.members.is_sorted_by(|a, b| a < b) {
            return Err(JobError::Unordered { what: "members", owner: owner() });
        }
        for call in &job.call_sets[communicator.calls.0 as usize].calls {
            inside(
                "footprint choice",
                usize::from(call.footprint),
                communicator.footprints.len(),
                owner,
            )?;
            if !(call.bytes.is_finite() && call.bytes >= 0.0) {
                return Err(JobError::BadNumber {
                    what: "bytes",
                    owner: owner(),
                    value: call.bytes,
                });
            }
            if call.rate_cap.is_nan() || call.rate_cap <= 0.0 {
                return Err(JobError::BadNumber {
                    what: "rate cap",
                    owner: owner(),
                    value: call.rate_cap,
                });
            }
            if !(call.processors.is_finite() && call.processors >= 0.0) {
                return Err(JobError::BadNumber {
                    what: "processors",
                    owner: owner(),
                    value: call.processors,
                });
            }
        }
    }
    verify_programs(job)
}

fn verify_links(
    job: &Job,
    footprint: &Footprint,
    owner: impl Fn() -> String,
) -> Result<(), JobError> {
    for &(link, multiplicity) in &footprint.links {
        inside("link", link.0 as usize, job.links.len(), &owner)?;
        positive("multiplicity", multiplicity, &owner)?;
    }
    if !footprint.links.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(JobError::Unordered { what: "links", owner: owner() });
    }
    Ok(())
}

/// Where connections move apart, each crosses links, and together they cross what the footprint
/// crosses.
fn verify_connections(job: &Job) -> Result<(), JobError> {
    if let Some(beyond) = job.connections.len().checked_sub(1) {
        let owner = || "the last list of connections".to_owned();
        inside("footprint", beyond, job.footprints.len(), owner)?;
    }
    for (f, (connections, footprint)) in job.connections.iter().zip(&job.footprints).enumerate() {
        if connections.is_empty() {
            continue;
        }
        // By link, how often the connections and the footprint cross it.
        let mut crossed: BTreeMap<LinkId, (f64, f64)> = BTreeMap::new();
        for (c, connection) in connections.iter().enumerate() {
            let owner = || format!("connection {c} of footprint {f}");
            verify_links(job, connection, owner)?;
            positive("number of links", connection.links.len() as f64, owner)?;
            for &(link, multiplicity) in &connection.links {
                crossed.entry(link).or_default().0 += multiplicity;
            }
        }
        for &(link, multiplicity) in &footprint.links {
            crossed.entry(link).or_default().1 = multiplicity;
        }
        for (link, (found, expected)) in crossed {
            if (found - expected).abs() > ROUNDING * expected {
                let (footprint, link) = (f, link.0 as usize);
                return Err(JobError::NotTheSum { footprint, link, found, expected });
            }
        }
    }
    Ok(())
}

/// What a program asks of the rank that runs it, found once however many ranks do.
#[derive(Default)]
struct Demand {
    /// By slot, how often it is called.
    calls: Vec<u32>,
    /// By slot, the highest of the calls that are made.
    highest_call: Vec<Option<u16>>,
    /// The highest stream that it issues on.
    highest_stream: Option<u8>,
}

impl Demand {
    /// Of a program's operations, or of a segment's. `segments` has the demands of those that the
    /// operations use.
    fn new(ops: &[Op], segments: &[Self]) -> Self {
        let mut demand = Self::default();
        for op in ops {
            match *op {
                Op::Compute { .. } => {}
                Op::Collective { slot, call, .. } => demand.add(slot, 1, Some(call), None),
                Op::Issue { slot, call, stream, .. } => {
                    demand.add(slot, 1, Some(call), Some(stream.0));
                }
                Op::Await { slot, .. } => demand.add(slot, 0, None, None),
                Op::Segment { segment, .. } => {
                    let used = &segments[segment.0 as usize];
                    for (slot, (&count, &call)) in
                        used.calls.iter().zip(&used.highest_call).enumerate()
                    {
                        demand.add(Slot(slot as u16), count, call, used.highest_stream);
                    }
                }
            }
        }
        demand
    }

    fn add(&mut self, slot: Slot, count: u32, call: Option<u16>, stream: Option<u8>) {
        let slot = usize::from(slot.0);
        if self.calls.len() <= slot {
            self.calls.resize(slot + 1, 0);
            self.highest_call.resize(slot + 1, None);
        }
        self.calls[slot] += count;
        self.highest_call[slot] = self.highest_call[slot].max(call);
        self.highest_stream = self.highest_stream.max(stream);
    }

    fn calls(&self, slot: usize) -> u32 {
        self.calls.get(slot).copied().unwrap_or(0)
    }
}

/// The demands of all programs, once all segments are known to be usable.
fn demands(job: &Job) -> Result<Vec<Demand>, JobError> {
    let mut segments = Vec::with_capacity(job.segments.len());
    for (s, segment) in job.segments.iter().enumerate() {
        if !segment.is_closed() {
            return Err(JobError::OpenSegment { segment: s });
        }
        segments.push(Demand::new(&segment.ops, &[]));
    }
    for (p, program) in job.programs.iter().enumerate() {
        for op in &program.ops {
            if let Op::Segment { segment, .. } = op {
                let owner = || format!("program {p}");
                inside("segment", segment.0 as usize, job.segments.len(), owner)?;
            }
        }
    }
    Ok(job.programs.iter().map(|program| Demand::new(&program.ops, &segments)).collect())
}

/// The calls that a program makes of one slot, in order.
fn calls_of(job: &Job, (program, slot): (usize, usize)) -> Vec<u16> {
    let mut calls = Vec::new();
    let mut add = |op: &Op| {
        if let Some((called, call)) = op.call()
            && usize::from(called.0) == slot
        {
            calls.push(call);
        }
    };
    for op in &job.programs[program].ops {
        match op {
            Op::Segment { segment, .. } => {
                let segment = &job.segments[segment.0 as usize];
                if segment.slot.is_some_and(|called| usize::from(called.0) == slot) {
                    segment.ops.iter().for_each(&mut add);
                }
            }
            op => add(op),
        }
    }
    calls
}

fn verify_programs(job: &Job) -> Result<(), JobError> {
    let demands = demands(job)?;
    // The calls by program and slot, of those that had to be compared.
    let mut calls = BTreeMap::new();
    // By communicator, the program and the slot of its first member, which all others must match.
    let mut expected: Vec<Option<(usize, usize)>> = vec![None; job.communicators.len()];
    let mut joined = vec![0usize; job.communicators.len()];
    // By call set, the most processors that one of its calls takes.
    let most_taken: Vec<f64> = job
        .call_sets
        .iter()
        .map(|set| set.calls.iter().map(|call| call.processors).fold(0.0, f64::max))
        .collect();
    for (r, rank) in job.ranks.iter().enumerate() {
        let owner = || format!("rank {r}");
        let program = rank.program.0 as usize;
        inside("program", program, job.programs.len(), owner)?;
        positive("slowness", rank.slowness, owner)?;
        if rank.processors.is_nan() || rank.processors <= 0.0 {
            let value = rank.processors;
            return Err(JobError::BadNumber { what: "processors", owner: owner(), value });
        }
        let demand = &demands[program];
        if let Some(highest) = demand.calls.len().checked_sub(1) {
            inside("slot", highest, rank.slots.len(), owner)?;
        }
        if let Some(stream) = demand.highest_stream {
            inside("stream", usize::from(stream), usize::from(job.streams), owner)?;
        }
        for (slot, comm) in rank.slots.iter().enumerate() {
            let c = comm.0 as usize;
            inside("communicator", c, job.communicators.len(), owner)?;
            let communicator = &job.communicators[c];
            if let Some(&Some(call)) = demand.highest_call.get(slot) {
                let set = &job.call_sets[communicator.calls.0 as usize];
                inside("call", usize::from(call), set.calls.len(), owner)?;
                let taken = most_taken[communicator.calls.0 as usize];
                if taken >= rank.processors {
                    return Err(JobError::NoneLeft {
                        rank: r,
                        communicator: c,
                        taken,
                        processors: rank.processors,
                    });
                }
            }
            if communicator.members.binary_search(&RankId(r as u32)).is_err() {
                if demand.calls(slot) > 0 {
                    return Err(JobError::NotAMember { rank: r, communicator: c });
                }
                continue;
            }
            joined[c] += 1;
            let first = *expected[c].get_or_insert((program, slot));
            if first == (program, slot) {
                continue;
            }
            for which in [first, (program, slot)] {
                calls.entry(which).or_insert_with(|| calls_of(job, which));
            }
            let (reference, calls) = (&calls[&first], &calls[&(program, slot)]);
            let differs = |&i: &usize| reference.get(i) != calls.get(i);
            if let Some(at) = (0..reference.len().max(calls.len())).find(differs) {
                return Err(JobError::Mismatched {
                    communicator: c,
                    instance: at,
                    rank: r,
                    found: calls.get(at).copied(),
                    expected: reference.get(at).copied(),
                });
            }
        }
    }
    for (c, communicator) in job.communicators.iter().enumerate() {
        let called = expected[c].is_some_and(|(program, slot)| demands[program].calls(slot) > 0);
        if joined[c] != communicator.members.len() && called {
            let owner = format!("communicator {c}");
            return Err(JobError::Dangling { what: "slot for a member", index: joined[c], owner });
        }
    }
    Ok(())
}

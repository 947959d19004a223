//! What the engine relies on, checked once.

use thiserror::Error;

use crate::{Job, Op};

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
    /// A rank joins a communicator that it does not belong to.
    #[error("rank {rank} joins communicator {communicator} without being a member")]
    NotAMember {
        /// The rank.
        rank: usize,
        /// The communicator.
        communicator: usize,
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
        let owner = || format!("footprint {f}");
        for &(link, multiplicity) in &footprint.links {
            inside("link", link.0 as usize, job.links.len(), owner)?;
            positive("multiplicity", multiplicity, owner)?;
        }
        if !footprint.links.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(JobError::Unordered { what: "links", owner: owner() });
        }
    }
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
        }
    }
    verify_programs(job)
}

/// The calls that a program makes on each of its slots, in order.
fn calls_by_slot(ops: &[Op], slots: usize) -> Vec<Vec<u16>> {
    let mut calls = vec![Vec::new(); slots];
    for op in ops {
        if let Op::Collective { slot, call, .. } | Op::Issue { slot, call, .. } = *op
            && let Some(list) = calls.get_mut(usize::from(slot.0))
        {
            list.push(call);
        }
    }
    calls
}

fn verify_programs(job: &Job) -> Result<(), JobError> {
    let mut expected: Vec<Option<Vec<u16>>> = vec![None; job.communicators.len()];
    let mut joined = vec![0usize; job.communicators.len()];
    let mut cache: Vec<Option<(usize, Vec<Vec<u16>>)>> = vec![None; job.programs.len()];
    for (r, rank) in job.ranks.iter().enumerate() {
        let owner = || format!("rank {r}");
        inside("program", rank.program.0 as usize, job.programs.len(), owner)?;
        positive("slowness", rank.slowness, owner)?;
        for &slot in &rank.slots {
            inside("communicator", slot.0 as usize, job.communicators.len(), owner)?;
        }
        let ops = &job.programs[rank.program.0 as usize].ops;
        for op in ops {
            let (slot, call, stream) = match *op {
                Op::Compute { .. } => continue,
                Op::Collective { slot, call, .. } => (slot, Some(call), None),
                Op::Issue { slot, call, stream, .. } => (slot, Some(call), Some(stream)),
                Op::Await { slot, .. } => (slot, None, None),
            };
            inside("slot", usize::from(slot.0), rank.slots.len(), owner)?;
            let set = job.communicators[rank.slots[usize::from(slot.0)].0 as usize].calls;
            if let Some(call) = call {
                inside(
                    "call",
                    usize::from(call),
                    job.call_sets[set.0 as usize].calls.len(),
                    owner,
                )?;
            }
            if let Some(stream) = stream {
                inside("stream", usize::from(stream.0), usize::from(job.streams), owner)?;
            }
        }
        let cached = &mut cache[rank.program.0 as usize];
        if cached.as_ref().is_none_or(|(slots, _)| *slots != rank.slots.len()) {
            *cached = Some((rank.slots.len(), calls_by_slot(ops, rank.slots.len())));
        }
        let Some((_, by_slot)) = cached else { continue };
        for (slot, calls) in by_slot.iter().enumerate() {
            let c = rank.slots[slot].0 as usize;
            let communicator = &job.communicators[c];
            if communicator.members.binary_search(&crate::RankId(r as u32)).is_err() {
                if !calls.is_empty() {
                    return Err(JobError::NotAMember { rank: r, communicator: c });
                }
                continue;
            }
            joined[c] += 1;
            let reference = expected[c].get_or_insert_with(|| calls.clone());
            if let Some(at) =
                (0..reference.len().max(calls.len())).find(|&i| reference.get(i) != calls.get(i))
            {
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
        if joined[c] != communicator.members.len()
            && expected[c].as_ref().is_some_and(|e| !e.is_empty())
        {
            let owner = format!("communicator {c}");
            return Err(JobError::Dangling { what: "slot for a member", index: joined[c], owner });
        }
    }
    Ok(())
}

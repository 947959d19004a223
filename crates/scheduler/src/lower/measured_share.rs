//! How much of the time of collectives was measured.

use std::collections::BTreeMap;

use motley_job::{CommId, Job, Op, Program, Slot};

use crate::collective_times::TimedCall;

/// By communicator, the time of each of its calls when nothing else moves, and whether it was measured.
pub(super) type TimedCalls = Vec<(CommId, Vec<(f64, bool)>)>;

/// What is remembered of a communicator's calls.
pub(super) fn remembered(calls: &[TimedCall]) -> Vec<(f64, bool)> {
    calls.iter().map(|timed| (timed.time.0, timed.measured)).collect()
}

/// Of the time that all ranks' calls of these communicators take when nothing else moves, the share
/// that was measured; 0 of nothing.
pub(super) fn measured_share(job: &Job, communicators: &TimedCalls) -> f64 {
    let mut calls = communicators.iter().flat_map(|(_, calls)| calls);
    if !calls.any(|(_, is_measured)| *is_measured) {
        return 0.0;
    }
    let counts: Vec<Counts> = job.programs.iter().map(|program| count(job, program)).collect();
    let (mut measured, mut all) = (0.0, 0.0);
    for (comm, calls) in communicators {
        let members = &job.communicators[comm.0 as usize].members;
        // All members make the same calls.
        let Some(rank) = members.first().map(|rank| &job.ranks[rank.0 as usize]) else { continue };
        let Some(slot) = rank.slots.iter().position(|of| of == comm) else { continue };
        for (call, &(time, is_measured)) in calls.iter().enumerate() {
            let key = (Slot(slot as u16), call as u16);
            let count = counts[rank.program.0 as usize].get(&key).copied().unwrap_or(0);
            let sum = count as f64 * members.len() as f64 * time;
            all += sum;
            measured += if is_measured { sum } else { 0.0 };
        }
    }
    if all > 0.0 { measured / all } else { 0.0 }
}

/// How often a program makes each call.
type Counts = BTreeMap<(Slot, u16), u64>;

fn count(job: &Job, program: &Program) -> Counts {
    let mut counts = Counts::new();
    let mut add = |op: &Op| {
        if let Some(key) = op.call() {
            *counts.entry(key).or_default() += 1;
        }
    };
    for op in &program.ops {
        match op {
            Op::Segment { segment, .. } => {
                job.segments[segment.0 as usize].ops.iter().for_each(&mut add);
            }
            op => add(op),
        }
    }
    counts
}

//! What occurs several times in a row.

use super::compress::SHORTEST;
use crate::Op;

/// No longer parts of a run are looked for again in it: more than any layer has operations.
const LONGEST: usize = 128;

/// Cuts a closed run of relative operations: from left to right, the shortest closed part that
/// occurs twice or more in a row, as often as it does, and what lies between such parts. Where each
/// begins, how long it is, how often it occurs.
pub(super) fn periods(ops: &[Op]) -> Vec<(usize, usize, usize)> {
    let closed = closed_before(ops);
    let mut pieces = Vec::new();
    let (mut rest, mut at) = (0, 0);
    while at < ops.len() {
        let left = ops.len() - at;
        let times = |len: usize| {
            let part = &ops[at..at + len];
            let again =
                |&(nth, chunk): &(usize, &[Op])| closed[at + (nth + 1) * len] && chunk == part;
            ops[at..].chunks_exact(len).enumerate().take_while(again).count()
        };
        let lengths = if closed[at] { SHORTEST..(left / 2).min(LONGEST) + 1 } else { 0..0 };
        let Some((len, times)) = lengths.map(|len| (len, times(len))).find(|&(_, times)| times > 1)
        else {
            at += 1;
            continue;
        };
        if at > rest {
            pieces.push((rest, at - rest, 1));
        }
        pieces.push((at, len, times));
        at += len * times;
        rest = at;
    }
    if rest < ops.len() {
        pieces.push((rest, ops.len() - rest, 1));
    }
    pieces
}

/// For each operation, and the end, whether the run can be cut before it: all calls before are
/// complete, and none of them is awaited again behind.
fn closed_before(ops: &[Op]) -> Vec<bool> {
    let (mut calls, mut settled) = (0, 0);
    let mut closed = vec![true];
    // Calls before each operation, and the one that it awaits.
    let mut called = Vec::with_capacity(ops.len());
    let mut awaited = Vec::with_capacity(ops.len());
    for op in ops {
        called.push(calls);
        awaited.push(u32::MAX);
        match *op {
            Op::Compute { .. } | Op::Segment { .. } => {}
            Op::Collective { .. } => {
                calls += 1;
                settled = calls;
            }
            Op::Issue { .. } => calls += 1,
            Op::Await { sequence, .. } => {
                settled = settled.max(calls - sequence + 1);
                awaited[called.len() - 1] = calls - sequence;
            }
        }
        closed.push(calls == settled);
    }
    let mut earliest = u32::MAX;
    for at in (0..ops.len()).rev() {
        earliest = earliest.min(awaited[at]);
        closed[at] &= earliest >= called[at];
    }
    closed
}

//! Finding segments.

use super::periods::periods;
use super::run::Run;
use super::{Segment, SegmentId};
use crate::known::{Known, fingerprint};
use crate::{Calls, Op, Slot};

/// Shorter runs stay where they are.
pub(super) const SHORTEST: usize = 3;

/// The segments of a job under construction.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    known: Known<SegmentId>,
    /// Closed runs and the pieces that they were cut into.
    cut: Known<Cut>,
}

/// A closed run, relative as [`Run::relative`] makes it, and its pieces.
type Cut = (Vec<Op>, Vec<Piece>);

/// A part of a closed run, itself closed.
#[derive(Clone, Copy, Debug)]
struct Piece {
    len: usize,
    /// How often it occurs in a row.
    times: usize,
    /// None if it is too short to be one.
    segment: Option<SegmentId>,
}

impl Segments {
    /// The operations with all that is closed as uses of segments, which are entered into `segments`
    /// at their first use.
    pub(crate) fn compress(&mut self, ops: &[Op], segments: &mut Vec<Segment>) -> Vec<Op> {
        let mut calls = Calls::default();
        let mut compressed = Vec::new();
        // Runs of this program that were cut, the latest last.
        let mut cuts: Vec<(usize, Run, Vec<Piece>)> = Vec::new();
        let mut at = 0;
        while at < ops.len() {
            let again = cuts.iter().rev().find_map(|(first, run, pieces)| {
                Some((run.again(ops, *first, at, &calls)?, pieces))
            });
            if let Some((run, pieces)) = again {
                at = expand(&mut compressed, ops, at, run, pieces);
                run.count(&mut calls);
                continue;
            }
            let run = Run::longest(&ops[at..], &calls);
            if run.len < SHORTEST {
                if let Some((slot, _)) = ops[at].call() {
                    calls.count(slot, 1);
                }
                compressed.push(ops[at]);
                at += 1;
                continue;
            }
            let pieces = self.cut(&run, &ops[at..at + run.len], segments);
            let next = expand(&mut compressed, ops, at, run, &pieces);
            run.count(&mut calls);
            cuts.push((at, run, pieces));
            at = next;
        }
        compressed
    }

    /// Cuts a closed run into pieces so that what occurs several times in a row is a piece.
    fn cut(&mut self, run: &Run, ops: &[Op], segments: &mut Vec<Segment>) -> Vec<Piece> {
        // Most runs are known: they are compared as they come, and written down only if they are
        // new.
        let fingerprint = fingerprint(run.relative(ops));
        let same = |(known, _): &Cut| {
            known.len() == ops.len() && run.relative(ops).eq(known.iter().copied())
        };
        if let Some((_, pieces)) = self.cut.find(fingerprint, same) {
            return pieces.clone();
        }
        let ops: Vec<Op> = run.relative(ops).collect();
        let pieces: Vec<Piece> = periods(&ops)
            .into_iter()
            .map(|(at, len, times)| {
                let segment = (len >= SHORTEST)
                    .then(|| self.intern(segment(&ops[at..at + len], run.slot), segments));
                Piece { len, times, segment }
            })
            .collect();
        self.cut.enter(fingerprint, (ops, pieces.clone()));
        pieces
    }

    fn intern(&mut self, segment: Segment, segments: &mut Vec<Segment>) -> SegmentId {
        let fingerprint = fingerprint(segment.ops.iter());
        let equal = |id: &SegmentId| segments[id.0 as usize] == segment;
        if let Some(&id) = self.known.find(fingerprint, equal) {
            return id;
        }
        let id = SegmentId(segments.len() as u32);
        self.known.enter(fingerprint, id);
        segments.push(segment);
        id
    }
}

/// Appends the pieces of a run at `at`; where it ends.
fn expand(
    compressed: &mut Vec<Op>,
    ops: &[Op],
    mut at: usize,
    run: Run,
    pieces: &[Piece],
) -> usize {
    for piece in pieces {
        for _ in 0..piece.times {
            match piece.segment {
                Some(segment) => compressed.push(Op::Segment { segment, index: run.index }),
                None => compressed.extend_from_slice(&ops[at..at + piece.len]),
            }
            at += piece.len;
        }
    }
    at
}

/// A closed list of operations, relative as [`Run::relative`] makes them, as a segment.
fn segment(ops: &[Op], slot: Option<Slot>) -> Segment {
    let mut calls = 0;
    let ops = ops
        .iter()
        .map(|&op| {
            calls += u32::from(op.call().is_some());
            match op {
                Op::Await { tag, slot, sequence } => {
                    Op::Await { tag, slot, sequence: calls - sequence }
                }
                other => other,
            }
        })
        .collect();
    Segment { ops, slot: slot.filter(|_| calls > 0), calls }
}

#[cfg(test)]
mod tests {
    use motley_units::Time;

    use super::*;
    use crate::{JobBuilder, NameId, Program, Stream, Tag};

    fn tag(index: u16) -> Tag {
        Tag { name: NameId(0), index }
    }

    fn compute(index: u16) -> Op {
        Op::Compute { tag: tag(index), kernels: 1, duration: Time::from_picos(7) }
    }

    fn meet(index: u16, slot: u16) -> Op {
        Op::Collective { tag: tag(index), slot: Slot(slot), call: 0 }
    }

    fn issue(index: u16, slot: u16) -> Op {
        Op::Issue { tag: tag(index), slot: Slot(slot), call: 0, stream: Stream(0) }
    }

    fn wait(index: u16, slot: u16, sequence: u32) -> Op {
        Op::Await { tag: tag(index), slot: Slot(slot), sequence }
    }

    /// Compresses a program, holds its expansion against it, and gives how many operations are
    /// left and how many segments there are.
    fn check(ops: &[Op]) -> (usize, usize) {
        let mut builder = JobBuilder::new(Vec::new(), 1);
        let id = builder.program(&Program { ops: ops.to_vec() });
        let job = builder.finish();
        assert_eq!(job.expanded(id).collect::<Vec<_>>(), ops);
        assert_eq!(job.without_segments().programs[0].ops, ops);
        (job.programs[0].ops.len(), job.segments.len())
    }

    #[test]
    fn repeated_passes_are_kept_once() {
        let pass = |i: u16| {
            let first = u32::from(i) * 3;
            vec![
                wait(i, 1, u32::from(i)),
                compute(i),
                meet(i, 0),
                issue(i, 0),
                compute(i),
                wait(i, 0, first + 1),
                meet(i, 0),
                issue(i, 2),
            ]
        };
        assert_eq!(check(&(0..5).flat_map(pass).collect::<Vec<_>>()), (15, 1));
    }

    #[test]
    fn repeated_layers_are_kept_once() {
        // A pass of three layers, in which a call is awaited behind the next one.
        let layer = |i: u16, first: u32| {
            let [a, b] = [wait(i, 0, first + 1), wait(i, 0, first + 2)];
            [meet(i, 0), issue(i, 0), compute(i), issue(i, 0), a, compute(i), b]
        };
        let pass = |i: u16| {
            let first = u32::from(i) * 9;
            let layers: Vec<Op> = (0..3).flat_map(|l| layer(i, first + 3 * l)).collect();
            [vec![wait(i, 1, 0)], layers, vec![compute(i), issue(i, 2)]].concat()
        };
        // One await, three layers, a computation and a send for each pass.
        assert_eq!(check(&(0..4).flat_map(pass).collect::<Vec<_>>()), (24, 1));
    }

    #[test]
    fn what_is_open_stays_outside() {
        // A call that is awaited after another slot's, one that is never awaited, and an await of
        // what was issued before the run.
        assert_eq!(check(&[issue(0, 0), meet(0, 1), wait(0, 0, 0)]), (3, 0));
        assert_eq!(check(&[compute(0), compute(0), issue(0, 0), compute(0)]), (4, 0));
        assert_eq!(check(&[issue(0, 0), meet(0, 1), meet(0, 0), wait(0, 0, 0)]), (4, 0));
        // A slot that comes into view at the open end does not belong to the run.
        let open = [compute(1), compute(1), compute(1), issue(1, 4), compute(1)];
        assert_eq!(check(&open), (3, 1));
        // What is awaited a second time is not cut off from that.
        let twice = |i: u32| [meet(0, 0), meet(0, 0), compute(0), wait(0, 0, i)];
        assert_eq!(check(&[twice(1), twice(3), twice(5)].concat()), (3, 1));
        assert_eq!(check(&[twice(1), twice(3), twice(2)].concat()), (1, 1));
    }

    /// However long a program is that nothing breaks up, it takes no time that anyone would notice.
    #[test]
    fn micro_batches_are_runs_of_their_own() {
        let pass = |i: u16| (0..40).flat_map(move |l| [compute(i), meet(i, l % 2)]);
        let layered = |i: u16| (0..40).flat_map(move |_| [compute(i), meet(i, 0), compute(i)]);
        assert_eq!(check(&(0..500).flat_map(pass).collect::<Vec<_>>()), (20_000, 1));
        assert_eq!(check(&(0..500).flat_map(layered).collect::<Vec<_>>()), (20_000, 1));
    }

    #[test]
    fn indices_are_relative() {
        // Another micro-batch's computation beside an open call.
        let run = |i: u16, n| [issue(i, 0), compute(i.wrapping_add(3)), wait(i, 0, n), compute(i)];
        assert_eq!(check(&[run(0, 0), run(9, 1), run(65_000, 2)].concat()), (3, 1));
        let apart = |i, n| [run(i, n).to_vec(), vec![wait(i, 1, 0)]].concat();
        // The last has operations without index, which do not go together with others.
        assert_eq!(check(&[apart(0, 0), apart(9, 1), apart(65_535, 2)].concat()), (9, 1));
        let none = Tag::NO_INDEX;
        let whole = [compute(none), meet(none, 0), compute(none), compute(4), compute(4)];
        assert_eq!(check(&whole), (3, 1));
    }
}

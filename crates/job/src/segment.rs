//! Segments: what programs do again and again, written down once.
//!
//! Most of a program is the pass of a micro-batch through the layers of a stage, once for each
//! micro-batch, and most of a pass is the same layer several times. [`crate::JobBuilder`] finds such
//! runs and keeps each once, however many programs use it and however often; the program then only
//! says *segment 3, for micro-batch 7*. Whoever walks a program in full asks [`Job::expanded`].
//!
//! A run can be a segment if it is *closed*: it calls one slot at most, and what it issues on that
//! slot it also awaits. Then nothing is under way when it begins or ends, so what it does depends
//! only on when it begins.

use std::collections::HashMap;
use std::ops::Add;

use crate::{Job, Op, ProgramId, Slot, Tag};

/// An index into [`Job::segments`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentId(pub u32);

/// A closed run of operations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// The operations, no segments among them. Indices of tags are counted from the index of the
    /// use, sequences of awaits from the first call of the segment.
    pub ops: Vec<Op>,
    /// The slot that they call, if they call.
    pub slot: Option<Slot>,
    /// How many times.
    pub calls: u32,
}

/// Shorter runs stay where they are.
const SHORTEST: usize = 3;

/// No longer parts of a run are looked for again in it: more than any layer has operations.
const LONGEST: usize = 128;

/// The segments of a job under construction.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    /// By fingerprint, candidates for being equal.
    known: HashMap<u64, Vec<SegmentId>>,
    /// By fingerprint, closed runs and the pieces that they were cut into.
    cut: HashMap<u64, Vec<Cut>>,
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
        let mut calls: Vec<u32> = Vec::new();
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
                if let Op::Collective { slot, .. } | Op::Issue { slot, .. } = ops[at] {
                    *entry(&mut calls, slot) += 1;
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
        let candidates = self.cut.get(&fingerprint).map_or(&[][..], Vec::as_slice);
        let same = |(known, _): &&Cut| {
            known.len() == ops.len() && run.relative(ops).eq(known.iter().copied())
        };
        if let Some((_, pieces)) = candidates.iter().find(same) {
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
        self.cut.entry(fingerprint).or_default().push((ops, pieces.clone()));
        pieces
    }

    fn intern(&mut self, segment: Segment, segments: &mut Vec<Segment>) -> SegmentId {
        let fingerprint = fingerprint(segment.ops.iter().copied());
        let candidates = self.known.entry(fingerprint).or_default();
        let equal = |id: &&SegmentId| segments[id.0 as usize] == segment;
        if let Some(&id) = candidates.iter().find(equal) {
            return id;
        }
        let id = SegmentId(segments.len() as u32);
        candidates.push(id);
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

fn entry(calls: &mut Vec<u32>, slot: Slot) -> &mut u32 {
    let slot = usize::from(slot.0);
    if calls.len() <= slot {
        calls.resize(slot + 1, 0);
    }
    &mut calls[slot]
}

/// A closed run at the start of a list of operations.
#[derive(Clone, Copy)]
struct Run {
    len: usize,
    slot: Option<Slot>,
    /// Calls of the slot before the run, and in it.
    before: u32,
    calls: u32,
    /// The index that its tags are counted from.
    index: u16,
}

impl Run {
    /// The longest closed run at the start of `ops`; `calls` is how often each slot was called
    /// before.
    fn longest(ops: &[Op], calls: &[u32]) -> Self {
        let index = ops.first().and_then(Op::tag).map_or(Tag::NO_INDEX, |tag| tag.index);
        let mut run = Self { len: 0, slot: None, before: 0, calls: 0, index };
        let mut closed = run;
        // Calls of the run that are known to be complete.
        let mut settled = 0;
        for op in ops {
            // Offsets wrap, so only whether there is an index must be the same throughout.
            let fits = op
                .tag()
                .is_some_and(|tag| (tag.index == Tag::NO_INDEX) == (index == Tag::NO_INDEX));
            // The next micro-batch is a run of its own, unless it begins while calls are open.
            let next = settled == run.calls && op.tag().is_some_and(|tag| tag.index != index);
            if !fits || next {
                break;
            }
            if let Op::Collective { slot, .. } | Op::Issue { slot, .. } | Op::Await { slot, .. } =
                *op
            {
                if *run.slot.get_or_insert(slot) != slot {
                    break;
                }
                run.before = calls.get(usize::from(slot.0)).copied().unwrap_or(0);
            }
            match *op {
                Op::Compute { .. } => {}
                Op::Collective { .. } => {
                    run.calls += 1;
                    settled = run.calls;
                }
                Op::Issue { .. } => run.calls += 1,
                Op::Await { sequence, .. } => {
                    if !(run.before..run.before + run.calls).contains(&sequence) {
                        break;
                    }
                    settled = settled.max(sequence - run.before + 1);
                }
                Op::Segment { .. } => break,
            }
            run.len += 1;
            if settled == run.calls {
                closed = run;
            }
        }
        closed
    }

    /// The run at `at` if it is this one, which is at `first`, once more: for another micro-batch,
    /// and later in the order of calls.
    fn again(&self, ops: &[Op], first: usize, at: usize, calls: &[u32]) -> Option<Self> {
        let index = ops[at].tag()?.index;
        let before = self.slot.map_or(0, |slot| calls.get(usize::from(slot.0)).map_or(0, |&c| c));
        let again = Self { before, index, ..*self };
        let (known, new) = (&ops[first..], &ops[at..]);
        let indexed = |index| index != Tag::NO_INDEX;
        let same = indexed(index) == indexed(self.index)
            && new.len() >= self.len
            // What ended the run there ends it here.
            && known.get(self.len).map(Op::meets) == new.get(self.len).map(Op::meets)
            && known.iter().zip(new).take(self.len).all(|(a, b)| self.is_again(again, *a, *b));
        same.then_some(again)
    }

    /// Whether an operation of this run is that of another.
    fn is_again(&self, other: Self, a: Op, b: Op) -> bool {
        let shift = other.index.wrapping_sub(self.index);
        let moved = |tag: Tag| Tag { index: tag.index.wrapping_add(shift), ..tag };
        match (a, b) {
            (
                Op::Await { tag, slot, sequence },
                Op::Await { tag: other_tag, slot: other_slot, sequence: other_sequence },
            ) => {
                moved(tag) == other_tag
                    && slot == other_slot
                    && sequence - self.before + other.before == other_sequence
            }
            _ => a.with_tag(moved) == b,
        }
    }

    /// Counts its calls.
    fn count(&self, calls: &mut Vec<u32>) {
        if let Some(slot) = self.slot {
            *entry(calls, slot) += self.calls;
        }
    }

    /// Its operations with indices counted from the run's, and sequences of awaits counted back
    /// from the await: 1 is the call just before. So equal parts of the run look equal.
    fn relative<'o>(&self, ops: &'o [Op]) -> impl Iterator<Item = Op> + use<'o> {
        let Self { index, before: mut called, .. } = *self;
        let relative = move |tag: Tag| Tag { index: tag.index.wrapping_sub(index), ..tag };
        ops.iter().map(move |op| {
            called += u32::from(matches!(op, Op::Collective { .. } | Op::Issue { .. }));
            match *op {
                Op::Await { tag, slot, sequence } => {
                    Op::Await { tag: relative(tag), slot, sequence: called - sequence }
                }
                other => other.with_tag(relative),
            }
        })
    }
}

/// A closed list of operations, relative as [`Run::relative`] makes them, as a segment.
fn segment(ops: &[Op], slot: Option<Slot>) -> Segment {
    let mut calls = 0;
    let ops = ops
        .iter()
        .map(|&op| {
            calls += u32::from(matches!(op, Op::Collective { .. } | Op::Issue { .. }));
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

/// Cuts a closed run of relative operations: from left to right, the shortest closed part that
/// occurs twice or more in a row, as often as it does, and what lies between such parts. Where each
/// begins, how long it is, how often it occurs.
fn periods(ops: &[Op]) -> Vec<(usize, usize, usize)> {
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

/// Equal lists have equal fingerprints.
fn fingerprint(ops: impl Iterator<Item = Op>) -> u64 {
    ops.fold(0, |hash, op| {
        let (kind, a, b) = match op {
            Op::Compute { tag, kernels, duration } => {
                (1, word(tag), duration.as_picos() ^ (u64::from(kernels) << 48))
            }
            Op::Collective { tag, slot, call } => {
                (2, word(tag), u64::from(slot.0) << 16 | u64::from(call))
            }
            Op::Issue { tag, slot, call, stream } => (
                3,
                word(tag),
                u64::from(stream.0) << 32 | u64::from(slot.0) << 16 | u64::from(call),
            ),
            Op::Await { tag, slot, sequence } => {
                (4, word(tag), u64::from(slot.0) << 32 | u64::from(sequence))
            }
            Op::Segment { segment, index } => (5, u64::from(segment.0), u64::from(index)),
        };
        // The odd constant is 2^64 over the golden ratio.
        let mixed = (hash ^ kind ^ a << 8).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed ^ (mixed >> 29) ^ b).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    })
}

fn word(tag: Tag) -> u64 {
    u64::from(tag.name.0) << 16 | u64::from(tag.index)
}

impl Segment {
    /// Whether it is what it says: the operations call the one slot so many times, await only
    /// calls of their own, and leave none open.
    pub(crate) fn is_closed(&self) -> bool {
        let (mut calls, mut settled) = (0, 0);
        self.ops.iter().all(|op| match *op {
            Op::Compute { .. } => true,
            Op::Collective { slot, .. } => {
                calls += 1;
                settled = calls;
                self.slot == Some(slot)
            }
            Op::Issue { slot, .. } => {
                calls += 1;
                self.slot == Some(slot)
            }
            Op::Await { slot, sequence, .. } => {
                settled = settled.max(sequence + 1);
                self.slot == Some(slot) && sequence < calls
            }
            Op::Segment { .. } => false,
        }) && settled == calls
            && calls == self.calls
    }
}

impl Job {
    /// All operations of a program in order, each segment in full.
    pub fn expanded(&self, program: ProgramId) -> impl Iterator<Item = Op> + '_ {
        let mut calls: Vec<u32> = Vec::new();
        self.programs[program.0 as usize].ops.iter().flat_map(move |&op| {
            let (ops, index, before) = match op {
                Op::Segment { segment, index } => {
                    let segment = &self.segments[segment.0 as usize];
                    let before = segment.slot.map_or(0, |slot| {
                        let calls = entry(&mut calls, slot);
                        *calls += segment.calls;
                        *calls - segment.calls
                    });
                    (segment.ops.as_slice(), index, before)
                }
                Op::Collective { slot, .. } | Op::Issue { slot, .. } => {
                    *entry(&mut calls, slot) += 1;
                    (&[][..], 0, 0)
                }
                Op::Compute { .. } | Op::Await { .. } => (&[][..], 0, 0),
            };
            let itself = (!matches!(op, Op::Segment { .. })).then_some(op);
            let used = ops.iter().map(move |inner| inner.used(index, before));
            itself.into_iter().chain(used)
        })
    }

    /// By program, the sum of `measure` over its operations, those of segments at every use.
    pub fn program_sums<T: Copy + Default + Add<Output = T>>(
        &self,
        measure: impl Fn(&Op) -> T,
    ) -> Vec<T> {
        let sum = |ops: &[Op], segments: &[T]| {
            ops.iter().fold(T::default(), |sum, op| match op {
                Op::Segment { segment, .. } => sum + segments[segment.0 as usize],
                op => sum + measure(op),
            })
        };
        let segments: Vec<T> = self.segments.iter().map(|s| sum(&s.ops, &[])).collect();
        self.programs.iter().map(|program| sum(&program.ops, &segments)).collect()
    }

    /// The same job without segments: every program in full.
    #[must_use]
    pub fn without_segments(&self) -> Self {
        let mut job = Self { segments: Vec::new(), ..self.clone() };
        for (program, id) in job.programs.iter_mut().zip(0..) {
            program.ops = self.expanded(ProgramId(id)).collect();
        }
        job
    }
}

#[cfg(test)]
mod tests {
    use motley_units::Time;

    use super::*;
    use crate::{JobBuilder, NameId, Program, Stream};

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

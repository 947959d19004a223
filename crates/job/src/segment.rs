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

mod compress;
mod periods;
mod run;

use std::ops::Add;

pub(crate) use compress::Segments;

use crate::{Calls, Job, Op, ProgramId, Slot};

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
        let mut calls = Calls::default();
        self.programs[program.0 as usize].ops.iter().flat_map(move |&op| {
            let (ops, index, before) = match op {
                Op::Segment { segment, index } => {
                    let segment = &self.segments[segment.0 as usize];
                    let before = segment.slot.map_or(0, |slot| calls.count(slot, segment.calls));
                    (segment.ops.as_slice(), index, before)
                }
                op => {
                    if let Some((slot, _)) = op.call() {
                        calls.count(slot, 1);
                    }
                    (&[][..], 0, 0)
                }
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

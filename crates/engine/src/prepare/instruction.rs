//! Programs as the replay executes them: each call knows its place in its communicator's order.

use std::collections::BTreeMap;

use motley_job::{Calls, Job, Op, Slot, Stream, Tag};

use super::NONE;
use super::takers::{Takers, UnderWay};
use crate::digest::Weights;

/// [`Op`] with what can be known of it beforehand. 16 bytes.
///
/// The sequence of a call counts the calls of its slot before it in the program, or in the segment;
/// all members of a communicator make the same calls in the same order, so it is the number of the
/// instance, less those before the segment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Instruction {
    /// Keep the compute stream busy.
    Compute {
        tag: Tag,
        /// Index of the number of kernels in [`Code::kernels`].
        spread: u16,
        /// Picoseconds, as the float that it is multiplied as.
        duration: f64,
    },
    /// The same, perhaps beside calls that take processors from it.
    Beside { tag: Tag, spread: u16, duration: f64 },
    /// Join instance `sequence` and stand until it is complete.
    Collective { tag: Tag, slot: Slot, call: u16, sequence: u32 },
    /// Enqueue instance `sequence` on a stream.
    Issue {
        tag: Tag,
        slot: Slot,
        call: u16,
        stream: Stream,
        /// It may take processors from what is computed beside it.
        takes: bool,
        sequence: u32,
    },
    /// Stand until instance `sequence` is complete.
    Await { tag: Tag, slot: Slot, sequence: u32 },
    /// Execute a segment and come back.
    Segment {
        /// What the indices of its tags are counted from.
        index: u16,
        /// Which of the program's segments it is, in the order of their first use.
        ordinal: u16,
        /// Index in [`Code::segments`].
        segment: u32,
        /// Calls of its slot before it.
        before: u32,
        /// From here on, how many equal uses follow one another, this one included.
        times: u16,
    },
    /// The program, or the segment, is over.
    End,
}

impl Instruction {
    /// What an instruction at which a stream can stand is.
    pub(crate) fn tag(&self) -> Option<Tag> {
        match *self {
            Self::Collective { tag, .. } | Self::Issue { tag, .. } | Self::Await { tag, .. } => {
                Some(tag)
            }
            Self::Compute { .. } | Self::Beside { .. } | Self::Segment { .. } | Self::End => None,
        }
    }
}

/// The index of a segment's use applied to a tag inside it; zero outside of segments.
#[inline]
pub(crate) fn shifted(tag: Tag, index: u16) -> Tag {
    Tag { name: tag.name, index: tag.index.wrapping_add(index) }
}

/// A segment, laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    /// Its first instruction.
    pub(crate) first: u32,
    /// The instruction after its first blocking call, or [`NONE`]: from there on all who meet in
    /// that call are at the same time.
    pub(crate) met: u32,
    pub(crate) slot: Option<Slot>,
    /// Calls of the slot, and of those behind `met`.
    pub(crate) calls: u32,
    pub(crate) calls_after: u32,
    /// Operations.
    pub(crate) len: u32,
    /// The weights of all of its instances in a communicator's digest, and of those behind `met`.
    pub(crate) weights: [Weights; 2],
}

/// All programs and segments, laid out.
#[derive(Debug, Default)]
pub(crate) struct Code {
    /// All instructions; programs first, then segments, each closed by [`Instruction::End`].
    pub(crate) instructions: Vec<Instruction>,
    pub(crate) programs: Vec<Program>,
    pub(crate) segments: Vec<Segment>,
    /// How many kernels the operations of each spread class sum up.
    pub(crate) kernels: Vec<u16>,
}

/// A program, laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program {
    /// Its first instruction.
    pub(crate) first: u32,
    /// Operations, those of segments counted at each use.
    pub(crate) len: u64,
    /// Different segments.
    pub(crate) segments: u16,
}

/// Lays out the programs and segments of a verified job. A segment that is used also beside calls
/// that take processors is laid out twice.
pub(super) fn lower(job: &Job, takers: &Takers) -> Code {
    let mut code = Code::default();
    let mut classes = BTreeMap::new();
    let mut twice: BTreeMap<usize, u32> = BTreeMap::new();
    for (p, program) in job.programs.iter().enumerate() {
        let first = code.instructions.len() as u32;
        let mut calls = Calls::default();
        let mut under_way = takers.of_program(p);
        let mut ordinals: BTreeMap<u32, u16> = BTreeMap::new();
        let mut len = 0;
        for op in &program.ops {
            let instruction = match *op {
                Op::Segment { segment, index } => {
                    let used = &job.segments[segment.0 as usize];
                    len += used.ops.len() as u64;
                    let other = job.segments.len() + twice.len();
                    let segment = if under_way.any() {
                        *twice.entry(segment.0 as usize).or_insert(other as u32)
                    } else {
                        segment.0
                    };
                    let before = used.slot.map_or(0, |slot| calls.count(slot, used.calls));
                    if let Some((slot, last)) = used.slot.zip((before + used.calls).checked_sub(1))
                    {
                        under_way.settle(slot, last);
                    }
                    let next = ordinals.len() as u16;
                    let ordinal = *ordinals.entry(segment).or_insert(next);
                    Instruction::Segment { index, ordinal, segment, before, times: 1 }
                }
                op => {
                    len += 1;
                    code.instruction(op, &mut calls, &mut classes, &mut under_way)
                }
            };
            code.instructions.push(instruction);
        }
        count_repeats(&mut code.instructions[first as usize..]);
        code.instructions.push(Instruction::End);
        code.programs.push(Program { first, len, segments: ordinals.len() as u16 });
    }
    let mut laid: Vec<(usize, bool)> = (0..job.segments.len()).map(|s| (s, false)).collect();
    let mut again: Vec<(u32, usize)> = twice.into_iter().map(|(s, place)| (place, s)).collect();
    again.sort_unstable();
    laid.extend(again.into_iter().map(|(_, s)| (s, true)));
    for (s, always) in laid {
        let segment = &job.segments[s];
        let mut under_way = takers.of_segment(s, always);
        let first = code.instructions.len() as u32;
        let mut calls = Calls::default();
        for &op in &segment.ops {
            let instruction = code.instruction(op, &mut calls, &mut classes, &mut under_way);
            code.instructions.push(instruction);
        }
        code.instructions.push(Instruction::End);
        let blocking = segment.ops.iter().position(|op| matches!(op, Op::Collective { .. }));
        let calls_met = blocking.map_or(segment.calls, |met| {
            segment.ops[..=met].iter().filter(|op| op.call().is_some()).count() as u32
        });
        code.segments.push(Segment {
            first,
            met: blocking.map_or(NONE, |met| first + met as u32 + 1),
            slot: segment.slot,
            calls: segment.calls,
            calls_after: segment.calls - calls_met,
            len: segment.ops.len() as u32,
            weights: [0, calls_met].map(|from| Weights::of(segment.calls - from)),
        });
    }
    code
}

/// Notes how many equal uses of a segment follow each one.
fn count_repeats(instructions: &mut [Instruction]) {
    let mut behind: Option<(u32, u16, u16)> = None;
    for instruction in instructions.iter_mut().rev() {
        behind = match instruction {
            Instruction::Segment { index, segment, times, .. } => {
                if let Some((same, at, repeats)) = behind
                    && (same, at) == (*segment, *index)
                {
                    *times = repeats.saturating_add(1);
                }
                Some((*segment, *index, *times))
            }
            _ => None,
        };
    }
}

impl Code {
    /// The segment after whose use a program goes on at `back`, if that is in a program.
    pub(crate) fn segment_before(&self, back: u32) -> Option<&Segment> {
        match self.use_before(back)? {
            Instruction::Segment { segment, .. } => self.segments.get(segment as usize),
            _ => None,
        }
    }

    /// The index of the segment's use after which a program goes on at `back`; zero outside of
    /// segments.
    pub(crate) fn index_before(&self, back: u32) -> u16 {
        match self.use_before(back) {
            Some(Instruction::Segment { index, .. }) => index,
            _ => 0,
        }
    }

    fn use_before(&self, back: u32) -> Option<Instruction> {
        let use_ = back.checked_sub(1).filter(|_| back != NONE)?;
        self.instructions.get(use_ as usize).copied()
    }

    fn instruction(
        &mut self,
        op: Op,
        calls: &mut Calls,
        classes: &mut BTreeMap<u16, u16>,
        under_way: &mut UnderWay<'_>,
    ) -> Instruction {
        match op {
            Op::Compute { tag, kernels, duration } => {
                let spread = *classes.entry(kernels).or_insert_with(|| {
                    let class = self.kernels.len() as u16;
                    self.kernels.push(kernels);
                    class
                });
                let duration = duration.as_picos() as f64;
                if under_way.any() {
                    Instruction::Beside { tag, spread, duration }
                } else {
                    Instruction::Compute { tag, spread, duration }
                }
            }
            Op::Collective { tag, slot, call } => {
                let sequence = calls.count(slot, 1);
                under_way.settle(slot, sequence);
                Instruction::Collective { tag, slot, call, sequence }
            }
            Op::Issue { tag, slot, call, stream } => {
                let sequence = calls.count(slot, 1);
                let takes = under_way.issue(slot, sequence);
                Instruction::Issue { tag, slot, call, stream, takes, sequence }
            }
            Op::Await { tag, slot, sequence } => {
                under_way.settle(slot, sequence);
                Instruction::Await { tag, slot, sequence }
            }
            // Segments hold none, and programs have theirs taken care of.
            Op::Segment { .. } => Instruction::End,
        }
    }
}

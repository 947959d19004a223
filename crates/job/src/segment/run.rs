//! Closed runs of operations.

use crate::{Calls, Op, Slot, Tag};

/// A closed run at the start of a list of operations.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) len: usize,
    pub(super) slot: Option<Slot>,
    /// Calls of the slot before the run, and in it.
    before: u32,
    calls: u32,
    /// The index that its tags are counted from.
    pub(super) index: u16,
}

impl Run {
    /// The longest closed run at the start of `ops`; `calls` is how often each slot was called
    /// before.
    pub(super) fn longest(ops: &[Op], calls: &Calls) -> Self {
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
                run.before = calls.of(slot);
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
    pub(super) fn again(&self, ops: &[Op], first: usize, at: usize, calls: &Calls) -> Option<Self> {
        let index = ops[at].tag()?.index;
        let before = self.slot.map_or(0, |slot| calls.of(slot));
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
    pub(super) fn count(&self, calls: &mut Calls) {
        if let Some(slot) = self.slot {
            calls.count(slot, self.calls);
        }
    }

    /// Its operations with indices counted from the run's, and sequences of awaits counted back
    /// from the await: 1 is the call just before. So equal parts of the run look equal.
    pub(super) fn relative<'o>(&self, ops: &'o [Op]) -> impl Iterator<Item = Op> + use<'o> {
        let Self { index, before: mut called, .. } = *self;
        let relative = move |tag: Tag| Tag { index: tag.index.wrapping_sub(index), ..tag };
        ops.iter().map(move |op| {
            called += u32::from(op.call().is_some());
            match *op {
                Op::Await { tag, slot, sequence } => {
                    Op::Await { tag: relative(tag), slot, sequence: called - sequence }
                }
                other => other.with_tag(relative),
            }
        })
    }
}

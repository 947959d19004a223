//! Programs: what one class of ranks does, in order.

use motley_units::Time;

use crate::SegmentId;

/// An index into [`crate::Job::programs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProgramId(pub u32);

/// An index into [`crate::Job::names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId(pub u16);

/// What an operation is, for timelines: a name and the micro-batch that it works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag {
    /// The operation's name.
    pub name: NameId,
    /// Counts from zero; [`Tag::NO_INDEX`] where there is none.
    pub index: u16,
}

impl Tag {
    /// The index of operations that belong to no micro-batch.
    pub const NO_INDEX: u16 = u16::MAX;
}

/// A communicator as the program names it: an index into the rank's own list of communicators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u16);

/// A communication stream of a rank. Calls on one stream run one after the other, in the order of
/// their issue; streams run beside each other and beside compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stream(pub u8);

/// One operation of the compute stream. 16 bytes: the hot loop walks arrays of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// The compute stream is busy for `duration`, times the rank's slowness and the jitter of
    /// `kernels` kernels.
    Compute {
        /// What it is.
        tag: Tag,
        /// How many kernels the duration sums up, at least 1. Independent jitter averages out
        /// over them.
        kernels: u16,
        /// On a card of slowness 1, without jitter.
        duration: Time,
    },
    /// Joins the next instance of the communicator; the compute stream waits for its end.
    Collective {
        /// What it is.
        tag: Tag,
        /// The communicator.
        slot: Slot,
        /// Which of the communicator's calls.
        call: u16,
    },
    /// Enqueues the next instance of the communicator on a communication stream.
    Issue {
        /// What it is.
        tag: Tag,
        /// The communicator.
        slot: Slot,
        /// Which of the communicator's calls.
        call: u16,
        /// The stream.
        stream: Stream,
    },
    /// The compute stream waits until the communicator has completed `sequence + 1` instances in
    /// this iteration.
    Await {
        /// What it is.
        tag: Tag,
        /// The communicator, of which this rank need not be a member.
        slot: Slot,
        /// The instance, counted from zero.
        sequence: u32,
    },
    /// The operations of a segment, one after the other.
    Segment {
        /// The segment.
        segment: SegmentId,
        /// What the indices of its tags are counted from.
        index: u16,
    },
}

impl Op {
    /// What it is; a segment is several things.
    pub fn tag(&self) -> Option<Tag> {
        match *self {
            Self::Compute { tag, .. }
            | Self::Collective { tag, .. }
            | Self::Issue { tag, .. }
            | Self::Await { tag, .. } => Some(tag),
            Self::Segment { .. } => None,
        }
    }

    /// The slot and the call that it makes; a segment may make several.
    pub fn call(&self) -> Option<(Slot, u16)> {
        match *self {
            Self::Collective { slot, call, .. } | Self::Issue { slot, call, .. } => {
                Some((slot, call))
            }
            Self::Compute { .. } | Self::Await { .. } | Self::Segment { .. } => None,
        }
    }

    /// Which kind of operation it is, on which slot.
    pub(crate) fn meets(&self) -> (u8, Option<Slot>) {
        match *self {
            Self::Compute { .. } => (0, None),
            Self::Collective { slot, .. } => (1, Some(slot)),
            Self::Issue { slot, .. } => (2, Some(slot)),
            Self::Await { slot, .. } => (3, Some(slot)),
            Self::Segment { .. } => (4, None),
        }
    }

    /// The same with another tag.
    pub(crate) fn with_tag(self, change: impl Fn(Tag) -> Tag) -> Self {
        match self {
            Self::Compute { tag, kernels, duration } => {
                Self::Compute { tag: change(tag), kernels, duration }
            }
            Self::Collective { tag, slot, call } => {
                Self::Collective { tag: change(tag), slot, call }
            }
            Self::Issue { tag, slot, call, stream } => {
                Self::Issue { tag: change(tag), slot, call, stream }
            }
            Self::Await { tag, slot, sequence } => Self::Await { tag: change(tag), slot, sequence },
            Self::Segment { .. } => self,
        }
    }

    /// An operation of a segment as it is where the segment is used: with this index, after so many
    /// calls of its slot.
    pub(crate) fn used(self, index: u16, before: u32) -> Self {
        let op = self.with_tag(|tag| Tag { index: tag.index.wrapping_add(index), ..tag });
        match op {
            Self::Await { tag, slot, sequence } => {
                Self::Await { tag, slot, sequence: sequence + before }
            }
            other => other,
        }
    }
}

/// What the ranks of one class do, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// The operations of the compute stream. In a job, runs that occur again and again are
    /// segments.
    pub ops: Vec<Op>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_sixteen_bytes() {
        assert_eq!(size_of::<Op>(), 16);
    }
}

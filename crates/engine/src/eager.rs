//! Communicators whose instances end without an event.
//!
//! If no call of a communicator shares links, an instance's end is known as soon as its last member
//! has joined; and if nobody but members waits for it, on streams of its own, nothing else happens
//! at that end. So the last member to join settles the instance at once, however far ahead of the
//! clock, and the event queue never hears of it. Tensor-parallel collectives are of this kind, and
//! they are most of all there are: a group then runs from one pipeline message to the next in one
//! go, its state warm in the cache.
//!
//! *What must be remembered.* Members may have up to two calls outstanding
//! ([`OUTSTANDING`](crate::prepare::usage::OUTSTANDING)), so one may ask for the end of an instance
//! when later ones have been settled. Say a member has yet to wait for instance t. It has joined t + 1
//! at the latest. Whoever joins instance s has waited for s - 2, which is complete, so every member
//! has joined s - 2 <= t + 1. Hence s <= t + 3, and a window of four instances forgets nothing too
//! early.

use motley_units::Time;

/// Instances that are remembered.
const WINDOW: usize = 4;

/// The instances of one communicator that can still matter.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window([Instance; WINDOW]);

/// One instance.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Instance {
    /// The latest join; its start, once all members have joined.
    pub(crate) start: Time,
    /// Its end, once all members have joined.
    pub(crate) end: Time,
    /// Members that have joined, back to zero when all have.
    joined: u32,
    /// Which call it makes.
    pub(crate) call: u16,
}

impl Window {
    /// An instance that is in progress or complete and can still be asked for.
    pub(crate) fn instance(&self, sequence: u32) -> &Instance {
        &self.0[sequence as usize % WINDOW]
    }

    /// All that are remembered.
    pub(crate) fn instances(&self) -> impl Iterator<Item = Instance> + Clone {
        self.0.iter().copied()
    }

    /// A member joins instance `sequence` at `at`. If it is the last of `size`, the instance takes
    /// `duration` from the latest join or the end of the one before, and is returned.
    pub(crate) fn join(
        &mut self,
        sequence: u32,
        size: u32,
        at: Time,
        call: u16,
        duration: Time,
    ) -> Option<Instance> {
        let before = self.0[(sequence as usize + WINDOW - 1) % WINDOW].end;
        let instance = &mut self.0[sequence as usize % WINDOW];
        if instance.joined == 0 {
            instance.start = at;
            instance.call = call;
        } else {
            instance.start = instance.start.max(at);
        }
        instance.joined += 1;
        (instance.joined == size).then(|| {
            let start = instance.start.max(before);
            *instance = Instance { start, end: start + duration, joined: 0, call: instance.call };
            *instance
        })
    }

    /// All members join instance `sequence`, the last at `at`.
    pub(crate) fn join_all(
        &mut self,
        sequence: u32,
        at: Time,
        call: u16,
        duration: Time,
    ) -> Instance {
        let before = self.0[(sequence as usize + WINDOW - 1) % WINDOW].end;
        let start = at.max(before);
        let instance = Instance { start, end: start + duration, joined: 0, call };
        self.0[sequence as usize % WINDOW] = instance;
        instance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_follow_one_another() {
        let mut window = Window::default();
        let at = Time::from_picos;
        assert!(window.join(0, 2, at(5), 0, at(10)).is_none());
        assert!(window.join(1, 2, at(6), 1, at(3)).is_none());
        let first = window.join(0, 2, at(7), 0, at(10)).unwrap();
        assert_eq!((first.start, first.end), (at(7), at(17)));
        let second = window.join(1, 2, at(8), 1, at(3)).unwrap();
        assert_eq!((second.start, second.end), (at(17), at(20)));
        assert_eq!(window.instance(0).end, at(17));
    }
}

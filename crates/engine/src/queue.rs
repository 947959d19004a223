//! The event queue: at most one pending event per communicator, earliest first.

use motley_units::Time;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The instance is complete. Ends come before starts, so that what ends at an instant does not
    /// share links with what starts at it.
    End = 0,
    /// The instance's latency is over, its bytes begin to flow.
    Start = 1,
}

const ARITY: usize = 4;
const ABSENT: u32 = u32::MAX;

/// An indexed 4-ary heap of (time, kind, communicator), a total order. An event is moved when its
/// flow's rate changes.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Time in the upper 64 bits, then kind, then communicator.
    keys: Vec<u128>,
    /// Where in `keys` the event of each communicator is.
    position: Vec<u32>,
}

fn owner(key: u128) -> usize {
    (key & 0xFFFF_FFFF) as usize
}

impl Queue {
    /// An empty queue for communicators `0..communicators`.
    pub(crate) fn new(communicators: usize) -> Self {
        Self { keys: Vec::new(), position: vec![ABSENT; communicators] }
    }

    /// When the first event is due.
    pub(crate) fn next_time(&self) -> Option<Time> {
        self.keys.first().map(|&key| Time::from_picos((key >> 64) as u64))
    }

    /// Sets the event of `communicator`, in place of the one that it may have pending.
    pub(crate) fn set(&mut self, communicator: u32, time: Time, kind: Kind) {
        let key =
            (u128::from(time.as_picos()) << 64) | ((kind as u128) << 32) | u128::from(communicator);
        let at = self.position[communicator as usize];
        if at == ABSENT {
            self.keys.push(key);
            self.rise(self.keys.len() - 1, key);
        } else if key < self.keys[at as usize] {
            self.rise(at as usize, key);
        } else {
            self.sink(at as usize, key);
        }
    }

    /// Takes the first event if it is due at `time`.
    pub(crate) fn pop_at(&mut self, time: Time) -> Option<(Kind, u32)> {
        let first = *self.keys.first()?;
        if (first >> 64) as u64 != time.as_picos() {
            return None;
        }
        self.position[owner(first)] = ABSENT;
        let last = self.keys.pop()?;
        if !self.keys.is_empty() {
            self.sink(0, last);
        }
        let kind = if (first >> 32) & 1 == 0 { Kind::End } else { Kind::Start };
        Some((kind, owner(first) as u32))
    }

    fn place(&mut self, at: usize, key: u128) {
        self.keys[at] = key;
        self.position[owner(key)] = at as u32;
    }

    /// Puts `key` at `at` or above.
    fn rise(&mut self, mut at: usize, key: u128) {
        while at > 0 {
            let parent = (at - 1) / ARITY;
            if self.keys[parent] <= key {
                break;
            }
            self.place(at, self.keys[parent]);
            at = parent;
        }
        self.place(at, key);
    }

    /// Puts `key` at `at` or below.
    fn sink(&mut self, mut at: usize, key: u128) {
        loop {
            let first = at * ARITY + 1;
            let children = first..(first + ARITY).min(self.keys.len());
            let Some(least) = children.min_by_key(|&child| self.keys[child]) else { break };
            if key <= self.keys[least] {
                break;
            }
            self.place(at, self.keys[least]);
            at = least;
        }
        self.place(at, key);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a sorted map: random settings, moves and removals.
        #[test]
        fn pops_in_total_order(steps in prop::collection::vec((0u32..20, 0u64..50, any::<bool>()), 0..200)) {
            let mut queue = Queue::new(20);
            let mut expected = BTreeMap::new();
            for (communicator, time, start) in steps {
                if time < 10 {
                    let first = expected.iter().map(|(&c, &(t, k))| (t, k, c)).min();
                    prop_assert_eq!(queue.next_time(), first.map(|(t, _, _)| t));
                    if let Some((t, kind, c)) = first {
                        prop_assert_eq!(queue.pop_at(t + Time::from_picos(1)), None);
                        prop_assert_eq!(queue.pop_at(t), Some((kind, c)));
                        expected.remove(&c);
                    }
                } else {
                    let kind = if start { Kind::Start } else { Kind::End };
                    queue.set(communicator, Time::from_picos(time), kind);
                    expected.insert(communicator, (Time::from_picos(time), kind));
                }
            }
        }
    }
}

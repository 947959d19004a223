//! The event queue: at most one pending event per communicator and per flow, earliest first.

use motley_units::Time;

/// What is due. At one instant ends come before starts, so that what ends does not share links with
/// what starts; completions come before arrivals, each in the order of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// The instance of this communicator, which shares no links, is complete.
    Completion(u32),
    /// This flow has moved its bytes.
    Arrival(u32),
    /// The latency of this communicator's instance is over, its bytes begin to flow.
    Start(u32),
}

const ARITY: usize = 4;
const ABSENT: u32 = u32::MAX;

/// An indexed 4-ary heap of (time, event), a total order. An event is moved when its flow's rate
/// changes.
///
/// Communicators and, behind them, flows are numbered as owners of events. A communicator has a
/// completion or a start pending, or flows under way that have arrivals.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Time in the upper 64 bits, then one bit for starts, then the owner.
    keys: Vec<u128>,
    /// Where in `keys` the event of each owner is.
    position: Vec<u32>,
    /// Owners from here on are flows.
    first_flow: u32,
}

const START: u128 = 1 << 32;

fn owner(key: u128) -> usize {
    (key & 0xFFFF_FFFF) as usize
}

impl Queue {
    /// An empty queue for communicators `0..communicators` and flows `0..flows`.
    pub(crate) fn new(communicators: usize, flows: usize) -> Self {
        Self {
            keys: Vec::new(),
            position: vec![ABSENT; communicators + flows],
            first_flow: communicators as u32,
        }
    }

    /// When the first event is due.
    pub(crate) fn next_time(&self) -> Option<Time> {
        self.keys.first().map(|&key| Time::from_picos((key >> 64) as u64))
    }

    /// Sets an event, in place of the one that its owner may have pending.
    #[inline]
    pub(crate) fn set(&mut self, time: Time, event: Event) {
        let (owner, kind) = match event {
            Event::Completion(communicator) => (communicator, 0),
            Event::Arrival(flow) => (self.first_flow + flow, 0),
            Event::Start(communicator) => (communicator, START),
        };
        self.put((u128::from(time.as_picos()) << 64) | kind | u128::from(owner));
    }

    fn put(&mut self, key: u128) {
        let at = self.position[owner(key)];
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
    pub(crate) fn pop_at(&mut self, time: Time) -> Option<Event> {
        let first = *self.keys.first()?;
        if (first >> 64) as u64 != time.as_picos() {
            return None;
        }
        self.position[owner(first)] = ABSENT;
        let last = self.keys.pop()?;
        if !self.keys.is_empty() {
            self.sink(0, last);
        }
        let owner = owner(first) as u32;
        Some(match owner.checked_sub(self.first_flow) {
            Some(flow) => Event::Arrival(flow),
            None if first & START == 0 => Event::Completion(owner),
            None => Event::Start(owner),
        })
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
            let mut queue = Queue::new(12, 8);
            let mut expected = BTreeMap::new();
            for (owner, time, start) in steps {
                if time < 10 {
                    let first = expected.iter().map(|(&owner, &(t, e))| (t, e, owner)).min();
                    prop_assert_eq!(queue.next_time(), first.map(|(t, _, _)| t));
                    if let Some((t, event, owner)) = first {
                        prop_assert_eq!(queue.pop_at(t + Time::from_picos(1)), None);
                        prop_assert_eq!(queue.pop_at(t), Some(event));
                        expected.remove(&owner);
                    }
                } else {
                    let event = match owner.checked_sub(12) {
                        Some(flow) => Event::Arrival(flow),
                        None if start => Event::Start(owner),
                        None => Event::Completion(owner),
                    };
                    queue.set(Time::from_picos(time), event);
                    expected.insert(owner, (Time::from_picos(time), event));
                }
            }
        }
    }
}

//! The event queue: at most one pending event per communicator, flow and rank, earliest first.

use motley_units::Time;

/// What is due. At one instant ends come before starts, so that what ends does not share links with
/// what starts; completions come before arrivals and these before compute, each in the order of
/// numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// The instance of this communicator, which shares no links, is complete.
    Completion(u32),
    /// This flow has moved its bytes.
    Arrival(u32),
    /// This rank has computed what it computed beside calls that slowed it.
    Computed(u32),
    /// The latency of this communicator's instance is over, its bytes begin to flow.
    Start(u32),
}

const ARITY: usize = 4;
const ABSENT: u32 = u32::MAX;

/// An indexed 4-ary heap of (time, event), a total order. An event is moved when its flow's rate
/// changes.
///
/// Communicators and, behind them, flows and ranks are numbered as owners of events. A communicator
/// has a completion or a start pending, or flows under way that have arrivals.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Time in the upper 64 bits, then one bit for starts, then the owner.
    keys: Vec<u128>,
    /// Where in `keys` the event of each owner is.
    position: Vec<u32>,
    /// Owners from here on are flows.
    first_flow: u32,
    /// Owners from here on are ranks.
    first_rank: u32,
}

const START: u128 = 1 << 32;

fn owner(key: u128) -> usize {
    (key & 0xFFFF_FFFF) as usize
}

impl Queue {
    /// An empty queue for communicators `0..communicators`, flows `0..flows` and ranks `0..ranks`.
    pub(crate) fn new(communicators: usize, flows: usize, ranks: usize) -> Self {
        Self {
            keys: Vec::new(),
            position: vec![ABSENT; communicators + flows + ranks],
            first_flow: communicators as u32,
            first_rank: (communicators + flows) as u32,
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
            Event::Computed(rank) => (self.first_rank + rank, 0),
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
        self.remove(0);
        let owner = owner(first) as u32;
        Some(match owner.checked_sub(self.first_flow) {
            Some(_) if owner >= self.first_rank => Event::Computed(owner - self.first_rank),
            Some(flow) => Event::Arrival(flow),
            None if first & START == 0 => Event::Completion(owner),
            None => Event::Start(owner),
        })
    }

    /// Takes back the event that a rank has pending.
    pub(crate) fn cancel(&mut self, rank: u32) {
        let at = self.position[(self.first_rank + rank) as usize];
        if at != ABSENT {
            self.remove(at as usize);
        }
    }

    /// Removes what is at `at`; the last takes its place and moves on from there.
    fn remove(&mut self, at: usize) {
        self.position[owner(self.keys[at])] = ABSENT;
        let Some(last) = self.keys.pop() else { return };
        if at == self.keys.len() {
            return;
        }
        if at > 0 && last < self.keys[(at - 1) / ARITY] {
            self.rise(at, last);
        } else {
            self.sink(at, last);
        }
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
        fn pops_in_total_order(steps in prop::collection::vec((0u32..24, 0u64..50, any::<bool>()), 0..200)) {
            let mut queue = Queue::new(12, 8, 4);
            let mut expected = BTreeMap::new();
            for (owner, time, start) in steps {
                let event = match owner {
                    20.. => Event::Computed(owner - 20),
                    12.. => Event::Arrival(owner - 12),
                    _ if start => Event::Start(owner),
                    _ => Event::Completion(owner),
                };
                match (time, event) {
                    (..5, Event::Computed(rank)) => {
                        queue.cancel(rank);
                        expected.remove(&owner);
                    }
                    (..10, _) => {
                        let first = expected.iter().map(|(&owner, &(t, e))| (t, e, owner)).min();
                        prop_assert_eq!(queue.next_time(), first.map(|(t, _, _)| t));
                        if let Some((t, event, owner)) = first {
                            prop_assert_eq!(queue.pop_at(t + Time::from_picos(1)), None);
                            prop_assert_eq!(queue.pop_at(t), Some(event));
                            expected.remove(&owner);
                        }
                    }
                    _ => {
                        queue.set(Time::from_picos(time), event);
                        expected.insert(owner, (Time::from_picos(time), event));
                    }
                }
            }
        }
    }
}

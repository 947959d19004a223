//! Communication streams: what each rank has issued and not yet completed.

use motley_units::Time;

const NONE: u32 = u32::MAX;

/// A call that a rank has issued on one of its streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Issued {
    /// When the compute stream issued it.
    pub(crate) at: Time,
    /// The communicator.
    pub(crate) communicator: u32,
    /// Which instance of it.
    pub(crate) sequence: u32,
    /// The instruction that issued it.
    pub(crate) instruction: u32,
    next: u32,
}

impl Issued {
    /// A call not yet on a stream.
    pub(crate) fn new(at: Time, communicator: u32, sequence: u32, instruction: u32) -> Self {
        Self { at, communicator, sequence, instruction, next: NONE }
    }
}

/// The queues of all ranks' streams, first in, first out, in one pool.
#[derive(Debug)]
pub(crate) struct Streams {
    /// Per (rank, stream): first and last entry.
    ends: Vec<(u32, u32)>,
    per_rank: usize,
    pool: Vec<Issued>,
    /// Head of the list of unused entries of the pool.
    free: u32,
    pending: usize,
}

impl Streams {
    /// Empty streams, `per_rank` for each of `ranks` ranks.
    pub(crate) fn new(ranks: usize, per_rank: u8) -> Self {
        let per_rank = usize::from(per_rank);
        let ends = vec![(NONE, NONE); ranks * per_rank];
        Self { ends, per_rank, pool: Vec::new(), free: NONE, pending: 0 }
    }

    /// How many streams a rank has.
    pub(crate) fn per_rank(&self) -> usize {
        self.per_rank
    }

    /// How many calls are on all streams together.
    pub(crate) fn pending(&self) -> usize {
        self.pending
    }

    /// The call at the head of a stream.
    pub(crate) fn head(&self, rank: usize, stream: usize) -> Option<&Issued> {
        self.pool.get(self.ends[rank * self.per_rank + stream].0 as usize)
    }

    /// All calls on a stream, head first.
    pub(crate) fn iter(&self, rank: usize, stream: usize) -> impl Iterator<Item = &Issued> {
        let follow = |entry: &&Issued| self.pool.get(entry.next as usize);
        std::iter::successors(self.head(rank, stream), follow)
    }

    /// Appends a call; true if it is at the head at once.
    pub(crate) fn push(&mut self, rank: usize, stream: usize, issued: Issued) -> bool {
        let entry = if self.free == NONE {
            self.pool.push(issued);
            self.pool.len() as u32 - 1
        } else {
            let entry = self.free;
            self.free = self.pool[entry as usize].next;
            self.pool[entry as usize] = issued;
            entry
        };
        self.pending += 1;
        let (head, tail) = &mut self.ends[rank * self.per_rank + stream];
        let first = *head == NONE;
        if first {
            *head = entry;
        } else {
            self.pool[*tail as usize].next = entry;
        }
        *tail = entry;
        first
    }

    /// Removes the head of a stream that has one.
    pub(crate) fn pop(&mut self, rank: usize, stream: usize) {
        let head = &mut self.ends[rank * self.per_rank + stream].0;
        let entry = *head as usize;
        *head = self.pool[entry].next;
        self.pool[entry].next = self.free;
        self.free = entry as u32;
        self.pending -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_queues_of_their_own() {
        let mut streams = Streams::new(2, 2);
        let issue = |n| Issued::new(Time::ZERO, n, 0, 0);
        assert!(streams.push(1, 0, issue(1)));
        assert!(!streams.push(1, 0, issue(2)));
        assert!(streams.push(1, 1, issue(3)));
        assert!(streams.head(0, 0).is_none() && streams.head(0, 1).is_none());
        streams.pop(1, 0);
        assert!(!streams.push(1, 1, issue(4)));
        assert!(!streams.push(1, 0, issue(5)));
        let on =
            |s: &Streams, stream| s.iter(1, stream).map(|i| i.communicator).collect::<Vec<_>>();
        assert_eq!((on(&streams, 0), on(&streams, 1)), (vec![2, 5], vec![3, 4]));
        assert_eq!((streams.pending(), streams.pool.len()), (4, 4));
    }
}

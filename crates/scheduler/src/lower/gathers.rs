//! When a rank gathers the parameters that it holds shares of.
//!
//! Under ZeRO 3 each layer's parameters are gathered before it runs, some layers ahead of the one that
//! runs; what is needed twice in a row is not gathered again. Under ZeRO 1 and 2 all are gathered once,
//! in the order of the forward pass.

use std::collections::VecDeque;

use super::buckets::BucketId;
use super::gradients::Item;
use super::shape::StageShape;
use crate::zero::Sharded;

/// A gather by group, and the how-many-th of its group.
type Gather = (usize, u32);

/// The gathers of a rank, in the order in which they are issued.
pub(super) struct Gathers<'a> {
    shape: &'a StageShape,
    /// What has yet to be gathered, in the order in which it is needed.
    needs: VecDeque<Item>,
    /// What is under way or there: items and the gathers that they need.
    begun: VecDeque<(Item, Vec<Gather>)>,
    /// By group, how many have been issued.
    issued: Vec<u32>,
    /// What has been waited for last, and is still there.
    held: Option<Item>,
    /// What the program has asked for so far.
    asked: Vec<Item>,
}

/// What an item's parameters take.
pub(super) struct Needed {
    /// Gathers to issue.
    pub begun: Vec<BucketId>,
    /// Gathers to wait for.
    pub awaited: Vec<Gather>,
}

impl<'a> Gathers<'a> {
    pub(super) fn new(shape: &'a StageShape) -> Self {
        let issued = vec![0; shape.gradients.len()];
        let (needs, begun) = (VecDeque::new(), VecDeque::new());
        Self { shape, needs, begun, issued, held: None, asked: Vec::new() }
    }

    /// What the program has asked for, in order.
    pub(super) fn asked(self) -> Vec<Item> {
        self.asked
    }

    /// Everything, in the order of the forward pass.
    pub(super) fn all(&self) -> Vec<BucketId> {
        let mut all: Vec<(Item, BucketId)> = Vec::new();
        for (g, group) in self.shape.gradients.iter().enumerate().filter(|(_, group)| group.shared)
        {
            let buckets = group.buckets.iter().enumerate();
            all.extend(buckets.filter_map(|(b, bucket)| Some((*bucket.items.last()?, (g, b)))));
        }
        all.sort_by_key(|&(item, (g, _))| (item, g));
        all.into_iter().map(|(_, bucket)| bucket).collect()
    }

    /// The program begins: `items` are needed one after the other. What is to be issued at once.
    pub(super) fn begin(&mut self, items: Vec<Item>) -> Vec<BucketId> {
        match self.shape.sharded {
            Sharded::Parameters { prefetch, .. } => {
                let mut needs = items;
                needs.retain(|item| !self.buckets_of(*item).is_empty());
                needs.dedup();
                self.needs = needs.into();
                (0..prefetch).flat_map(|_| self.issue_next()).collect()
            }
            _ if self.shape.gathers_forward() => {
                let all = self.all();
                for &(group, bucket) in &all {
                    let gather = self.count(group);
                    for &item in self.shape.gradients[group].buckets[bucket].items.iter().rev() {
                        match self.begun.iter_mut().find(|(known, _)| *known == item) {
                            Some((_, gathers)) => gathers.push(gather),
                            None => self.begun.push_back((item, vec![gather])),
                        }
                    }
                }
                all
            }
            _ => Vec::new(),
        }
    }

    /// The program needs an item; nothing if its parameters are there.
    pub(super) fn need(&mut self, item: Item) -> Option<Needed> {
        self.asked.push(item);
        if let Sharded::Parameters { .. } = self.shape.sharded {
            if self.held == Some(item) || self.buckets_of(item).is_empty() {
                return None;
            }
            let begun = self.issue_next();
            self.held = Some(item);
            let (_, awaited) = self.begun.pop_front()?;
            return Some(Needed { begun, awaited });
        }
        let place = self.begun.iter().position(|(known, _)| *known == item)?;
        let (_, awaited) = self.begun.remove(place)?;
        Some(Needed { begun: Vec::new(), awaited })
    }

    /// Issues the gathers of what is needed next of what has not been issued.
    fn issue_next(&mut self) -> Vec<BucketId> {
        let Some(item) = self.needs.pop_front() else { return Vec::new() };
        let buckets = self.buckets_of(item);
        let gathers = buckets.iter().map(|&(group, _)| self.count(group)).collect();
        self.begun.push_back((item, gathers));
        buckets
    }

    fn count(&mut self, group: usize) -> Gather {
        self.issued[group] += 1;
        (group, self.issued[group] - 1)
    }

    /// The buckets with an item that the rank holds only shares of.
    fn buckets_of(&self, item: Item) -> Vec<BucketId> {
        let groups = self.shape.gradients.iter().enumerate().filter(|(_, group)| group.shared);
        groups
            .flat_map(|(g, group)| {
                let with = group.buckets.iter().enumerate();
                with.filter(move |(_, bucket)| bucket.items.contains(&item))
                    .map(move |(b, _)| (g, b))
            })
            .collect()
    }
}

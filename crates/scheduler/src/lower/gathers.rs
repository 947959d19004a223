//! When a rank fetches parameters that lie elsewhere: shares on other ranks, or in the host's memory.
//!
//! Under ZeRO 3, and where parameters are offloaded, each layer's are fetched before it runs, some
//! layers ahead of the one that runs; what is needed twice in a row is not fetched again. Under ZeRO 1
//! and 2 all are gathered once, in the order of the forward pass.

use std::collections::{BTreeMap, VecDeque};

use super::buckets::BucketId;
use super::gradients::Item;
use super::shape::StageShape;
use crate::zero::Sharded;

/// Where parameters come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fetch {
    /// The host's memory, by the number of the call.
    Copy(u16),
    /// The ranks that share a bucket.
    Gather(BucketId),
}

/// What a rank waits for: the how-many-th copy, or gather of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fetched {
    Copy(u32),
    Gather { group: usize, sequence: u32 },
}

/// The fetches of a rank, in the order in which they are issued.
pub(super) struct Gathers<'a> {
    shape: &'a StageShape,
    /// Of parameters in the host's memory, the call that brings each item.
    copies: &'a BTreeMap<Item, u16>,
    /// What has yet to be fetched, in the order in which it is needed.
    needs: VecDeque<Item>,
    /// What is under way or there: items and what they need.
    begun: VecDeque<(Item, Vec<Fetched>)>,
    /// By group, how many gathers have been issued.
    gathered: Vec<u32>,
    /// How many copies have been issued.
    copied: u32,
    /// What has been waited for last, and is still there.
    held: Option<Item>,
}

/// What an item's parameters take.
pub(super) struct Needed {
    /// To issue.
    pub begun: Vec<Fetch>,
    /// To wait for.
    pub awaited: Vec<Fetched>,
}

impl<'a> Gathers<'a> {
    pub(super) fn new(shape: &'a StageShape, copies: &'a BTreeMap<Item, u16>) -> Self {
        Self {
            shape,
            copies,
            needs: VecDeque::new(),
            begun: VecDeque::new(),
            gathered: vec![0; shape.gradients.len()],
            copied: 0,
            held: None,
        }
    }

    /// Layers that are fetched ahead, if parameters are fetched layer by layer.
    fn prefetch(&self) -> Option<u32> {
        match self.shape.sharded {
            Sharded::Parameters { prefetch, .. } => Some(prefetch),
            _ => self.shape.offload.parameters.then_some(1),
        }
    }

    /// Every bucket, in the order of the forward pass.
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
    pub(super) fn begin(&mut self, items: impl Iterator<Item = Item>) -> Vec<Fetch> {
        if let Some(prefetch) = self.prefetch() {
            let mut needs: Vec<Item> =
                items.filter(|item| !self.sources_of(*item).is_empty()).collect();
            needs.dedup();
            self.needs = needs.into();
            return (0..prefetch).flat_map(|_| self.issue_next()).collect();
        }
        if !self.shape.gathers_forward() {
            return Vec::new();
        }
        let all = self.all();
        for &(group, bucket) in &all {
            let gather = self.count(Fetch::Gather((group, bucket)));
            for &item in self.shape.gradients[group].buckets[bucket].items.iter().rev() {
                match self.begun.iter_mut().find(|(known, _)| *known == item) {
                    Some((_, gathers)) => gathers.push(gather),
                    None => self.begun.push_back((item, vec![gather])),
                }
            }
        }
        all.into_iter().map(Fetch::Gather).collect()
    }

    /// The program needs an item; nothing if its parameters are there.
    pub(super) fn need(&mut self, item: Item) -> Option<Needed> {
        if self.prefetch().is_some() {
            if self.held == Some(item) || self.sources_of(item).is_empty() {
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

    /// Issues what is needed next of what has not been issued.
    fn issue_next(&mut self) -> Vec<Fetch> {
        let Some(item) = self.needs.pop_front() else { return Vec::new() };
        let sources = self.sources_of(item);
        let mut fetched: Vec<Fetched> = sources.iter().map(|&source| self.count(source)).collect();
        // One stream carries both, so that what has been gathered has been copied.
        if fetched.iter().any(|fetched| matches!(fetched, Fetched::Gather { .. })) {
            fetched.retain(|fetched| matches!(fetched, Fetched::Gather { .. }));
        }
        self.begun.push_back((item, fetched));
        sources
    }

    fn count(&mut self, fetch: Fetch) -> Fetched {
        match fetch {
            Fetch::Copy(_) => {
                self.copied += 1;
                Fetched::Copy(self.copied - 1)
            }
            Fetch::Gather((group, _)) => {
                self.gathered[group] += 1;
                Fetched::Gather { group, sequence: self.gathered[group] - 1 }
            }
        }
    }

    /// Where an item's parameters come from, in the order of the fetches.
    fn sources_of(&self, item: Item) -> Vec<Fetch> {
        let copy = self.copies.get(&item).copied().map(Fetch::Copy);
        let whole = matches!(self.shape.sharded, Sharded::Parameters { .. });
        let groups = self.shape.gradients.iter().enumerate();
        let gathers = groups.filter(|(_, group)| group.shared && whole).flat_map(|(g, group)| {
            let with = group.buckets.iter().enumerate();
            with.filter(move |(_, bucket)| bucket.items.contains(&item))
                .map(move |(b, _)| Fetch::Gather((g, b)))
        });
        copy.into_iter().chain(gathers).collect()
    }
}

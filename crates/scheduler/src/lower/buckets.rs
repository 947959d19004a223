//! Which gradient buckets a rank issues when.
//!
//! All ranks issue the buckets of all their groups in one order, that of the lowest item in each,
//! descending, and no bucket before those in front of it: whatever the order in which gradients get
//! ready, ranks that share groups never wait for each other.

use std::collections::BTreeMap;

use super::gradients::Item;
use super::shape::StageShape;

/// A bucket by its place in the shape: group and number in the group.
pub(super) type BucketId = (usize, usize);

/// The buckets of a rank that are still to be issued.
pub(super) struct Buckets<'a> {
    /// In the order of their issue.
    queue: Vec<(BucketId, &'a [Item])>,
    issued: usize,
    /// By group, how many have been issued; under ZeRO again for each micro-batch.
    issued_of: Vec<u32>,
    /// How many chunks have yet to contribute to the gradients of an item.
    missing: BTreeMap<Item, u32>,
}

impl<'a> Buckets<'a> {
    pub(super) fn new(shape: &'a StageShape, model_layers: u32) -> Self {
        let mut queue: Vec<(BucketId, &[Item])> = Vec::new();
        for (g, group) in shape.gradients.iter().enumerate() {
            let trained = group.buckets.iter().enumerate().filter(|(_, bucket)| bucket.trained);
            queue.extend(trained.map(|(b, bucket)| ((g, b), &bucket.items[..])));
        }
        queue.sort_by_key(|(_, items)| std::cmp::Reverse(items.last().copied()));
        let mut missing = BTreeMap::new();
        for chunk in &shape.chunks {
            for item in chunk.items(model_layers) {
                *missing.entry(item).or_insert(0) += 1;
            }
        }
        Self { queue, issued: 0, issued_of: vec![0; shape.gradients.len()], missing }
    }

    /// A chunk has contributed all that it has to an item's gradients: the buckets that can be
    /// issued now.
    pub(super) fn contributed(&mut self, item: Item) -> Vec<BucketId> {
        if let Some(missing) = self.missing.get_mut(&item) {
            *missing = missing.saturating_sub(1);
        }
        let mut ready = Vec::new();
        while let Some(&(bucket, items)) = self.queue.get(self.issued)
            && items.iter().all(|item| self.missing.get(item).is_none_or(|&missing| missing == 0))
        {
            ready.push(bucket);
            self.issued += 1;
            self.issued_of[bucket.0] += 1;
        }
        ready
    }

    /// The buckets that end with an item, once more: where every micro-batch's gradients are reduced.
    pub(super) fn ending_with(&mut self, item: Item) -> Vec<BucketId> {
        let ends = self.queue.iter().filter(|(_, items)| items.last() == Some(&item));
        let ready: Vec<BucketId> = ends.map(|&(bucket, _)| bucket).collect();
        for (group, _) in &ready {
            self.issued_of[*group] += 1;
        }
        ready
    }

    /// How many buckets of a group have been issued.
    pub(super) fn issued_of(&self, group: usize) -> u32 {
        self.issued_of[group]
    }

    /// All buckets that are left.
    pub(super) fn rest(&mut self) -> Vec<BucketId> {
        let rest: Vec<BucketId> =
            self.queue[self.issued..].iter().map(|&(bucket, _)| bucket).collect();
        self.issued = self.queue.len();
        for (group, _) in &rest {
            self.issued_of[*group] += 1;
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use motley_workload::{Recompute, Shard};

    use super::super::shape::{BucketShape, ChunkShape, GradientShape, NormShape};
    use super::super::states::States;
    use super::*;
    use crate::plan::Offload;
    use crate::zero::Sharded;

    fn shape(chunks: &[(u32, u32)], groups: &[&[&[Item]]]) -> StageShape {
        let chunk = |&(first_layer, layers): &(u32, u32)| ChunkShape {
            first_layer,
            layers,
            embedding: false,
            head: false,
            receives: true,
            sends: true,
        };
        let bucket = |items: &&[Item]| BucketShape { items: items.to_vec(), trained: true };
        let group = |buckets: &&[&[Item]]| GradientShape {
            shards: 1,
            buckets: buckets.iter().map(bucket).collect(),
            shared: false,
            scattered: false,
            replicated: false,
        };
        StageShape {
            shard: Shard::new(1, false, 1),
            overlap_weight_gradient: false,
            overlap_tensor: false,
            scatter_gather: true,
            sends_after: None,
            recompute: Recompute::None,
            chunks: chunks.iter().map(chunk).collect(),
            routes: 1,
            element_bytes: 2,
            dispatch: None,
            gradients: groups.iter().map(group).collect(),
            overlap_gradients: true,
            sharded: Sharded::Nothing,
            embedding_shards: 0,
            norm: NormShape::Alone,
            states: States::default(),
            offload: Offload::default(),
            ranks_on_node: 1,
            quantised_parameters: 0.0,
            communicators: [0, 0],
            reshard_bytes: 0.0,
        }
    }

    #[test]
    fn buckets_leave_in_one_order_when_all_their_items_are_there() {
        // Layers 0 to 2 and 8 to 10 in two chunks; items are one higher.
        let shape = shape(&[(0, 3), (8, 3)], &[&[&[11, 10], &[3]], &[&[9, 2], &[1]]]);
        let mut buckets = Buckets::new(&shape, 12);
        assert!(buckets.contributed(3).is_empty(), "others come first");
        assert!(buckets.contributed(11).is_empty());
        assert_eq!(buckets.contributed(10), [(0, 0), (0, 1)]);
        assert!(buckets.contributed(1).is_empty() && buckets.contributed(9).is_empty());
        assert_eq!(buckets.contributed(2), [(1, 0), (1, 1)]);
        assert!(buckets.rest().is_empty());
    }

    #[test]
    fn an_item_in_two_chunks_waits_for_both() {
        let shape = shape(&[(4, 2), (4, 2)], &[&[&[6, 5]]]);
        let mut buckets = Buckets::new(&shape, 12);
        for item in [6, 5, 6] {
            assert!(buckets.contributed(item).is_empty());
        }
        assert_eq!(buckets.contributed(5), [(0, 0)]);
    }
}

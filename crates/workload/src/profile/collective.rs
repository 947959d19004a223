//! Measured times of collectives.

use motley_units::{Bytes, Seconds};
use serde::{Deserialize, Serialize};

/// The measured time of one collective at one size, when nothing else moves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfiledCollective {
    /// What it computes.
    pub collective: ProfiledCollectiveKind,
    /// Where its ranks are.
    pub members: Vec<ProfiledNodes>,
    /// Its size as nccl-tests counts: of the full buffer where parts are gathered or reduced, of what one
    /// rank sends in all (its own part included) where ranks exchange.
    pub bytes: Bytes,
    /// From the moment at which the last rank joined.
    pub time: Seconds,
}

/// What a collective computes, of those that nccl-tests measures and plans use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ProfiledCollectiveKind {
    /// `all_reduce_perf`.
    AllReduce,
    /// `all_gather_perf`.
    AllGather,
    /// `reduce_scatter_perf`.
    ReduceScatter,
    /// `broadcast_perf`.
    Broadcast,
    /// `alltoall_perf`.
    AllToAll,
    /// `sendrecv_perf`: every rank sends to the next, the last to the first.
    Shift,
}

/// Some nodes of a communicator that are alike, each with so many of its ranks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfiledNodes {
    /// The catalogue id of the card.
    pub card: String,
    /// The catalogue id of the node design; any design with this card unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub design: Option<String>,
    /// How many nodes.
    #[serde(default = "one")]
    pub nodes: u32,
    /// Ranks on each of them.
    pub ranks_per_node: u32,
}

fn one() -> u32 {
    1
}

impl ProfiledCollective {
    /// What it is a time of: equal collectives of equal size, and only these, have equal keys.
    pub fn key(&self) -> String {
        let members = ProfiledNodes::merged(&self.members);
        format!("{:?} {members:?} {:?}", self.collective, self.bytes.0)
    }
}

impl ProfiledNodes {
    /// The same nodes, alike ones together, in a fixed order.
    pub fn merged(members: &[Self]) -> Vec<Self> {
        let mut sorted = members.to_vec();
        sorted.sort_unstable();
        let mut merged: Vec<Self> = Vec::with_capacity(sorted.len());
        for next in sorted {
            match merged.last_mut() {
                Some(last) if (Self { nodes: last.nodes, ..next.clone() }) == *last => {
                    last.nodes = last.nodes.saturating_add(next.nodes);
                }
                _ => merged.push(next),
            }
        }
        merged
    }

    /// Whether `members` describe a communicator that lies on `nodes`, of which each entry says its
    /// design.
    pub fn describe(members: &[Self], nodes: &[Self]) -> bool {
        let mut left: Vec<u32> = nodes.iter().map(|of| of.nodes).collect();
        // First those that name a design: the others take any node that is left.
        let named = members.iter().filter(|entry| entry.design.is_some());
        for entry in named.chain(members.iter().filter(|entry| entry.design.is_none())) {
            let mut wanted = entry.nodes;
            for (left, of) in left.iter_mut().zip(nodes) {
                let alike = entry.card == of.card && entry.ranks_per_node == of.ranks_per_node;
                if alike && (entry.design.is_none() || entry.design == of.design) {
                    let taken = wanted.min(*left);
                    wanted -= taken;
                    *left -= taken;
                }
            }
            if wanted > 0 {
                return false;
            }
        }
        left.iter().all(|&left| left == 0)
    }
}

/// Where a size lies among those that were measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Below the smallest.
    Below,
    /// At or between them.
    Within,
    /// Beyond the largest.
    Beyond,
}

/// The measured times of one collective in one communicator, over its size.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectiveCurve {
    /// Bytes and seconds, by ascending bytes; at least one.
    points: Vec<(f64, f64)>,
}

impl CollectiveCurve {
    /// Through points in any order, all above zero; `None` without any.
    pub fn new(points: impl IntoIterator<Item = (Bytes, Seconds)>) -> Option<Self> {
        let mut points: Vec<(f64, f64)> =
            points.into_iter().map(|(bytes, time)| (bytes.0, time.0)).collect();
        points.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        (!points.is_empty()).then_some(Self { points })
    }

    /// How long a collective of this size takes: between two points a straight line through them on
    /// logarithmic axes; below the smallest its time, which is all latency; beyond the largest its
    /// bandwidth.
    pub fn time(&self, bytes: f64) -> Seconds {
        let above = self.points.partition_point(|&(size, _)| size < bytes);
        let Some(&(size, time)) = self.points.get(above) else {
            let (size, time) = self.points[self.points.len() - 1];
            return Seconds(time * (bytes / size));
        };
        if above == 0 || size <= bytes {
            return Seconds(time);
        }
        let (size_before, time_before) = self.points[above - 1];
        let way = (bytes / size_before).ln() / (size / size_before).ln();
        Seconds(time_before * (time / time_before).powf(way))
    }

    /// Where a size lies among those that were measured.
    pub fn reach(&self, bytes: f64) -> Reach {
        let (smallest, largest) = (self.points[0].0, self.points[self.points.len() - 1].0);
        if bytes < smallest {
            Reach::Below
        } else if bytes > largest {
            Reach::Beyond
        } else {
            Reach::Within
        }
    }
}

//! How much of a shard each rank takes where its states are shared out.

use std::collections::BTreeMap;

use motley_job::RankId;

use super::gradients::GradientGroup;
use crate::zero::{Shares, Zero};

/// What the ranks of a gradient group take of their shards.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Portions {
    /// All of them as much.
    Equal(f64),
    /// By rank.
    Unlike(BTreeMap<RankId, f64>),
}

impl Portions {
    /// What the ranks of `group` take under `zero`; `memory` is that of a rank's card. A copy takes as
    /// much as its smallest card allows, and those that share one take all of it together.
    pub(super) fn new(zero: Zero, group: &GradientGroup, memory: impl Fn(RankId) -> f64) -> Self {
        let sharing = group.sharing(zero.group);
        if zero.shares == Shares::Equal {
            return Self::Equal(1.0 / sharing as f64);
        }
        let smallest =
            |ranks: &[RankId]| ranks.iter().map(|&rank| memory(rank)).fold(f64::INFINITY, f64::min);
        let mut by_rank = BTreeMap::new();
        for sharers in group.copies.chunks(sharing) {
            let weights: Vec<f64> = sharers.iter().map(|copy| smallest(&copy.ranks)).collect();
            let all: f64 = weights.iter().sum();
            for (copy, weight) in sharers.iter().zip(weights) {
                by_rank.extend(copy.ranks.iter().map(|&rank| (rank, weight / all)));
            }
        }
        Self::Unlike(by_rank)
    }

    /// What a rank takes.
    pub(super) fn of(&self, rank: RankId) -> f64 {
        match self {
            Self::Equal(portion) => *portion,
            Self::Unlike(by_rank) => by_rank.get(&rank).copied().unwrap_or(0.0),
        }
    }
}

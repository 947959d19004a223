//! Matrices of a layer: the one list from which parameters, FLOPs and products follow.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul};

use serde::{Deserialize, Serialize};

use crate::Shard;

/// Projections of a transformer layer that adapters can be attached to, as model code names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Projection {
    /// Queries; of latent attention, the expansion of the query's latent.
    Query,
    /// Keys; of latent attention, the expansion of the latent into keys and values.
    Key,
    /// Values; of latent attention, as `Key`.
    Value,
    /// The attention's output.
    Output,
    /// The gate of a gated feed-forward layer.
    Gate,
    /// The first product of a feed-forward layer.
    Up,
    /// The second product of a feed-forward layer.
    Down,
}

/// How tensor-parallel ranks share a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Split {
    /// By its outputs.
    Columns,
    /// By its inputs.
    Rows,
    /// Not at all: every rank holds the whole.
    Whole,
}

/// A matrix, or as many as there are experts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Weight {
    /// What adapters call it.
    pub(crate) projection: Option<Projection>,
    pub(crate) inputs: u64,
    pub(crate) outputs: u64,
    pub(crate) split: Split,
    pub(crate) bias: bool,
    /// Its products are never quantised.
    pub(crate) unquantised: bool,
    /// Of a bank of experts: how many there are, and how many a token visits.
    pub(crate) experts: Option<(u32, u32)>,
    /// What it multiplies.
    pub(crate) rows: WeightRows,
}

/// What a matrix multiplies of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum WeightRows {
    /// The layer's own stream.
    Stream,
    /// The encoder's output.
    Source,
    /// So many pixels.
    Pixels(u64),
}

impl Weight {
    pub(crate) fn columns(inputs: u64, outputs: u64, bias: bool) -> Self {
        Self {
            projection: None,
            inputs,
            outputs,
            split: Split::Columns,
            bias,
            unquantised: false,
            experts: None,
            rows: WeightRows::Stream,
        }
    }

    pub(crate) fn rows(inputs: u64, outputs: u64, bias: bool) -> Self {
        Self { split: Split::Rows, ..Self::columns(inputs, outputs, bias) }
    }

    pub(crate) fn whole(inputs: u64, outputs: u64, bias: bool) -> Self {
        Self { split: Split::Whole, ..Self::columns(inputs, outputs, bias) }
    }

    pub(crate) fn named(self, projection: Projection) -> Self {
        Self { projection: Some(projection), ..self }
    }

    /// The same, multiplied as it is stored also where linear layers are quantised.
    pub(crate) fn never_quantised(self) -> Self {
        Self { unquantised: true, ..self }
    }

    pub(crate) fn of_source(self) -> Self {
        Self { rows: WeightRows::Source, ..self }
    }

    /// A matrix of feature maps: these layers are never quantised.
    pub(crate) fn of_pixels(self, pixels: u64) -> Self {
        Self { rows: WeightRows::Pixels(pixels), ..self.never_quantised() }
    }

    /// The same matrix of each of `count` experts. These have no adapters.
    pub(crate) fn of_experts(self, count: u32, visited: u32) -> Self {
        Self { experts: Some((count, visited)), projection: None, ..self }
    }

    /// Elements of one matrix.
    pub(crate) fn elements(&self) -> f64 {
        self.inputs as f64 * self.outputs as f64
    }

    fn of_one(&self) -> f64 {
        self.elements() + if self.bias { self.outputs as f64 } else { 0.0 }
    }

    /// Parameters, of all experts together.
    pub(crate) fn parameters(&self) -> ParameterCount {
        match self.experts {
            None => ParameterCount::dense(self.of_one()),
            Some((count, _)) => {
                ParameterCount { dense: 0.0, experts: f64::from(count) * self.of_one() }
            }
        }
    }

    /// Elements that quantised products multiply, of all experts together.
    pub(crate) fn quantised(&self) -> ParameterCount {
        match self.experts {
            _ if self.unquantised => ParameterCount::default(),
            None => ParameterCount::dense(self.elements()),
            Some((count, _)) => {
                ParameterCount { dense: 0.0, experts: f64::from(count) * self.elements() }
            }
        }
    }

    /// Parameters that one token meets.
    pub(crate) fn active_parameters(&self) -> f64 {
        self.of_one() * self.visits()
    }

    /// Products for each token: one, or as many as it visits experts.
    pub(crate) fn visits(&self) -> f64 {
        self.experts.map_or(1.0, |(_, visited)| f64::from(visited))
    }
}

/// Parameters by who shares them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ParameterCount {
    /// Shared out over the ranks of a tensor-parallel group.
    pub dense: f64,
    /// Of experts: shared out over expert-parallel ranks, and each expert over the ranks that
    /// split it.
    pub experts: f64,
}

impl ParameterCount {
    /// Parameters outside of experts.
    pub fn dense(dense: f64) -> Self {
        Self { dense, experts: 0.0 }
    }

    /// All of them.
    pub fn total(self) -> f64 {
        self.dense + self.experts
    }

    /// What one rank holds. What tensor ranks hold whole (norms, routers) counts as split.
    pub fn per_rank(self, shard: &Shard) -> f64 {
        self.dense / f64::from(shard.tensor_parallel.max(1))
            + self.experts / f64::from(shard.expert_ranks())
    }
}

impl Add for ParameterCount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { dense: self.dense + other.dense, experts: self.experts + other.experts }
    }
}

impl AddAssign for ParameterCount {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Mul<f64> for ParameterCount {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self { dense: self.dense * factor, experts: self.experts * factor }
    }
}

impl Sum for ParameterCount {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

//! What the passes of a pipeline take and hold: what automatic schedules are made from.

use motley_units::Time;

use super::placement::{Placement, Position};
use super::step::{Pass, Step, Turn};

/// The costs of one model chunk's passes with one micro-batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ChunkCosts {
    /// T_F: time of the forward pass.
    pub forward: Time,
    /// T_B: time of the input gradient.
    pub input_gradient: Time,
    /// T_W: time of the weight gradients.
    pub weight_gradient: Time,
    /// M_B: what is kept from the forward pass on, bytes (or any other unit, the same everywhere).
    pub kept: f64,
    /// M_W: what is kept from the input gradient on until the weight gradients are computed.
    pub deferred: f64,
}

impl ChunkCosts {
    /// The time of a pass.
    pub fn time(&self, pass: Pass) -> Time {
        match pass {
            Pass::Forward => self.forward,
            Pass::Backward => self.input_gradient + self.weight_gradient,
            Pass::InputGradient => self.input_gradient,
            Pass::WeightGradient => self.weight_gradient,
        }
    }

    /// By how much a pass changes what is held.
    pub fn change(&self, pass: Pass) -> f64 {
        match pass {
            Pass::Forward => self.kept,
            Pass::Backward => -self.kept,
            Pass::InputGradient => self.deferred - self.kept,
            Pass::WeightGradient => -self.deferred,
        }
    }
}

/// The costs of one stage.
#[derive(Clone, Debug, PartialEq)]
pub struct StageCosts {
    /// By chunk.
    pub chunks: Vec<ChunkCosts>,
    /// What the stage may hold, in the unit of [`ChunkCosts::kept`].
    pub limit: f64,
}

impl StageCosts {
    /// What one micro-batch in all chunks of the stage keeps.
    pub fn micro_batch(&self) -> f64 {
        self.chunks.iter().map(|chunk| chunk.kept).sum()
    }

    /// The least limit under which the stage gets anything done: one micro-batch in each chunk,
    /// at its fullest.
    pub fn least_limit(&self) -> f64 {
        self.chunks.iter().map(|chunk| chunk.kept.max(chunk.deferred)).sum()
    }
}

/// The costs of a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    /// By stage.
    pub stages: Vec<StageCosts>,
    /// By route and place: the time of sending activations to the next place; zero to the same
    /// stage.
    pub forward_hops: Vec<Vec<Time>>,
    /// By route and place: the time of sending gradients from the next place to this one.
    pub backward_hops: Vec<Vec<Time>>,
    /// Time of two overlapped passes as a share of the sum of their times: 1 if nothing is hidden.
    pub overlapped: f64,
}

impl Costs {
    /// Equal stages with free transfers; a micro-batch keeps 1 in a stage, and `deferred` between
    /// input and weight gradients. Times are those of a whole stage, over all chunks; the limit is
    /// `limit` micro-batches.
    pub fn uniform(
        placement: &Placement,
        [forward, input_gradient, weight_gradient]: [Time; 3],
        deferred: f64,
        limit: f64,
    ) -> Self {
        let chunks = placement.chunks();
        // A stage of a bidirectional placement holds a whole stage in each of its chunks.
        let parts = u64::from(chunks) / placement.routes().len() as u64;
        let share = |time: Time| Time::from_picos(time.as_picos() / parts);
        let chunk = ChunkCosts {
            forward: share(forward),
            input_gradient: share(input_gradient),
            weight_gradient: share(weight_gradient),
            kept: 1.0 / parts as f64,
            deferred: deferred / parts as f64,
        };
        let stage = StageCosts { chunks: vec![chunk; chunks as usize], limit };
        let hops = |route: &Vec<Position>| vec![Time::ZERO; route.len() - 1];
        Self {
            stages: vec![stage; placement.stages() as usize],
            forward_hops: placement.routes().iter().map(hops).collect(),
            backward_hops: placement.routes().iter().map(hops).collect(),
            overlapped: 1.0,
        }
    }

    /// Of two pipelines of one shape, what the slower and fuller one takes for each pass and hop.
    pub(crate) fn slower(mut self, other: Self) -> Self {
        for (stage, others) in self.stages.iter_mut().zip(other.stages) {
            for (chunk, other) in stage.chunks.iter_mut().zip(others.chunks) {
                *chunk = ChunkCosts {
                    forward: chunk.forward.max(other.forward),
                    input_gradient: chunk.input_gradient.max(other.input_gradient),
                    weight_gradient: chunk.weight_gradient.max(other.weight_gradient),
                    kept: chunk.kept.max(other.kept),
                    deferred: chunk.deferred.max(other.deferred),
                };
            }
            stage.limit = stage.limit.min(others.limit).max(stage.least_limit());
        }
        let hops = |own: &mut [Vec<Time>], others: Vec<Vec<Time>>| {
            for (own, other) in own.iter_mut().flatten().zip(others.into_iter().flatten()) {
                *own = (*own).max(other);
            }
        };
        hops(&mut self.forward_hops, other.forward_hops);
        hops(&mut self.backward_hops, other.backward_hops);
        self
    }

    /// The costs of a stage's chunk.
    pub fn chunk(&self, position: Position) -> &ChunkCosts {
        &self.stages[position.stage as usize].chunks[position.chunk as usize]
    }

    /// The time of a pass on a stage.
    pub(super) fn time(&self, stage: u32, step: Step) -> Time {
        self.chunk(Position { stage, chunk: step.chunk }).time(step.pass)
    }

    /// The time of a turn of a stage.
    pub(super) fn turn(&self, stage: u32, turn: Turn) -> Time {
        let sum: Time = turn.steps().map(|step| self.time(stage, step)).sum();
        match turn {
            Turn::Alone(_) => sum,
            Turn::Overlapped { .. } => sum.scale(self.overlapped),
        }
    }
}

//! The memory of a card over an iteration: before, in and after each pass, and in the optimizer step.

use motley_units::Bytes;
use motley_workload::MemoryUse;

use crate::schedule::{Pass, Step, Turn, steps};

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// The memory of a card over an iteration, whatever the order of its passes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemoryCourse {
    /// Between passes, with no micro-batch in flight.
    pub idle: MemoryUse,
    /// At the fullest moment of the optimizer step.
    pub step: MemoryUse,
    /// By model chunk.
    pub chunks: Vec<ChunkCourse>,
}

/// What the passes of one model chunk take up, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ChunkCourse {
    /// Activations of a micro-batch from its forward pass on.
    pub kept: f64,
    /// Activations of a micro-batch from its input gradient on until its weight gradients.
    pub deferred: f64,
    /// By pass, in the order of [`Pass`].
    pub fullest: [Fullest; 4],
}

/// The fullest moment of a pass, against what the card holds before it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fullest {
    /// Activations that have been taken up less those that have been let go of.
    pub activations: f64,
    /// Gradients that autograd has left.
    pub gradients: f64,
    /// What passes.
    pub passing: f64,
}

impl Fullest {
    /// All of it.
    pub(crate) fn total(self) -> f64 {
        self.activations + self.gradients + self.passing
    }
}

/// A moment of an iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// In a pass.
    Pass(Step),
    /// In the optimizer step.
    OptimizerStep,
}

/// The memory of a card around one pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PassMemory {
    /// The pass.
    pub step: Step,
    /// When it begins.
    pub before: MemoryUse,
    /// At its fullest moment.
    pub fullest: MemoryUse,
    /// When it is over.
    pub after: MemoryUse,
}

impl MemoryCourse {
    /// Pass by pass through an order.
    pub fn walk<'a>(&'a self, order: &'a [Turn]) -> impl Iterator<Item = PassMemory> + 'a {
        let mut held = 0.0;
        steps(order).map(move |step| {
            let chunk = &self.chunks[step.chunk as usize];
            let before = self.idle.with(held, 0.0, 0.0);
            let fullest = chunk.fullest[step.pass as usize];
            let at_most =
                self.idle.with(held + fullest.activations, fullest.gradients, fullest.passing);
            held += chunk.change(step.pass);
            PassMemory { step, before, fullest: at_most, after: self.idle.with(held, 0.0, 0.0) }
        })
    }

    /// The fullest moment of an iteration.
    pub fn peak(&self, order: &[Turn]) -> (Moment, MemoryUse) {
        let mut peak = (Moment::OptimizerStep, self.step);
        for pass in self.walk(order) {
            if pass.fullest.total().0 > peak.1.total().0 {
                peak = (Moment::Pass(pass.step), pass.fullest);
            }
        }
        peak
    }

    /// The most that any pass needs beside the activations that its order makes it hold.
    pub(crate) fn largest_passing(&self) -> f64 {
        let beside = |chunk: &ChunkCourse| {
            let passes = chunk.fullest.iter().enumerate().map(|(pass, fullest)| {
                let held = if pass == Pass::Forward as usize { chunk.kept } else { 0.0 };
                fullest.total() - held
            });
            passes.fold(0.0, f64::max)
        };
        self.chunks.iter().map(beside).fold(0.0, f64::max)
    }

    /// The activations for which a card of this capacity has room, beside the most that a pass needs.
    pub(crate) fn room_for_activations(&self, capacity: Bytes) -> Bytes {
        let total =
            |activations| self.idle.with(activations, 0.0, self.largest_passing()).total().0;
        let for_each = (total(GIB) - total(0.0)) / GIB;
        Bytes((capacity.0 - total(0.0)) / for_each)
    }
}

impl ChunkCourse {
    /// What a pass adds to the activations held.
    fn change(&self, pass: Pass) -> f64 {
        match pass {
            Pass::Forward => self.kept,
            Pass::Backward => -self.kept,
            Pass::InputGradient => self.deferred - self.kept,
            Pass::WeightGradient => -self.deferred,
        }
    }
}

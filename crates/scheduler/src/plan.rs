//! Plans: who runs which layers with which micro-batches.
//!
//! A [`Plan`] is always written out: any number of pipelines, each a list of stages, each stage a
//! list of cards. Nothing in it is uniform. The (dp, tp, pp) shorthand of Megatron-LM is a
//! [`crate::UniformPlan`], which expands to this form; everything behind sees only this form.

use std::ops::Range;

use motley_topology::GpuId;
use motley_units::Bytes;
use motley_workload::{Model, Part, Recompute};

/// One iteration's division of labour.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Data-parallel replicas of the model, each with its own stages and micro-batches. Gradients
    /// are averaged over whatever cards hold the same parameters, weighted by tokens.
    pub pipelines: Vec<Pipeline>,
    /// The order of forward and backward passes in every pipeline.
    pub schedule: Schedule,
    /// Norms, dropout and residuals are split along the sequence within a tensor-parallel group.
    pub sequence_parallel: bool,
    /// In the backward pass of a tensor-parallel layer, run the weight-gradient product while the
    /// input gradient is all-reduced.
    pub overlap_weight_gradient: bool,
    /// When gradients are averaged.
    pub gradient_sync: GradientSync,
}

/// One replica of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// Micro-batches in an iteration.
    pub micro_batches: u32,
    /// Samples in a micro-batch.
    pub micro_batch_size: u32,
    /// The stages, in the order in which a micro-batch visits them.
    pub stages: Vec<Stage>,
}

impl Pipeline {
    /// Samples that the pipeline works through in an iteration.
    pub fn sequences(&self) -> u64 {
        u64::from(self.micro_batches) * u64::from(self.micro_batch_size)
    }
}

/// The cards that hold a range of layers together.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// The tensor-parallel group, in rank order.
    pub gpus: Vec<GpuId>,
    /// The layers of each model chunk (virtual stage): one range, or several under the interleaved
    /// schedule. Chunk `c` of the stage is visited before chunk `c + 1` of any stage.
    pub chunks: Vec<Range<u32>>,
    /// What is computed again in the backward pass instead of kept.
    pub recompute: Recompute,
}

impl Stage {
    /// The tensor-parallel degree.
    pub fn tensor_parallel(&self) -> u32 {
        self.gpus.len() as u32
    }

    /// Layers of all chunks together.
    pub fn layer_count(&self) -> u32 {
        self.chunks.iter().map(|chunk| chunk.end.saturating_sub(chunk.start)).sum()
    }

    /// The kinds of its layers, each with how many the stage has of it.
    ///
    /// # Panics
    /// If the model has no such layers.
    pub fn layer_parts(&self, model: &Model) -> Vec<(Part, u32)> {
        let mut parts: Vec<(Part, u32)> = Vec::new();
        for layer in self.chunks.iter().flat_map(Clone::clone) {
            let part = model.part(layer);
            match parts.iter_mut().find(|(known, _)| *known == part) {
                Some((_, count)) => *count += 1,
                None => parts.push((part, 1)),
            }
        }
        parts
    }
}

/// The order of passes in a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// All forward passes, then all backward passes.
    GPipe,
    /// One forward, one backward, after a warm-up that fills the pipeline (`PipeDream`-Flush).
    OneFOneB,
    /// 1F1B over several model chunks a stage (Narayanan et al. 2021).
    Interleaved,
}

/// When gradients are averaged across replicas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GradientSync {
    /// In one piece after the last backward pass.
    AtEnd,
    /// In buckets, each as soon as the last micro-batch's backward pass has filled it.
    Overlapped {
        /// Gradient bytes of a bucket, of one shard; see the gradient groups of lowering.
        bucket: Bytes,
    },
}

impl Plan {
    /// All cards that the plan uses, in plan order: pipeline by pipeline, stage by stage.
    pub fn gpus(&self) -> impl Iterator<Item = GpuId> + '_ {
        self.pipelines.iter().flat_map(|p| &p.stages).flat_map(|s| s.gpus.iter().copied())
    }
}

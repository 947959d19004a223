//! Plans: who runs which layers with which micro-batches.
//!
//! A [`Plan`] is always written out: any number of pipelines, each a list of stages, each stage a
//! list of cards. Nothing in it is uniform. The (dp, tp, pp) shorthand of Megatron-LM is a
//! [`crate::UniformPlan`], which expands to this form; everything behind sees only this form.

use std::ops::Range;

use motley_topology::GpuId;
use motley_units::Bytes;
use motley_workload::{ContextExchange, Model, Part, Recompute, Shard};
use serde::{Deserialize, Serialize};

use crate::schedule::{Placement, Position, Schedule};
use crate::zero::Zero;

/// One iteration's division of labour.
#[expect(clippy::struct_excessive_bools, reason = "independent choices of a software stack")]
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
    /// What tensor ranks gather and add up around products travels beside these, piece by piece (user
    /// buffers in Transformer Engine). Takes sequence parallelism.
    pub overlap_tensor: bool,
    /// Without sequence parallelism, each tensor rank sends a part of a micro-batch's activations to the
    /// next stage, whose ranks gather them (Megatron-LM until 2023, DeepSpeed); else each sends and gets
    /// all of them.
    pub scatter_gather: bool,
    /// When a stage sends on what a forward pass has computed.
    pub activation_sends: ActivationSends,
    /// When gradients are averaged.
    pub gradient_sync: GradientSync,
    /// What replicas share out instead of keeping a copy each.
    pub zero: Zero,
}

/// When a stage sends on what a forward pass has computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActivationSends {
    /// When the pass is over.
    #[default]
    AtOnce,
    /// In the steady state of 1F1B after the gradient that the backward pass behind it begins with has
    /// been received: `DeepSpeed`'s pipelines, whose stages go through steps of one exchange and one pass
    /// each (`TrainSchedule`, runtime/pipe/schedule.py).
    AfterGradient,
}

/// One replica of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// Micro-batches in an iteration.
    pub micro_batches: u32,
    /// Samples in a micro-batch.
    pub micro_batch_size: u32,
    /// The stages, each a neighbour of the next.
    pub stages: Vec<Stage>,
}

impl Pipeline {
    /// Samples that the pipeline works through in an iteration.
    pub fn sequences(&self) -> u64 {
        u64::from(self.micro_batches) * u64::from(self.micro_batch_size)
    }

    /// The layers of a virtual stage.
    ///
    /// # Panics
    /// If the pipeline has no such stage or chunk.
    pub fn layers_at(&self, position: Position) -> Range<u32> {
        self.stages[position.stage as usize].chunks[position.chunk as usize].clone()
    }

    /// Where its virtual stages lie.
    pub fn placement(&self, schedule: Schedule) -> Placement {
        let chunks = self.stages.first().map_or(1, |stage| stage.chunks.len());
        schedule.placement(self.stages.len() as u32, chunks as u32)
    }
}

/// The cards that hold a range of layers together.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Its ranks: the tensor-parallel groups one after the other, a group for each part of the
    /// sequence.
    pub gpus: Vec<GpuId>,
    /// How the sequence is cut over the groups.
    pub context: ContextParallel,
    /// How experts are dealt out, where the layers have some.
    pub experts: ExpertParallel,
    /// The layers of each model chunk (virtual stage): one range, or several under schedules that
    /// want them. In which order a micro-batch visits the chunks of all stages is the schedule's
    /// [`Placement`].
    pub chunks: Vec<Range<u32>>,
    /// What is computed again in the backward pass instead of kept.
    pub recompute: Recompute,
    /// What lies in the memory of hosts instead of the cards'.
    pub offload: Offload,
}

/// What lies in the memory of hosts, to be copied over PCIe where it is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// Optimizer states: gradients go to the host, which steps, and parameters come back (ZeRO-Offload:
    /// Ren et al. 2021, arXiv 2101.06840).
    pub optimizer: bool,
    /// Parameters: each layer's come before it runs, one layer ahead.
    pub parameters: bool,
    /// What layers keep for the backward pass: it goes out behind the forward pass, and comes back one
    /// layer ahead of the backward pass.
    pub activations: bool,
}

impl Stage {
    /// The tensor-parallel degree.
    pub fn tensor_parallel(&self) -> u32 {
        self.gpus.len() as u32 / self.context.degree.max(1)
    }

    /// Its tensor-parallel groups, by the part of the sequence that they work on.
    pub fn tensor_groups(&self) -> impl Iterator<Item = &[GpuId]> {
        self.gpus.chunks(self.tensor_parallel().max(1) as usize)
    }

    /// Ranks over which experts are dealt out, and ranks that split each expert.
    pub fn expert_degrees(&self) -> (u32, u32) {
        let tensor = self.experts.tensor.unwrap_or_else(|| self.tensor_parallel());
        (self.experts.degree.max(1), tensor.max(1))
    }

    /// Whether experts are split as all other matrices are, so that no token leaves its
    /// tensor-parallel group.
    pub fn keeps_tokens(&self) -> bool {
        self.expert_degrees() == (1, self.tensor_parallel())
    }

    /// What one of its ranks works on.
    pub fn shard(&self, sequence_parallel: bool, micro_batch_size: u32) -> Shard {
        let (expert_parallel, expert_tensor_parallel) = self.expert_degrees();
        Shard {
            tensor_parallel: self.tensor_parallel(),
            sequence_parallel,
            micro_batch_size,
            context_parallel: self.context.degree.max(1),
            context_exchange: self.context.exchange,
            expert_parallel,
            expert_tensor_parallel,
            overlap_shared_expert: self.experts.overlap_shared,
            forwards_tokens: self.experts.dispatch == Dispatch::Forwarded,
        }
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

    /// Whether some of its layers have experts.
    ///
    /// # Panics
    /// If the model has no such layers.
    pub fn has_experts(&self, model: &Model) -> bool {
        self.layer_parts(model).iter().any(|&(part, _)| model.has_experts(part))
    }
}

/// How a stage's tensor-parallel groups share out the tokens of each sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextParallel {
    /// Groups; 1: every group has whole sequences.
    pub degree: u32,
    /// How tokens meet those of the other groups in attention.
    pub exchange: ContextExchange,
}

impl ContextParallel {
    /// Whole sequences.
    pub const NONE: Self = Self { degree: 1, exchange: ContextExchange::Ring };
}

/// How the experts of mixture layers lie on ranks. The ranks that hold the same layers, in plan
/// order, hold all experts once for every `degree * tensor` of them: a group may lie in a stage or
/// span the stages of several pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpertParallel {
    /// Ranks over which experts are dealt out.
    pub degree: u32,
    /// Ranks that split each expert's matrices; as many as other matrices unless given.
    pub tensor: Option<u32>,
    /// How tokens travel to experts.
    pub dispatch: Dispatch,
    /// The shared expert runs while tokens travel to the others.
    pub overlap_shared: bool,
}

impl ExpertParallel {
    /// Experts split as other matrices are.
    pub const NONE: Self =
        Self { degree: 1, tensor: None, dispatch: Dispatch::AllToAll, overlap_shared: false };
}

/// How tokens travel to experts on other ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dispatch {
    /// A copy for each chosen expert, by NCCL's all-to-all.
    AllToAll,
    /// One copy to each other node that has chosen experts, forwarded over NVLink there: DeepEP.
    Forwarded,
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

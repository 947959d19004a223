//! Who does what: Megatron-LM's shorthand, or every pipeline written out.

use motley_scheduler::ActivationSends;
use motley_units::Bytes;
use motley_workload::{ContextExchange, Recompute};
use serde::{Deserialize, Serialize};

use super::{Cards, LayerRanges, is_default};

/// The plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Plan")]
pub enum RawPlan {
    /// `dp * tp * cp * pp` ranks over all cards.
    Uniform {
        /// Data-parallel degree: pipelines.
        dp: u32,
        /// Tensor-parallel degree of every stage.
        tp: u32,
        /// Pipeline-parallel degree: stages of every pipeline.
        pp: u32,
        /// Context-parallel degree: tensor-parallel groups that share each sequence; 1 unless given.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        cp: u32,
        /// How tokens meet those of other context-parallel ranks; `Ring` unless given.
        #[serde(default = "ring", skip_serializing_if = "is_ring")]
        context_exchange: ContextExchange,
        /// Expert-parallel degree: ranks among which experts are dealt out; 1 unless given.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        ep: u32,
        /// Ranks that split each expert; `tp` unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        etp: Option<u32>,
        /// How tokens travel to experts; `AllToAll` unless given.
        #[serde(default, skip_serializing_if = "is_default")]
        dispatch: RawDispatch,
        /// The shared expert runs while tokens travel to the others.
        #[serde(default, skip_serializing_if = "is_default")]
        overlap_shared_expert: bool,
        /// What replicas share out instead of keeping a copy each; nothing unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zero: Option<RawZero>,
        /// Sequences of a micro-batch.
        micro_batch_size: u32,
        /// The order of passes; `OneFOneB` unless given.
        #[serde(default)]
        schedule: RawSchedule,
        /// What is computed again in the backward pass; `None` unless given.
        #[serde(default = "nothing")]
        recompute: Recompute,
        /// What lies in the memory of hosts; nothing unless given.
        #[serde(default, skip_serializing_if = "is_default")]
        offload: Vec<RawOffload>,
        /// Norms and residuals are split along the sequence.
        #[serde(default)]
        sequence_parallel: bool,
        /// Weight gradients are computed while input gradients are all-reduced; the default.
        #[serde(default = "yes")]
        overlap_weight_gradient: bool,
        /// What tensor ranks gather and add up around products travels beside these, piece by piece;
        /// takes `sequence_parallel`.
        #[serde(default, skip_serializing_if = "is_default")]
        overlap_tensor: bool,
        /// Tensor ranks send parts of activations between stages, which are gathered there; the default.
        #[serde(default = "yes", skip_serializing_if = "is_yes")]
        scatter_gather: bool,
        /// When a stage sends on what a forward pass has computed; `AtOnce` unless given.
        #[serde(default, skip_serializing_if = "is_default")]
        activation_sends: ActivationSends,
        /// When gradients are averaged; `AtEnd` unless given.
        #[serde(default)]
        gradient_sync: RawGradientSync,
        /// Layers of the stages; `Equal` unless given.
        #[serde(default)]
        layers: RawSplit,
        /// Micro-batches of the pipelines; `Equal` unless given.
        #[serde(default)]
        micro_batches: RawSplit,
        /// Which dimension runs fastest over the ranks; `TpDpPp` unless given.
        #[serde(default)]
        order: RawOrder,
    },
    /// Every pipeline written out; cards that no stage names stay idle.
    Explicit {
        /// The order of passes; `OneFOneB` unless given. The chunks are in the stages' layers.
        #[serde(default)]
        schedule: RawSchedule,
        /// Norms and residuals are split along the sequence.
        #[serde(default)]
        sequence_parallel: bool,
        /// Weight gradients are computed while input gradients are all-reduced; the default.
        #[serde(default = "yes")]
        overlap_weight_gradient: bool,
        /// What tensor ranks gather and add up around products travels beside these, piece by piece;
        /// takes `sequence_parallel`.
        #[serde(default, skip_serializing_if = "is_default")]
        overlap_tensor: bool,
        /// Tensor ranks send parts of activations between stages, which are gathered there; the default.
        #[serde(default = "yes", skip_serializing_if = "is_yes")]
        scatter_gather: bool,
        /// When a stage sends on what a forward pass has computed; `AtOnce` unless given.
        #[serde(default, skip_serializing_if = "is_default")]
        activation_sends: ActivationSends,
        /// When gradients are averaged; `AtEnd` unless given.
        #[serde(default)]
        gradient_sync: RawGradientSync,
        /// What replicas share out instead of keeping a copy each; nothing unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zero: Option<RawZero>,
        /// The pipelines.
        pipelines: Vec<RawPipeline>,
    },
    /// Nobody has said yet who does what: to be searched.
    Auto,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_yes(value: &bool) -> bool {
    *value
}

fn nothing() -> Recompute {
    Recompute::None
}

fn one() -> u32 {
    1
}

fn ring() -> ContextExchange {
    ContextExchange::Ring
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_one(degree: &u32) -> bool {
    *degree == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_ring(exchange: &ContextExchange) -> bool {
    *exchange == ContextExchange::Ring
}

/// One pipeline, or several that differ in their cards only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Pipeline")]
pub struct RawPipeline {
    /// Micro-batches of an iteration.
    pub micro_batches: u32,
    /// Sequences of a micro-batch.
    pub micro_batch_size: u32,
    /// More pipelines like this one; none unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<RawRepeat>,
    /// The stages, first to last.
    pub stages: Vec<RawStage>,
}

/// Copies of a pipeline on other cards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Repeat")]
pub struct RawRepeat {
    /// Pipelines in all, with the written one.
    pub count: u32,
    /// How much higher the card numbers of each are than those of the one before.
    pub stride: u32,
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Stage")]
pub struct RawStage {
    /// Its cards, a tensor-parallel group or `cp` of them one after the other: `0..4`,
    /// `[0, 1, 2, 3]` or `[0..2, 8..10]`.
    pub gpus: Cards,
    /// Context-parallel degree: groups that share each sequence; 1 unless given.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub cp: u32,
    /// How tokens meet those of other context-parallel ranks; `Ring` unless given.
    #[serde(default = "ring", skip_serializing_if = "is_ring")]
    pub context_exchange: ContextExchange,
    /// Expert-parallel degree: ranks among which experts are dealt out, of this stage or of several
    /// that hold the same layers; 1 unless given.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub ep: u32,
    /// Ranks that split each expert; as many as a tensor-parallel group has unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etp: Option<u32>,
    /// How tokens travel to experts; `AllToAll` unless given.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dispatch: RawDispatch,
    /// The shared expert runs while tokens travel to the others.
    #[serde(default, skip_serializing_if = "is_default")]
    pub overlap_shared_expert: bool,
    /// Its layers: `0..12`, or a range for each chunk under schedules of several chunks,
    /// `[0..3, 6..9]`.
    pub layers: LayerRanges,
    /// What is computed again in the backward pass; `None` unless given.
    #[serde(default = "nothing")]
    pub recompute: Recompute,
    /// What lies in the memory of hosts; nothing unless given.
    #[serde(default, skip_serializing_if = "is_default")]
    pub offload: Vec<RawOffload>,
}

/// What can lie in the memory of hosts instead of the cards'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Offload")]
pub enum RawOffload {
    /// Optimizer states; the host steps.
    Optimizer,
    /// Parameters; each layer's are copied before it runs.
    Parameters,
    /// What layers keep for the backward pass.
    Activations,
}

/// How tokens travel to experts on other ranks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Dispatch")]
pub enum RawDispatch {
    /// A copy for each chosen expert, by NCCL's all-to-all.
    #[default]
    AllToAll,
    /// One copy to each other node that has chosen experts, forwarded over NVLink there: DeepEP.
    Forwarded,
}

/// ZeRO: what replicas share out instead of keeping a copy each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Zero")]
pub struct RawZero {
    /// 1: optimizer states; 2: gradients, too; 3: parameters, too.
    pub stage: u32,
    /// Ranks that share one copy; all that hold the same parameters, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
    /// How much each takes; `Equal` unless given.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shares: RawShares,
    /// Stages 1 and 2: new parameters are gathered while the next forward pass runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_gather: Option<bool>,
    /// Stage 3: layers that are gathered ahead; 1 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefetch: Option<u32>,
    /// Stage 3: parameters are let go after the forward pass; the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reshard_after_forward: Option<bool>,
    /// Stage 1: what each replica gets of the sums of gradients; `Scattered` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduction: Option<RawReduction>,
}

/// What replicas that share out optimizer states alone get of the sums of gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Reduction")]
pub enum RawReduction {
    /// Each those of its share: reduce-scatter.
    Scattered,
    /// All of them all: all-reduce.
    Whole,
}

/// How much of a copy each rank takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Shares")]
pub enum RawShares {
    /// Equal shares.
    #[default]
    Equal,
    /// In proportion to the memory of the cards.
    Memory,
}

/// The order of passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Schedule")]
pub enum RawSchedule {
    /// All forward passes, then all backward passes.
    GPipe,
    /// One forward, one backward.
    #[default]
    OneFOneB,
    /// One forward, one backward over several model chunks a stage.
    Interleaved {
        /// Chunks of each stage.
        chunks: u32,
    },
    /// The same, each forward pass of the steady state beside the backward pass that follows it.
    Paired {
        /// Chunks of each stage; 1 unless given, for a single stage.
        #[serde(default = "one")]
        chunks: u32,
    },
    /// Weight gradients apart from input gradients.
    ZeroBubble {
        /// Which of the zero-bubble schedules.
        order: RawZeroBubble,
        /// What a stage may hold, for the automatic orders; `Stages(1)` unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        activations: Option<RawActivations>,
        /// How the stages agree on the optimizer step; `PostValidation` unless given.
        #[serde(default)]
        optimizer_step: RawOptimizerStep,
    },
    /// Two copies of the model in opposite directions.
    DualPipe,
    /// One copy of the model in a V.
    DualPipeV,
}

/// The zero-bubble schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "ZeroBubbleOrder")]
pub enum RawZeroBubble {
    /// Handcrafted, with the memory of 1F1B.
    H1,
    /// Handcrafted, with twice the memory.
    H2,
    /// Made for the stages' times.
    Automatic,
    /// Made for the stages' times, in a V.
    V,
}

/// How much of activations a stage may hold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Activations")]
pub enum RawActivations {
    /// So many micro-batches for each stage of the pipeline.
    Stages(f64),
    /// What the memory of the stage's cards leaves.
    Available,
}

/// How the stages agree on the optimizer step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "OptimizerStep")]
pub enum RawOptimizerStep {
    /// Each stage steps on what the stages before it have found.
    #[default]
    PostValidation,
    /// All ranks of a pipeline meet.
    Synchronous,
}

/// When gradients are averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "GradientSync")]
pub enum RawGradientSync {
    /// After the last backward pass.
    #[default]
    AtEnd,
    /// In buckets, while the last backward pass runs.
    Overlapped {
        /// Gradient bytes of a bucket on one card.
        bucket: Bytes,
    },
}

/// How a number of things is split over stages or pipelines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Split")]
pub enum RawSplit {
    /// The same number everywhere.
    #[default]
    Equal,
    /// By the speed of the cards.
    Proportional,
    /// These numbers.
    Counts(Vec<u32>),
}

/// Which dimension runs fastest over the ranks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Order")]
pub enum RawOrder {
    /// Tensor, data, pipeline: Megatron-LM's default.
    #[default]
    TpDpPp,
    /// Tensor, pipeline, data: each pipeline on neighbouring cards.
    TpPpDp,
}

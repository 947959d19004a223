//! The part of a layer that one rank works on.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Attention, FeedForward, LayerKind, Model, Training};

/// A micro-batch on one rank of a tensor-parallel group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    /// Ranks that split each layer's matrices; 1 is no split.
    pub tensor_parallel: u32,
    /// Norms, dropout and residuals are split along the sequence, too.
    pub sequence_parallel: bool,
    /// Samples of a micro-batch.
    pub micro_batch_size: u32,
    /// Groups that share out the tokens of each sequence; 1: each has whole sequences.
    pub context_parallel: u32,
    /// How tokens meet those of the other groups in attention.
    pub context_exchange: ContextExchange,
    /// Ranks over which the experts of a layer are dealt out; 1: every rank has a part of each.
    pub expert_parallel: u32,
    /// Ranks that split each expert's matrices.
    pub expert_tensor_parallel: u32,
    /// The shared expert runs while tokens travel to the others.
    pub overlap_shared_expert: bool,
    /// A token goes once to each rank that has experts for it, by kernels that take rows in any order
    /// and add up what comes back; else a copy for each expert, in the order of ranks.
    pub forwards_tokens: bool,
}

/// How tokens meet those of other context-parallel groups in attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ContextExchange {
    /// Keys and values go round in a ring, each step beside the attention to those of the step
    /// before (Liu et al. 2023, arXiv 2310.01889).
    Ring,
    /// Keys and values are gathered before attention (Llama Team 2024, arXiv 2407.21783, section
    /// 3.3.2).
    AllGather,
    /// Each rank trades its tokens of all heads for all tokens of its heads, and back (DeepSpeed
    /// Ulysses: Jacobs et al. 2023, arXiv 2309.14509).
    AllToAll,
}

impl Shard {
    /// A rank without expert parallelism: experts are split as other matrices are.
    pub fn new(tensor_parallel: u32, sequence_parallel: bool, micro_batch_size: u32) -> Self {
        Self {
            tensor_parallel,
            sequence_parallel,
            micro_batch_size,
            context_parallel: 1,
            context_exchange: ContextExchange::Ring,
            expert_parallel: 1,
            expert_tensor_parallel: tensor_parallel,
            overlap_shared_expert: false,
            forwards_tokens: false,
        }
    }

    /// Ranks that hold all experts once.
    pub(crate) fn expert_ranks(&self) -> u32 {
        self.expert_parallel.max(1).saturating_mul(self.expert_tensor_parallel.max(1))
    }

    /// Whether experts are split as other matrices are: every rank of a tensor group has a part of
    /// each, and no token leaves the group.
    pub(crate) fn keeps_tokens(&self) -> bool {
        self.expert_parallel <= 1 && self.expert_tensor_parallel == self.tensor_parallel
    }

    /// Ranks that share the tokens of a sequence outside the tensor-parallel regions.
    pub(crate) fn token_split(&self) -> u32 {
        self.sequence_split().saturating_mul(self.context_parallel.max(1))
    }

    /// Ranks of a tensor-parallel group that share its tokens outside the tensor-parallel regions.
    pub(crate) fn sequence_split(&self) -> u32 {
        if self.sequence_parallel { self.tensor_parallel.max(1) } else { 1 }
    }
}

/// A model that cannot be split so.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ShardError {
    /// The degree is zero.
    #[error("tensor_parallel is 0; 1 means no tensor parallelism")]
    ZeroDegree,
    /// The micro-batch is empty.
    #[error("micro_batch_size is 0; a micro-batch has at least one sequence")]
    EmptyMicroBatch,
    /// A dimension is not a multiple of the degree.
    #[error(
        "model `{model}`: {what} {size} cannot be split over tensor_parallel {degree}; \
         choose a degree that divides it{hint}"
    )]
    Uneven {
        /// The model's name.
        model: String,
        /// The dimension.
        what: &'static str,
        /// Its size.
        size: u32,
        /// The tensor-parallel degree.
        degree: u32,
        /// A further way out.
        hint: &'static str,
    },
    /// Nothing of a model that reads images is split.
    #[error(
        "model `{model}` reads images: its layers are not split over {degree} tensor or context ranks; \
         choose 1, and more pipelines or stages"
    )]
    Images {
        /// The model's name.
        model: String,
        /// Tensor times context ranks.
        degree: u32,
    },
    /// Attention heads do not divide over tensor and context ranks together.
    #[error(
        "model `{model}`: {what} {size} cannot be shared out over cp {context} times tp {tensor} by an \
         all-to-all; choose degrees whose product divides them, or another exchange: Ring, AllGather"
    )]
    ContextHeads {
        /// The model's name.
        model: String,
        /// Query, or key and value heads.
        what: &'static str,
        /// How many.
        size: u32,
        /// The context-parallel degree.
        context: u32,
        /// The tensor-parallel degree.
        tensor: u32,
    },
    /// Experts do not divide over expert ranks.
    #[error(
        "model `{model}`: {size} experts cannot be dealt out over ep {degree}; choose one that divides them"
    )]
    UnevenExperts {
        /// The model's name.
        model: String,
        /// Experts of a layer.
        size: u32,
        /// The expert-parallel degree.
        degree: u32,
    },
    /// An expert's inner width does not divide over the ranks that split it.
    #[error(
        "model `{model}`: ffn {size} of an expert cannot be split over etp {degree}; choose one that divides it"
    )]
    UnevenExpert {
        /// The model's name.
        model: String,
        /// The inner width.
        size: u32,
        /// Ranks that split each expert.
        degree: u32,
    },
    /// Sequences are not multiples of what context-parallel ranks take.
    #[error(
        "sequence_length {sequence_length} cannot be cut over cp {degree}: expected a multiple of \
         {step}, as each rank takes {parts}"
    )]
    UnevenContext {
        /// Tokens of a sequence.
        sequence_length: u32,
        /// The context-parallel degree.
        degree: u32,
        /// What it must be a multiple of.
        step: u32,
        /// What a rank takes.
        parts: &'static str,
    },
    /// The sequence is not a multiple of the degree.
    #[error(
        "sequence_length {sequence_length} cannot be split over tensor_parallel {degree} by \
         sequence parallelism; choose a degree that divides it or turn sequence_parallel off"
    )]
    UnevenSequence {
        /// Tokens of a sequence.
        sequence_length: u32,
        /// The tensor-parallel degree.
        degree: u32,
    },
}

/// What hinders `shard` for `model`; empty if nothing does. The sequence is [`sequence_limits`]'s
/// concern.
pub fn shard_limits(model: &Model, shard: &Shard) -> Vec<ShardError> {
    let mut errors = Vec::new();
    if shard.micro_batch_size == 0 {
        errors.push(ShardError::EmptyMicroBatch);
    }
    if shard.tensor_parallel == 0 {
        errors.push(ShardError::ZeroDegree);
        return errors;
    }
    let ranks = shard.tensor_parallel.saturating_mul(shard.context_parallel.max(1));
    if model.tokens().is_none() && ranks > 1 {
        let (model, degree) = (model.name.clone(), ranks);
        errors.push(ShardError::Images { model, degree });
    }
    for (what, size, degree, hint) in split_dimensions(model, shard) {
        let uneven = ShardError::Uneven { model: model.name.clone(), what, size, degree, hint };
        if !size.is_multiple_of(degree.max(1)) && !errors.contains(&uneven) {
            errors.push(uneven);
        }
    }
    for limit in expert_limits(model, shard).into_iter().chain(head_limits(model, shard)) {
        if !errors.contains(&limit) {
            errors.push(limit);
        }
    }
    errors
}

/// Whether several ranks of a tensor-parallel group work with the same key and value head: where there
/// are fewer heads than ranks (Megatron-LM's rule: one number divides the other).
pub(crate) fn copies_key_heads(attention: &Attention, degree: u32) -> bool {
    attention.kv_heads() < degree && degree.is_multiple_of(attention.kv_heads().max(1))
}

/// Everything that a tensor-parallel degree splits: its name, its size, the degree, a further way out.
fn split_dimensions(model: &Model, shard: &Shard) -> Vec<(&'static str, u32, u32, &'static str)> {
    let degree = shard.tensor_parallel;
    let across = "; between two sequences these heads are not copied to several ranks";
    let mut dimensions = Vec::new();
    for layer in model.kinds().iter().filter_map(LayerKind::transformer) {
        for attention in std::iter::once(&layer.attention).chain(&layer.cross_attention) {
            dimensions.push(("heads", attention.heads, degree, ""));
        }
        if !copies_key_heads(&layer.attention, degree) {
            let hint = ", or is a multiple, so that ranks have copies";
            dimensions.push(("kv_heads", layer.attention.kv_heads(), degree, hint));
        }
        if let Some(attention) = &layer.cross_attention {
            dimensions.push(("kv_heads", attention.kv_heads(), degree, across));
        }
        match &layer.feed_forward {
            FeedForward::Dense(mlp) => dimensions.push(("ffn", mlp.ffn, degree, "")),
            FeedForward::Experts(bank) => {
                let shared =
                    bank.shared.map(|shared| ("ffn of shared experts", shared.ffn, degree, ""));
                dimensions.extend(shared);
            }
        }
    }
    if let Some(tokens) = model.tokens() {
        dimensions.push(("vocab", tokens.vocab, degree, ", or pad the vocabulary"));
    }
    dimensions
}

/// What hinders experts from being dealt out and split.
fn expert_limits(model: &Model, shard: &Shard) -> Vec<ShardError> {
    let mut errors = Vec::new();
    for layer in model.kinds().iter().filter_map(LayerKind::transformer) {
        let FeedForward::Experts(bank) = &layer.feed_forward else { continue };
        let (degree, size) = (shard.expert_parallel.max(1), bank.experts);
        if !size.is_multiple_of(degree) {
            errors.push(ShardError::UnevenExperts { model: model.name.clone(), size, degree });
        }
        let (degree, size) = (shard.expert_tensor_parallel.max(1), bank.expert.ffn);
        if !size.is_multiple_of(degree) {
            errors.push(ShardError::UnevenExpert { model: model.name.clone(), size, degree });
        }
    }
    errors
}

/// What hinders heads from being shared out by an all-to-all.
fn head_limits(model: &Model, shard: &Shard) -> Vec<ShardError> {
    let (context, tensor) = (shard.context_parallel.max(1), shard.tensor_parallel.max(1));
    if context == 1 || shard.context_exchange != ContextExchange::AllToAll {
        return Vec::new();
    }
    let layers = model.kinds().iter().filter_map(LayerKind::transformer);
    let attentions =
        layers.flat_map(|layer| std::iter::once(&layer.attention).chain(&layer.cross_attention));
    let heads = attentions
        .flat_map(|attention| [("heads", attention.heads), ("kv_heads", attention.kv_heads())]);
    heads
        .filter(|(_, size)| !size.is_multiple_of(context.saturating_mul(tensor)))
        .map(|(what, size)| ShardError::ContextHeads {
            model: model.name.clone(),
            what,
            size,
            context,
            tensor,
        })
        .collect()
}

/// What hinders sequences from being shared out over context ranks, and over the tensor ranks of each
/// by sequence parallelism.
pub fn sequence_limits(training: &Training, shard: &Shard) -> Vec<ShardError> {
    let context = shard.context_parallel.max(1);
    let (step, parts) = match shard.context_exchange {
        ContextExchange::AllToAll => (context, "one part"),
        ContextExchange::Ring | ContextExchange::AllGather => (
            context.saturating_mul(2),
            "two parts, one from the front and one from the back, so that all have equally much to do",
        ),
    };
    let lengths = || [training.sequence_length, training.target_length].into_iter().flatten();
    let cut = lengths().filter(|length| context > 1 && !length.is_multiple_of(step)).map(
        |sequence_length| ShardError::UnevenContext {
            sequence_length,
            degree: context,
            step,
            parts,
        },
    );
    let degree = shard.sequence_split();
    let split = lengths()
        .find(|length| !(length / context).is_multiple_of(degree))
        .map(|sequence_length| ShardError::UnevenSequence { sequence_length, degree });
    cut.take(1).chain(split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        AttentionKernel, ExpertDispatch, ExpertLoad, Fusion, Holds, HostLaunch, MasterWeights,
        Optimizer, Precision,
    };

    fn check(preset: &str, degree: u32, expected: &[&str]) {
        let model = Model::preset(preset).unwrap();
        let shard = Shard::new(degree, true, 1);
        let found: Vec<String> =
            shard_limits(&model, &shard).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (message, part) in found.iter().zip(expected) {
            assert!(message.contains(part), "{message} lacks {part}");
        }
    }

    #[test]
    fn degrees_must_divide_every_split_dimension() {
        check("llama-2-70b", 8, &[]);
        check("llama-2-70b", 16, &[]);
        check("qwen-2.5-7b", 7, &["kv_heads 4", "ffn 18944", "vocab 152064"]);
        check("gpt-22b", 3, &["heads 64", "kv_heads 64", "vocab 51200"]);
        check("gpt-22b", 0, &["tensor_parallel is 0"]);
    }

    #[test]
    fn sequences_must_divide_under_sequence_parallelism_only() {
        let training = |length, target| Training {
            sequence_length: Some(length),
            target_length: target,
            precision: Precision::Fp16,
            fallback: None,
            attention: AttentionKernel::Unfused,
            attention_fallback: false,
            optimizer: Optimizer::Sgd,
            gradient_bytes: 4,
            reduce_bytes: None,
            master_weights: MasterWeights::Fp32,
            fused_gradient_accumulation: true,
            fusion: Fusion::default(),
            host_launch: HostLaunch::default(),
            flash_version: None,
            expert_load: ExpertLoad::default(),
            expert_dispatch: ExpertDispatch::Stored,
            communication_multiprocessors: 0,
            holds: Holds::default(),
            adapters: None,
        };
        let mut shard = Shard::new(8, true, 1);
        assert_eq!(sequence_limits(&training(2048, None), &shard), []);
        assert!(!sequence_limits(&training(2047, None), &shard).is_empty());
        assert!(!sequence_limits(&training(2048, Some(100)), &shard).is_empty());
        shard.sequence_parallel = false;
        assert_eq!(sequence_limits(&training(2047, None), &shard), []);
    }
}

//! The part of a layer that one rank works on.

use thiserror::Error;

use crate::{FeedForward, LayerKind, Model, Training};

/// A micro-batch on one rank of a tensor-parallel group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    /// Ranks that split each layer's matrices; 1 is no split.
    pub tensor_parallel: u32,
    /// Norms, dropout and residuals are split along the sequence, too.
    pub sequence_parallel: bool,
    /// Samples of a micro-batch.
    pub micro_batch_size: u32,
    /// Ranks over which the experts of a layer are dealt out; 1: every rank has a part of each.
    pub expert_parallel: u32,
    /// Ranks that split each expert's matrices.
    pub expert_tensor_parallel: u32,
}

impl Shard {
    /// A rank without expert parallelism: experts are split as other matrices are.
    pub fn new(tensor_parallel: u32, sequence_parallel: bool, micro_batch_size: u32) -> Self {
        Self {
            tensor_parallel,
            sequence_parallel,
            micro_batch_size,
            expert_parallel: 1,
            expert_tensor_parallel: tensor_parallel,
        }
    }

    /// Ranks that hold all experts once.
    pub(crate) fn expert_ranks(&self) -> u32 {
        self.expert_parallel.max(1).saturating_mul(self.expert_tensor_parallel.max(1))
    }

    /// Ranks that share the tokens outside the tensor-parallel regions.
    pub(crate) fn sequence_split(&self) -> u32 {
        if self.sequence_parallel { self.tensor_parallel.max(1) } else { 1 }
    }
}

/// A model that a tensor-parallel degree cannot split evenly.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TensorParallelError {
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
        "model `{model}` reads images: its layers are not split over tensor_parallel {degree}; \
         choose 1, and more pipelines or stages"
    )]
    Images {
        /// The model's name.
        model: String,
        /// The tensor-parallel degree.
        degree: u32,
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

/// What hinders `shard` for `model`; empty if nothing does. Key and value heads are never copied
/// to several ranks: a degree above their number is refused. The sequence is
/// [`sequence_parallel_limit`]'s concern.
pub fn tensor_parallel_limits(model: &Model, shard: &Shard) -> Vec<TensorParallelError> {
    let mut errors = Vec::new();
    if shard.micro_batch_size == 0 {
        errors.push(TensorParallelError::EmptyMicroBatch);
    }
    if shard.tensor_parallel == 0 {
        errors.push(TensorParallelError::ZeroDegree);
        return errors;
    }
    if model.tokens().is_none() && shard.tensor_parallel > 1 {
        let (model, degree) = (model.name.clone(), shard.tensor_parallel);
        errors.push(TensorParallelError::Images { model, degree });
    }
    for (what, size, degree, hint) in split_dimensions(model, shard) {
        let uneven =
            TensorParallelError::Uneven { model: model.name.clone(), what, size, degree, hint };
        if !size.is_multiple_of(degree.max(1)) && !errors.contains(&uneven) {
            errors.push(uneven);
        }
    }
    errors
}

/// Everything that a degree splits: its name, its size, the degree, a further way out.
fn split_dimensions(model: &Model, shard: &Shard) -> Vec<(&'static str, u32, u32, &'static str)> {
    let degree = shard.tensor_parallel;
    let whole_heads = " (key and value heads are not copied to several ranks)";
    let mut dimensions = Vec::new();
    for layer in model.kinds().iter().filter_map(LayerKind::transformer) {
        for attention in std::iter::once(&layer.attention).chain(&layer.cross_attention) {
            dimensions.push(("heads", attention.heads, degree, ""));
            dimensions.push(("kv_heads", attention.kv_heads(), degree, whole_heads));
        }
        match &layer.feed_forward {
            FeedForward::Dense(mlp) => dimensions.push(("ffn", mlp.ffn, degree, "")),
            FeedForward::Experts(bank) => {
                let split = shard.expert_tensor_parallel;
                dimensions.push(("ffn of an expert", bank.expert.ffn, split, ""));
                dimensions.push(("experts", bank.experts, shard.expert_parallel, ""));
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

/// What hinders sequence parallelism: sequences must be multiples of the degree.
pub fn sequence_parallel_limit(training: &Training, shard: &Shard) -> Option<TensorParallelError> {
    let degree = shard.sequence_split();
    [Some(training.tokens()), training.target_length]
        .into_iter()
        .flatten()
        .find(|length| !length.is_multiple_of(degree))
        .map(|sequence_length| TensorParallelError::UnevenSequence { sequence_length, degree })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttentionKernel, ExpertDispatch, ExpertLoad, MasterWeights, Optimizer, Precision};

    fn check(preset: &str, degree: u32, expected: &[&str]) {
        let model = Model::preset(preset).unwrap();
        let shard = Shard::new(degree, true, 1);
        let found: Vec<String> =
            tensor_parallel_limits(&model, &shard).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (message, part) in found.iter().zip(expected) {
            assert!(message.contains(part), "{message} lacks {part}");
        }
    }

    #[test]
    fn degrees_must_divide_every_split_dimension() {
        check("llama-2-70b", 8, &[]);
        check("llama-2-70b", 16, &["kv_heads 8"]);
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
            master_weights: MasterWeights::Fp32,
            fused_gradient_accumulation: true,
            expert_load: ExpertLoad::default(),
            expert_dispatch: ExpertDispatch::Stored,
            adapters: None,
        };
        let mut shard = Shard::new(8, true, 1);
        assert_eq!(sequence_parallel_limit(&training(2048, None), &shard), None);
        assert!(sequence_parallel_limit(&training(2047, None), &shard).is_some());
        assert!(sequence_parallel_limit(&training(2048, Some(100)), &shard).is_some());
        shard.sequence_parallel = false;
        assert_eq!(sequence_parallel_limit(&training(2047, None), &shard), None);
    }
}

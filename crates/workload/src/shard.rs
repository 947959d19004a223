//! The part of a layer that one tensor-parallel rank works on.

use thiserror::Error;

use crate::Model;

/// A micro-batch on one rank of a tensor-parallel group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Ranks that split each layer's matrices; 1 is no split.
    pub tensor_parallel: u32,
    /// Norms, dropout and residuals are split along the sequence, too.
    pub sequence_parallel: bool,
    /// Sequences of a micro-batch.
    pub micro_batch_size: u32,
}

impl Shard {
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
    let degree = shard.tensor_parallel;
    let mut errors = Vec::new();
    if shard.micro_batch_size == 0 {
        errors.push(TensorParallelError::EmptyMicroBatch);
    }
    if degree == 0 {
        errors.push(TensorParallelError::ZeroDegree);
        return errors;
    }
    let dimensions = [
        ("heads", model.heads, ""),
        ("kv_heads", model.kv_heads, " (key and value heads are not copied to several ranks)"),
        ("ffn", model.ffn, ""),
        ("vocab", model.vocab, ", or pad the vocabulary"),
    ];
    for (what, size, hint) in dimensions {
        if !size.is_multiple_of(degree) {
            errors.push(TensorParallelError::Uneven {
                model: model.name.clone(),
                what,
                size,
                degree,
                hint,
            });
        }
    }
    errors
}

/// What hinders sequence parallelism: the sequence must be a multiple of the degree.
pub fn sequence_parallel_limit(sequence_length: u32, shard: &Shard) -> Option<TensorParallelError> {
    let split = shard.sequence_split();
    (!sequence_length.is_multiple_of(split))
        .then_some(TensorParallelError::UnevenSequence { sequence_length, degree: split })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(preset: &str, degree: u32, expected: &[&str]) {
        let model = Model::preset(preset).unwrap();
        let shard = Shard { tensor_parallel: degree, sequence_parallel: true, micro_batch_size: 1 };
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
        let mut shard = Shard { tensor_parallel: 8, sequence_parallel: true, micro_batch_size: 1 };
        assert_eq!(sequence_parallel_limit(2048, &shard), None);
        assert!(sequence_parallel_limit(2047, &shard).is_some());
        shard.sequence_parallel = false;
        assert_eq!(sequence_parallel_limit(2047, &shard), None);
    }
}

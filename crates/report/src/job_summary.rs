//! Model and training in a form to be read.

use motley_workload::Precision;
use serde::Serialize;

use crate::Subject;

/// What is trained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobSummary {
    /// The model's name.
    pub model: String,
    /// Its parameters.
    pub parameter_count: f64,
    /// Its layers.
    pub layer_count: u32,
    /// Sequences of an iteration.
    pub global_batch_count: u32,
    /// Tokens of a sequence.
    pub sequence_length_tokens: u32,
    /// The precision asked for.
    pub precision: &'static str,
}

impl JobSummary {
    pub(crate) fn new(subject: &Subject) -> Self {
        Self {
            model: subject.model.name.clone(),
            parameter_count: subject.model.parameters(),
            layer_count: subject.model.layers,
            global_batch_count: subject.global_batch,
            sequence_length_tokens: subject.training.sequence_length,
            precision: precision_name(subject.training.precision),
        }
    }
}

pub(crate) fn precision_name(precision: Precision) -> &'static str {
    match precision {
        Precision::Fp32 => "fp32",
        Precision::Tf32 => "tf32",
        Precision::Fp16 => "fp16",
        Precision::Bf16 => "bf16",
    }
}

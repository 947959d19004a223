//! Model and training in a form to be read.

use motley_workload::{Fp8Recipe, Precision};
use serde::Serialize;

use crate::Subject;

/// What is trained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobSummary {
    /// The model's name.
    pub model: String,
    /// Its parameters.
    pub parameter_count: f64,
    /// Those of them that one token meets, where experts leave some out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_parameter_count: Option<f64>,
    /// Those that are trained, where adapters are trained in place of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trained_parameter_count: Option<f64>,
    /// Its layers.
    pub layer_count: u32,
    /// Samples of an iteration: sequences, or images.
    pub global_batch_count: u32,
    /// Tokens of a sequence; none if samples are images.
    pub sequence_length_tokens: Option<u32>,
    /// Tokens of a target sequence, where a decoder stands beside an encoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_length_tokens: Option<u32>,
    /// The precision asked for.
    pub precision: &'static str,
}

impl JobSummary {
    pub(crate) fn new(subject: &Subject) -> Self {
        let (model, training) = (subject.model, subject.training);
        let (all, active) = (model.parameters(), model.active_parameters());
        let trained = || model.parts().map(|part| model.trained_parameters(part, training).total());
        Self {
            model: model.name.clone(),
            parameter_count: all,
            active_parameter_count: (active < all).then_some(active),
            trained_parameter_count: training.adapters.as_ref().map(|_| trained().sum()),
            layer_count: model.layer_count(),
            global_batch_count: subject.global_batch,
            sequence_length_tokens: training.sequence_length,
            target_length_tokens: model.has_target().then(|| training.target_tokens()),
            precision: precision_name(training.precision),
        }
    }
}

pub(crate) fn precision_name(precision: Precision) -> &'static str {
    match precision {
        Precision::Fp32 => "fp32",
        Precision::Tf32 => "tf32",
        Precision::Fp16 => "fp16",
        Precision::Bf16 => "bf16",
        Precision::Fp8(Fp8Recipe::Delayed) => "fp8 (delayed scaling)",
        Precision::Fp8(Fp8Recipe::Current) => "fp8 (current scaling)",
        Precision::Fp8(Fp8Recipe::Block) => "fp8 (block scaling)",
        Precision::Mxfp8 => "mxfp8",
        Precision::Nvfp4 => "nvfp4",
    }
}

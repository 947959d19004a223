//! Throughput and what share of the cards' peaks it is.

use motley_hardware::{Device, MathPath};
use motley_units::{FlopsPerSec, Time};
use motley_workload::Precision;
use serde::Serialize;

use crate::Subject;

/// Throughput, in absolute terms and against the cards' peaks.
///
/// Model FLOPs are the matrix products of forward and backward passes, attention over the full
/// square, nothing for recomputation (Narayanan et al. 2021; Korthikanti et al. 2022, equation 7).
/// Cards that the plan leaves idle are in no denominator.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Efficiency {
    /// Tokens of all pipelines, target sequences included; none if samples are images.
    pub tokens_per_s: Option<f64>,
    /// Samples of all pipelines: sequences, or images.
    pub samples_per_s: f64,
    /// For each card that the plan uses.
    pub tokens_per_card_per_s: Option<f64>,
    /// For each card that the plan uses.
    #[serde(skip)]
    pub samples_per_card_per_s: f64,
    /// Of an iteration.
    pub model_flops: f64,
    /// For each card that the plan uses.
    pub model_flops_per_card_per_s: f64,
    /// The same with recomputed work, as the kernels repeat it.
    pub hardware_flops_per_card_per_s: f64,
    /// Model FLOPs per second over the sum of the cards' best dense peaks in the width of the
    /// precision asked for. None if a card has no such peak.
    pub mfu_ratio: Option<f64>,
    /// With recomputed work.
    pub hfu_ratio: Option<f64>,
    /// Over the sum of the cards' peaks in the arithmetic that each really runs, so that a card
    /// without tensor cores, or in a fallback precision, counts for what it could do there.
    pub heterogeneous_mfu_ratio: Option<f64>,
    /// The sum of peaks of `mfu_ratio`.
    pub peak_flops_per_s: Option<f64>,
    /// The sum of peaks of `heterogeneous_mfu_ratio`.
    pub heterogeneous_peak_flops_per_s: Option<f64>,
}

impl Efficiency {
    pub(crate) fn new(subject: &Subject, iteration: Time) -> Self {
        let lowered = subject.lowered;
        let cards = lowered.places.len() as f64;
        let seconds = iteration.as_secs_f64();
        let rate = |amount: f64| if seconds > 0.0 { amount / seconds } else { 0.0 };
        let of_peak = |amount: f64, peak: Option<f64>| {
            peak.filter(|&peak| peak > 0.0).map(|peak| rate(amount) / peak)
        };
        let samples = f64::from(subject.global_batch);
        let training = subject.training;
        let target = if subject.model.has_target() { training.target_tokens() } else { 0 };
        let tokens = training
            .sequence_length
            .map(|length| samples * (f64::from(length) + f64::from(target)));
        let model_flops: f64 = lowered.model_flops.iter().sum();
        let hardware_flops = model_flops + lowered.recomputed_flops.iter().sum::<f64>();
        let device = |rank: usize| subject.cluster.device(lowered.places[rank].gpu);
        let best = (0..lowered.places.len())
            .map(|rank| best_peak(device(rank), subject.training.precision).map(|peak| peak.0))
            .sum::<Option<f64>>();
        let own = lowered
            .paths
            .iter()
            .enumerate()
            .map(|(rank, path)| device(rank).peak(path.math).map(|peak| peak.0))
            .sum::<Option<f64>>();
        Self {
            tokens_per_s: tokens.map(rate),
            samples_per_s: rate(samples),
            samples_per_card_per_s: rate(samples) / cards,
            tokens_per_card_per_s: tokens.map(|tokens| rate(tokens) / cards),
            model_flops,
            model_flops_per_card_per_s: rate(model_flops) / cards,
            hardware_flops_per_card_per_s: rate(hardware_flops) / cards,
            mfu_ratio: of_peak(model_flops, best),
            hfu_ratio: of_peak(hardware_flops, best),
            heterogeneous_mfu_ratio: of_peak(model_flops, own),
            peak_flops_per_s: best,
            heterogeneous_peak_flops_per_s: own,
        }
    }
}

/// A card's best dense peak in the width of `precision`, whether the training can use it or not: a
/// card without bf16 has its fp16 peak counted.
fn best_peak(device: &Device, precision: Precision) -> Option<FlopsPerSec> {
    let peak = |path| device.peak(path);
    let sixteen = || best_peak(device, Precision::Bf16);
    match precision {
        Precision::Nvfp4 => {
            peak(MathPath::Fp4Tensor).or_else(|| peak(MathPath::Fp8Tensor)).or_else(sixteen)
        }
        Precision::Fp8(_) | Precision::Mxfp8 => peak(MathPath::Fp8Tensor).or_else(sixteen),
        Precision::Fp16 | Precision::Bf16 => {
            let tensor = [MathPath::Fp16Tensor, MathPath::Bf16Tensor].into_iter().filter_map(peak);
            tensor
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .or_else(|| peak(MathPath::Fp16Vector))
                .or_else(|| peak(MathPath::Fp32))
        }
        Precision::Tf32 => peak(MathPath::Tf32).or_else(|| peak(MathPath::Fp32)),
        Precision::Fp32 => peak(MathPath::Fp32),
    }
}

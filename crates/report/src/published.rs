//! Published figures beside the predicted ones.

use serde::Serialize;

use crate::{Efficiency, IterationTime};

/// A measured figure that somebody published.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// What was measured, in a few words.
    pub what: String,
    /// The figure.
    pub value: PublishedValue,
    /// Where it is printed.
    pub source: String,
}

/// A figure with its unit. The ones by card count the cards that the plan uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PublishedValue {
    /// Iteration time.
    Seconds(f64),
    /// Throughput of the whole job.
    TokensPerSec(f64),
    /// Throughput of the whole job in samples: sequences, or images.
    SamplesPerSec(f64),
    /// Model FLOPs, recomputation not counted, in TFLOP/s and card.
    TflopsPerGpu(f64),
    /// FLOPs with recomputation, in TFLOP/s and card, as Megatron-LM printed until 2022.
    HardwareTflopsPerGpu(f64),
    /// Model FLOPs utilisation, 0 to 1.
    Mfu(f64),
}

/// A published figure and the prediction of the same quantity.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What was measured.
    pub what: String,
    /// Where it is printed.
    pub source: String,
    /// The two figures in the unit that they were published in.
    #[serde(flatten)]
    pub figures: Figures,
    /// predicted / published - 1; none if either is missing or zero.
    pub error_ratio: Option<f64>,
}

/// Published and predicted, by quantity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Figures {
    /// Iteration time.
    Seconds {
        /// As printed.
        published_s: f64,
        /// By the replay.
        predicted_s: f64,
    },
    /// Throughput.
    Tokens {
        /// As printed.
        published_tokens_per_s: f64,
        /// By the replay; none if samples are images.
        predicted_tokens_per_s: Option<f64>,
    },
    /// Throughput.
    Samples {
        /// As printed.
        published_samples_per_s: f64,
        /// By the replay.
        predicted_samples_per_s: f64,
    },
    /// FLOPs by card and second.
    Flops {
        /// As printed.
        published_flops_per_s: f64,
        /// By the replay.
        predicted_flops_per_s: f64,
    },
    /// Utilisation.
    Mfu {
        /// As printed.
        published_mfu_ratio: f64,
        /// By the replay; none if a card's peak is unknown.
        predicted_mfu_ratio: Option<f64>,
    },
}

impl Comparison {
    pub(crate) fn new(
        published: &Published,
        iteration: &IterationTime,
        found: &Efficiency,
    ) -> Self {
        const TERA: f64 = 1e12;
        let flops = |tera: f64, predicted_flops_per_s: f64| Figures::Flops {
            published_flops_per_s: tera * TERA,
            predicted_flops_per_s,
        };
        let figures = match published.value {
            PublishedValue::Seconds(published_s) => {
                Figures::Seconds { published_s, predicted_s: iteration.mean.as_secs_f64() }
            }
            PublishedValue::TokensPerSec(published_tokens_per_s) => Figures::Tokens {
                published_tokens_per_s,
                predicted_tokens_per_s: found.tokens_per_s,
            },
            PublishedValue::SamplesPerSec(published_samples_per_s) => Figures::Samples {
                published_samples_per_s,
                predicted_samples_per_s: found.samples_per_s,
            },
            PublishedValue::TflopsPerGpu(tera) => flops(tera, found.model_flops_per_card_per_s),
            PublishedValue::HardwareTflopsPerGpu(tera) => {
                flops(tera, found.hardware_flops_per_card_per_s)
            }
            PublishedValue::Mfu(published_mfu_ratio) => {
                Figures::Mfu { published_mfu_ratio, predicted_mfu_ratio: found.mfu_ratio }
            }
        };
        let (printed, predicted) = figures.values();
        let error_ratio =
            predicted.map(|predicted| predicted / printed - 1.0).filter(|error| error.is_finite());
        Self {
            what: published.what.clone(),
            source: published.source.clone(),
            figures,
            error_ratio,
        }
    }
}

impl Figures {
    /// Published and predicted, in SI units.
    pub fn values(&self) -> (f64, Option<f64>) {
        match *self {
            Self::Seconds { published_s, predicted_s } => (published_s, Some(predicted_s)),
            Self::Tokens { published_tokens_per_s, predicted_tokens_per_s } => {
                (published_tokens_per_s, predicted_tokens_per_s)
            }
            Self::Samples { published_samples_per_s, predicted_samples_per_s } => {
                (published_samples_per_s, Some(predicted_samples_per_s))
            }
            Self::Flops { published_flops_per_s, predicted_flops_per_s } => {
                (published_flops_per_s, Some(predicted_flops_per_s))
            }
            Self::Mfu { published_mfu_ratio, predicted_mfu_ratio } => {
                (published_mfu_ratio, predicted_mfu_ratio)
            }
        }
    }
}

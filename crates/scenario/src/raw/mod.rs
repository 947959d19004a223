//! The scenario file as its author writes it: names instead of catalogue entries, defaults left
//! out. [`crate::resolve`] makes a [`crate::Scenario`] of it.
//!
//! Every struct refuses fields that it does not know. Counts are bare numbers; every physical
//! quantity carries its unit. Enums are written by their variants' names, nothing is guessed from
//! the shape of a value, except that a range may stand for a list of one range.

mod cluster;
mod fabric;
mod indices;
mod plan;
mod training;
mod written_out;

pub use cluster::{RawCluster, RawGroup};
pub use fabric::{RawFabric, WrittenFabric};
pub use indices::{Cards, LayerRanges, Members};
pub use plan::{
    RawActivations, RawDispatch, RawGradientSync, RawOffload, RawOptimizerStep, RawOrder,
    RawPipeline, RawPlan, RawReduction, RawRepeat, RawSchedule, RawShares, RawSplit, RawStage,
    RawZero, RawZeroBubble,
};
pub use training::{RawAttention, RawOptimizer, RawTraining};

/// What is trained: a preset's name, or a model written out.
pub use motley_workload::Description as RawModel;

use motley_scheduler::Fidelity;
use motley_units::Seconds;
use motley_workload::RON_EXTENSIONS;
use ron::ser::PrettyConfig;
use serde::{Deserialize, Serialize};

use crate::syntax::tokens;

/// A scenario file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Scenario")]
pub struct RawScenario {
    /// What the scenario is asked, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// Where its figures are from, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// What others measured or computed for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<Published>,
    /// The machines.
    pub cluster: RawCluster,
    /// What is trained.
    pub model: RawModel,
    /// How it is trained.
    pub training: RawTraining,
    /// Who does what.
    pub plan: RawPlan,
    /// A file of measured times that count instead of predicted ones, from the folder of the
    /// scenario file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// How finely communication is simulated; `Bundled` unless given.
    #[serde(default)]
    pub fidelity: Fidelity,
    /// What varies from kernel to kernel and card to card; nothing, unless given.
    #[serde(default)]
    pub noise: Noise,
    /// Iterations to simulate.
    #[serde(default = "one")]
    pub iterations: u32,
    /// The seed of all noise.
    #[serde(default)]
    pub seed: u64,
}

/// Whether a field has the value that it has if left out.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn one() -> u32 {
    1
}

/// A figure that others published for the scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// What it is, in words.
    pub what: String,
    /// The figure.
    pub value: Measure,
    /// Where it was published.
    pub source: String,
}

/// A published figure, by what it measures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Measure {
    /// Time of an iteration.
    IterationTime(Seconds),
    /// Tokens per second of the whole cluster.
    TokensPerSec(f64),
    /// Samples per second of the whole cluster: sequences, or images.
    SamplesPerSec(f64),
    /// Model TFLOP/s of one card.
    TflopsPerGpu(f64),
    /// TFLOP/s of one card with recomputation counted, as Megatron-LM printed until 2022.
    HardwareTflopsPerGpu(f64),
    /// Model FLOPs utilisation, 0 to 1.
    Mfu(f64),
}

/// Random deviations, as relative standard deviations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Noise {
    /// Of each run of a kernel from its mean.
    pub kernel_jitter: f64,
    /// Of each card's speed from that of its kind.
    pub card_spread: f64,
    /// How fast cards go that differ so.
    #[serde(skip_serializing_if = "is_default")]
    pub pace: Pace,
}

/// How fast cards of one type go whose speeds differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pace {
    /// Each at its own, drawn for it.
    #[default]
    Own,
    /// All at the one that the slowest of them is expected to have: what waits for each other comes to
    /// that in the end. Nothing is drawn, and cards that were alike stay alike, so that large jobs are
    /// simulated as fast as without any spread.
    Slowest,
}

impl RawScenario {
    /// The scenario as a file with every default written out. Reading it gives this again.
    ///
    /// # Panics
    ///
    /// Never: all of these types can be written.
    pub fn to_ron(&self) -> String {
        written(self)
    }
}

/// A value as a scenario file writes it.
fn written(value: &impl Serialize) -> String {
    let style = PrettyConfig::new()
        .struct_names(false)
        .compact_ranges(true)
        .extensions(RON_EXTENSIONS)
        .new_line("\n");
    let text = ron::Options::default()
        .with_default_extension(RON_EXTENSIONS)
        .to_string_pretty(value, style)
        .expect("these types hold nothing that RON cannot write");
    // `ron` marks the variant `None`, which it reads without the mark where no option can be.
    tokens(&text)
        .map_while(Result::ok)
        .map(|token| match token.span.of(&text) {
            "r#None" => "None",
            other => other,
        })
        .collect()
}

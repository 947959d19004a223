//! Where the times of kernels and of collectives came from.

use motley_scheduler::{CollectiveSources, KernelSources};
use serde::Serialize;

/// Whose kernel times were simulated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KernelTimesSummary {
    /// `spec`: all predicted from what is known of the cards; `profile`: measured, as far as the
    /// scenario's profile has them.
    pub mode: &'static str,
    /// Kernels, each card, precision and shape once, whose time was measured.
    pub measured_kernel_count: u32,
    /// Layers, each card, degree and micro-batch once, whose times were measured.
    pub measured_layer_count: u32,
    /// Kernels whose time is predicted.
    pub predicted_kernel_count: u32,
    /// What these are, under a profile.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub predicted_operators: Vec<String>,
    /// Kernels of the profile that the scenario does not run.
    #[serde(skip_serializing_if = "is_default")]
    pub unused_profile_kernel_count: u32,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl KernelTimesSummary {
    /// Of a job's kernels.
    pub fn new(sources: &KernelSources) -> Self {
        let operators = || sources.predicted_operators.clone();
        Self {
            mode: if sources.profiled { "profile" } else { "spec" },
            measured_kernel_count: sources.measured_kernels,
            measured_layer_count: sources.measured_layers,
            predicted_kernel_count: sources.predicted_kernels,
            predicted_operators: if sources.profiled { operators() } else { Vec::new() },
            unused_profile_kernel_count: sources.unused_kernels,
        }
    }

    /// In words: `kernel times: profile (38 of 42 kernels, 2 layers measured)`.
    fn text(&self) -> String {
        if self.mode == "spec" {
            return "kernel times: spec".to_owned();
        }
        let all = self.measured_kernel_count + self.predicted_kernel_count;
        let layers = match self.measured_layer_count {
            0 => String::new(),
            1 => ", 1 layer".to_owned(),
            several => format!(", {several} layers"),
        };
        format!("kernel times: profile ({} of {all} kernels{layers})", self.measured_kernel_count)
    }
}

/// Whose times of collectives were simulated: of process groups, not of sends between stages.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CollectiveTimesSummary {
    /// `spec`: all predicted from what is known of the links; `profile`: measured, as far as the
    /// scenario's profile has them.
    pub mode: &'static str,
    /// Collectives, each kind, communicator and size once, whose time was measured.
    pub measured_collective_count: u32,
    /// Collectives whose time is predicted.
    pub predicted_collective_count: u32,
    /// The measured ones' share of the time that all take on idle links, under a profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured_time_ratio: Option<f64>,
    /// What the predicted ones are, under a profile.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub predicted_collectives: Vec<String>,
    /// Measured ones that are smaller than all sizes that were measured, and take as long as the smallest.
    #[serde(skip_serializing_if = "is_default")]
    pub below_measured_count: u32,
    /// Measured ones that are larger than all sizes that were measured, and get the largest one's bandwidth.
    #[serde(skip_serializing_if = "is_default")]
    pub beyond_measured_count: u32,
    /// Collectives of the profile, each kind and communicator once, that the scenario does not call.
    #[serde(skip_serializing_if = "is_default")]
    pub unused_profile_collective_count: u32,
}

impl CollectiveTimesSummary {
    /// Of a job's collectives.
    pub fn new(sources: &CollectiveSources) -> Self {
        Self {
            mode: if sources.profiled { "profile" } else { "spec" },
            measured_collective_count: sources.measured,
            predicted_collective_count: sources.predicted,
            measured_time_ratio: sources.profiled.then_some(sources.measured_time_ratio),
            predicted_collectives: sources.predicted_collectives.clone(),
            below_measured_count: sources.below,
            beyond_measured_count: sources.beyond,
            unused_profile_collective_count: sources.unused,
        }
    }

    /// In words: `collective times: profile (3 of 5, 87 % of time)`.
    fn text(&self) -> String {
        let Some(share) = self.measured_time_ratio else {
            return "collective times: spec".to_owned();
        };
        let measured = self.measured_collective_count;
        let all = measured + self.predicted_collective_count;
        let outside = match (self.below_measured_count, self.beyond_measured_count) {
            (0, 0) => String::new(),
            (below, 0) => format!("; {below} below measured sizes"),
            (0, beyond) => format!("; {beyond} beyond measured sizes"),
            (below, beyond) => format!("; {below} below, {beyond} beyond measured sizes"),
        };
        let share = 100.0 * share;
        format!("collective times: profile ({measured} of {all}, {share:.0} % of time{outside})")
    }
}

/// Whose times were simulated, in words: `all times: spec`, or of kernels and of collectives.
pub fn time_sources(kernels: &KernelTimesSummary, collectives: &CollectiveTimesSummary) -> String {
    if kernels.mode == "spec" && collectives.mode == "spec" {
        return "all times: spec".to_owned();
    }
    format!("{}; {}", kernels.text(), collectives.text())
}

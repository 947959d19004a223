//! Where the times of kernels came from.

use motley_scheduler::KernelSources;
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
    pub fn text(&self) -> String {
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

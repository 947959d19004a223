//! What is being planned, for commands that plan many clusters one after the other.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Time between two steps of its turning.
const STEP: Duration = Duration::from_millis(200);

/// One line on standard error, if that is a terminal.
#[derive(Debug)]
pub(crate) struct Spinner {
    bar: ProgressBar,
}

impl Spinner {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(STEP);
        Self { bar }
    }

    /// What is being planned, and how many plans were asked of the engine so far.
    pub(crate) fn tell(&self, what: &str, plans: u64) {
        self.bar.set_message(format!("planning {what}; {plans} plans"));
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

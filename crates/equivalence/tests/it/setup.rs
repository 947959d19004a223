//! Scenarios for the tests.

use motley::{Scenario, load_text};

/// Effort of a search: enough for a few nodes.
pub(crate) const BUDGET_S: f64 = 0.3;

/// BERT-large on these groups, its plan left open.
pub(crate) fn open(groups: &str, training: &str) -> Scenario {
    let text = format!(
        "(
            cluster: (groups: [{groups}], fabric: (technology: InfiniBand)),
            model: Preset(\"bert-large\"),
            training: (global_batch: 256, sequence_length: 512, {training}),
            plan: Auto,
        )"
    );
    load_text("test.ron", &text, &[]).unwrap_or_else(|rejected| panic!("{rejected}"))
}

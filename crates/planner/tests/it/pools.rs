//! Scenarios to be planned.

use motley::{Scenario, load_text};

/// A transformer small enough that hundreds of plans are replayed in no time.
pub(crate) fn small(layers: u32) -> String {
    format!(
        "Shape(name: \"small\", layers: {layers}, hidden: 1024, heads: 16, vocab: 8192, \
         positions: Rotary)"
    )
}

/// A scenario on InfiniBand that leaves its plan open.
pub(crate) fn open(groups: &str, model: &str, training: &str) -> Scenario {
    open_on("InfiniBand", groups, model, training)
}

/// A scenario that leaves its plan open.
pub(crate) fn open_on(technology: &str, groups: &str, model: &str, training: &str) -> Scenario {
    let text = format!(
        "(cluster: (groups: [{groups}], fabric: (technology: {technology})), model: {model}, \
         training: ({training}), plan: Auto)"
    );
    match load_text("pool.ron", &text, &[]) {
        Ok(scenario) => scenario,
        Err(rejected) => panic!("{rejected}\n{text}"),
    }
}

//! Scenarios for tests.

use motley::{Prepared, Scenario, load_text, prepare};
use motley_attribution::{Losses, Order, losses};
use motley_engine::Silent;

/// A transformer whose embedding and head are negligible.
pub(crate) const HEADLESS: &str = r#"Shape(name: "headless", layers: 16, hidden: 4096, heads: 32, vocab: 128, positions: Rotary)"#;

/// A scenario of these node groups and a plan; `training` goes into the training, `more` behind the plan.
pub(crate) fn text(groups: &str, model: &str, training: &str, plan: &str, more: &str) -> String {
    format!(
        "Scenario(
            cluster: (groups: [{groups}], fabric: (technology: InfiniBand)),
            model: {model},
            training: ({training}),
            plan: {plan},
            {more}
        )"
    )
}

pub(crate) fn scenario(text: &str) -> Scenario {
    load_text("test.ron", text, &[]).unwrap_or_else(|rejected| panic!("{text}\n{rejected}"))
}

pub(crate) fn lost(scenario: &Scenario, order: Order) -> Losses {
    lost_of(&prepare(scenario).unwrap(), order)
}

pub(crate) fn lost_of(prepared: &Prepared, order: Order) -> Losses {
    let replays = prepared.replay(&mut Silent, &|| {}).unwrap();
    losses(prepared, &replays, order).unwrap()
}

/// `found` is within `tolerance` of `expected`, relative to it.
#[track_caller]
pub(crate) fn near(found: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (found - expected).abs();
    assert!(error <= tolerance * expected.abs(), "{what}: found {found}, expected {expected}");
}

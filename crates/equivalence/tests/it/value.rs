//! What further nodes add.

use motley_equivalence::{Addition, Value, value};

use crate::setup::{BUDGET_S, open};

fn ask(groups: &str, training: &str, added: &str) -> Value {
    let addition = Addition::read(added, None).unwrap();
    value(&open(groups, training), &addition, BUDGET_S, &|_, _| {}).unwrap()
}

#[test]
fn as_many_again_of_the_same_nearly_double() {
    let answer = ask("(design: \"dgx-a100\", count: 1)", "precision: Fp16", "1 x dgx-a100");
    assert!((0.7..=1.0).contains(&answer.gain_ratio()), "{}", answer.gain_ratio());
    assert!((answer.alone_ratio - 1.0).abs() < 1e-9);
    let efficiency = answer.mixing_efficiency();
    assert!((efficiency - f64::midpoint(1.0, answer.gain_ratio())).abs() < 1e-9);
}

/// P100 have no bf16: they can do nothing, and are left idle.
#[test]
fn cards_that_cannot_train_add_nothing() {
    let answer = ask("(design: \"dgx-a100\", count: 1)", "precision: Bf16", "2 x dgx1-p100");
    assert!(answer.gain_ratio().abs() < 1e-12);
    assert!(answer.alone_ratio.abs() < 1e-12);
    assert_eq!(answer.steps.len(), 2);
    assert!(answer.steps.iter().all(|step| step.used_card_count == 0));
    assert!(answer.steps.iter().all(|step| step.gain_if_all_used_ratio.is_none()));
}

/// More nodes are never worse; forced to work they may be.
#[test]
fn gains_rise_and_forced_gains_do_not_exceed_them() {
    let answer = ask("(design: \"dgx-h100\", count: 2)", "precision: Fp16", "4 x dgx1-v100");
    assert_eq!(answer.steps.iter().map(|step| step.node_count).collect::<Vec<_>>(), [1, 2, 4]);
    assert!(answer.steps.is_sorted_by(|a, b| a.gain_ratio <= b.gain_ratio));
    for step in &answer.steps {
        assert!(step.gain_ratio >= 0.0);
        assert!(step.gain_if_all_used_ratio.is_none_or(|all| all <= step.gain_ratio + 1e-9));
    }
}

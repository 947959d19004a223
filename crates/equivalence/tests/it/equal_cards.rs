//! Equivalent counts.

use motley::Scenario;
use motley_equivalence::{Equivalent, Nodes, Question, Resource, equivalent};

use crate::setup::{BUDGET_S, open};

fn ask(scenario: &Scenario, card: &str) -> Equivalent {
    let question = Question {
        nodes: Nodes::of(card, None, None).unwrap(),
        budget_s: BUDGET_S,
        most: 128,
        models: Vec::new(),
        multiples: Vec::new(),
    };
    equivalent(scenario, &question, &|_, _| {}).unwrap()
}

#[test]
fn a_card_is_worth_itself() {
    let answer = ask(&open("(design: \"dgx-h100\", count: 2)", "precision: Bf16"), "h100-sxm");
    let count = answer.count.unwrap();
    assert_eq!(count.nodes, 2);
    assert!((count.cards - 16.0).abs() < 0.01, "{count:?}");
    assert!(count.low.unwrap() < 16.0);
    assert!(answer.hard_bounds.iter().all(|bound| (bound.ratio - 1.0).abs() < 1e-12));
    assert!(answer.given.is_empty(), "{:?}", answer.given);
    assert!((answer.cost_ratio().unwrap() - 1.0).abs() < 0.01);
}

#[test]
fn half_a_card_is_worth_less_than_a_card() {
    let half = "(design: \"dgx-h100\", count: 2, \
                scale: (compute: 0.5, memory_bandwidth: 0.5, card_links: 0.5))";
    let answer = ask(&open(half, "precision: Bf16"), "h100-sxm");
    let ratio = answer.count_ratio().unwrap();
    // Launches and the network are as they were.
    assert!((0.4..0.8).contains(&ratio), "{ratio}");
    let compute = answer.hard_bounds.iter().find(|bound| bound.resource == Resource::Compute);
    assert!((compute.unwrap().count - 8.0).abs() < 1e-9);
}

/// What the cut links of H800 and A800 can explain at most is known from the datasheets alone.
#[test]
fn cut_links_are_the_hard_bound() {
    let check = |design: &str, card: &str, ratio: f64| {
        let group = format!("(design: \"{design}\", count: 1)");
        let answer = ask(&open(&group, "precision: Bf16"), card);
        let bound = answer.hard_bound().unwrap();
        assert_eq!(bound.resource, Resource::CardLinks);
        assert!((bound.ratio - ratio).abs() < 1e-9, "{design}: {bound:?}");
        let found = answer.count_ratio().unwrap();
        assert!(found < ratio, "{design}: {found}");
        assert!(answer.given.iter().all(|given| given.gain_ratio >= 0.0));
    };
    check("dgx-h100", "h800-sxm", 900.0 / 400.0);
    check("dgx-a100", "a800-sxm-80", 600.0 / 400.0);
}

/// The best plan of more nodes is never slower: some may be left over.
#[test]
fn the_curve_rises() {
    let answer = ask(&open("(design: \"dgx-h100\", count: 1)", "precision: Fp16"), "v100-sxm2-32");
    assert!(answer.curve.len() > 2);
    assert!(
        answer.curve.is_sorted_by(|a, b| a.count < b.count && a.samples_per_s <= b.samples_per_s)
    );
    let count = answer.count.unwrap();
    assert!(count.low.is_none_or(|low| low < count.cards));
    assert!(count.high.is_none_or(|high| count.cards < high));
    // Volta is not Hopper: what sources of both differ by counts.
    let same = ask(&open("(design: \"dgx-h100\", count: 1)", "precision: Fp16"), "h800-sxm");
    assert!(same.log_error < answer.log_error);
}

#[test]
fn other_models_and_multiples_are_rows() {
    let scenario = open("(design: \"dgx-a100\", count: 1)", "precision: Fp16");
    let question = Question {
        nodes: Nodes::of("a800-sxm-80", None, None).unwrap(),
        budget_s: BUDGET_S,
        most: 64,
        models: vec!["bert-base".to_owned(), "bert-large".to_owned()],
        multiples: vec![1, 2],
    };
    let answer = equivalent(&scenario, &question, &|_, _| {}).unwrap();
    let rows: Vec<(&str, u32)> =
        answer.table.iter().map(|row| (row.model.as_str(), row.reference_count)).collect();
    assert_eq!(rows, [("bert-base", 8), ("bert-base", 16), ("bert-large", 8), ("bert-large", 16)]);
    let last = &answer.table[2];
    let difference = last.count_ratio.unwrap() / answer.count_ratio().unwrap() - 1.0;
    assert!(difference.abs() < 0.05, "{difference}");
}

#[test]
fn threads_change_nothing() {
    let scenario = open("(design: \"dgx-a100\", count: 1)", "precision: Fp16");
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let answer = pool.install(|| ask(&scenario, "v100-sxm2-32"));
        serde_json::to_string(&answer.document()).unwrap()
    };
    assert_eq!(with(1), with(3));
}

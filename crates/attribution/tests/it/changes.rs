//! Changes and comparisons, held against scenarios that are changed by hand.

use motley::{load_text, prepare};
use motley_attribution::{
    Order, Picos, WhatIf, WhatIfError, Wishes, compare, comparison_text, what_if,
};

use crate::setup::{HEADLESS, lost, near, scenario, text};

const MIXED: &str = r#"(design: "dgx1-v100", count: 1), (design: "dgx-a100", count: 1)"#;

const TRAINING: &str =
    "global_batch: 64, sequence_length: 1024, precision: Fp16, attention: Unfused";

const PLAN: &str = "Uniform(dp: 4, tp: 2, pp: 2, micro_batch_size: 1)";

fn mixed() -> String {
    text(MIXED, HEADLESS, TRAINING, PLAN, "")
}

fn of(text: &str, wishes: &Wishes) -> WhatIf {
    let scenario = scenario(text);
    what_if(&prepare(&scenario).unwrap(), wishes).unwrap()
}

/// A change gains what the scenario gains that is changed so by hand.
fn check(answer: &WhatIf, sort: &str, change: &str, by_hand: &[&str]) {
    let overrides: Vec<String> = by_hand.iter().map(|&each| each.to_owned()).collect();
    let changed = load_text("test.ron", &mixed(), &overrides).unwrap();
    let expected = motley::simulate(&changed).unwrap();
    let same = |gain: &&motley_attribution::Gain| gain.sort == sort && gain.change.contains(change);
    let found = answer.gains.iter().find(same).unwrap_or_else(|| panic!("{sort}: {answer:?}"));
    assert_eq!(found.figures.iteration, Picos::from(expected.iteration_time.mean), "{sort}");
    let gain = expected.efficiency.samples_per_s / answer.as_it_is.samples_per_s - 1.0;
    near(1.0 + found.gain_ratio, 1.0 + gain, 1e-12, sort);
}

#[test]
fn gains_are_those_of_scenarios_changed_by_hand() {
    let wishes = Wishes {
        swaps: vec![("v100-sxm2-32".to_owned(), "v100-sxm2-16".to_owned())],
        nics: vec!["edr".to_owned()],
        others: Vec::new(),
    };
    let answer = of(&mixed(), &wishes);
    check(&answer, "balance_layers", "layers", &["plan.layers=Proportional"]);
    check(&answer, "balance_micro_batches", "micro", &["plan.micro_batches=Proportional"]);
    check(&answer, "sequence_parallel", "", &["plan.sequence_parallel=true"]);
    let bucket = "plan.gradient_sync=Overlapped(bucket: MB(160))";
    check(&answer, "overlap_gradients", "", &[bucket]);
    check(&answer, "larger_micro_batches", "", &["plan.micro_batch_size=2"]);
    check(&answer, "double_micro_batches", "", &["training.global_batch=128"]);
    check(
        &answer,
        "remove_slowest",
        "V100",
        &["plan.dp=2", r#"cluster.groups=[(design: "dgx-a100", count: 1)]"#],
    );
    let all_new =
        r#"cluster.groups=[(design: "dgx-a100", count: 1), (design: "dgx-a100", count: 1)]"#;
    check(&answer, "swap_cards", "A100 SXM4 80 GB in place", &[all_new]);
    check(
        &answer,
        "nic",
        "ConnectX-5",
        &[r#"cluster.groups[0].nic="edr""#, r#"cluster.groups[1].nic="edr""#],
    );
    let ranked = answer.gains.is_sorted_by(|a, b| a.gain_ratio >= b.gain_ratio);
    assert!(ranked, "{:?}", answer.gains);
    // What the V100 cannot do, and what has no half.
    let refused = |sort: &str| answer.refused.iter().filter(|it| it.sort == sort).count();
    assert_eq!((refused("precision"), refused("smaller_micro_batches")), (2, 1));
    assert!(answer.refused.iter().all(|it| !it.reason.is_empty()));
}

#[test]
fn faster_links_never_lose_where_nothing_else_changes() {
    let answer = of(&mixed(), &Wishes::default());
    for gain in answer.gains.iter().filter(|gain| gain.sort == "card_links" || gain.sort == "nic") {
        assert!(gain.gain_ratio > -1e-3, "{gain:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let plan = "Uniform(dp: 1, tp: 8, pp: 2, micro_batch_size: 1, recompute: Full)";
    let training = "global_batch: 16, sequence_length: 4096, precision: Fp16, attention: Unfused";
    let groups = r#"(design: "dgx1-v100", count: 2)"#;
    let model = r#"Preset("llama-2-13b")"#;
    let answer = of(&text(groups, model, training, plan, ""), &Wishes::default());
    let refused = answer.refused.iter().find(|it| it.sort == "no_recompute").unwrap();
    assert!(refused.reason.contains("does not fit"), "{}", refused.reason);
}

#[test]
fn wishes_for_what_there_is_not_are_errors() {
    let check = |swap: (&str, &str), nic: &str, says: &str| {
        let wishes = Wishes {
            swaps: vec![(swap.0.to_owned(), swap.1.to_owned())],
            nics: vec![nic.to_owned()],
            others: Vec::new(),
        };
        let scenario = scenario(&mixed());
        let found = what_if(&prepare(&scenario).unwrap(), &wishes);
        let Err(WhatIfError::Wish(message)) = found else { panic!("{found:?}") };
        assert!(message.contains(says), "{message}");
    };
    check(("h100-sxm", "a100-sxm-80"), "edr", "no card `h100-sxm`");
    check(("a100-sxm-80", "h10-sxm"), "edr", "no card `h10-sxm`; did you mean `h");
    check(("a100-sxm-80", "h100-sxm"), "edx", "did you mean `edr`?");
}

#[test]
fn parts_of_a_comparison_sum_to_the_difference() {
    let texts = [
        mixed(),
        text(MIXED, HEADLESS, TRAINING, &PLAN.replace("pp: 2", "pp: 2, layers: Proportional"), ""),
        text(MIXED, HEADLESS, TRAINING, PLAN, "noise: (card_spread: 0.1)"),
    ];
    for order in [Order::Ordered, Order::Shapley] {
        for second in &texts {
            let both = [scenario(&texts[0]), scenario(second)];
            let prepared = both.each_ref().map(|each| prepare(each).unwrap());
            let found = compare([&prepared[0], &prepared[1]], order).unwrap();
            let sum: Picos = found.parts.iter().map(|part| part.difference).sum();
            assert_eq!(sum, found.difference);
            let [one, other] = both.each_ref().map(|each| lost(each, order).waterfall.simulated);
            assert_eq!(found.difference, other - one);
            let same = *second == texts[0];
            assert_eq!(found.differences.is_empty(), same, "{:?}", found.differences);
            assert_eq!(found.difference == Picos(0), same);
            for line in comparison_text(&found, ["a.ron", "b.ron"]).lines() {
                assert!(line.chars().count() <= 80, "{line}");
            }
        }
    }
}

/// One pipeline on each node, and one over both, written out; the fewest seconds over all cuts, and over all
/// ways to deal micro-batches, found by trying.
#[test]
fn plans_that_are_written_out_are_balanced_too() {
    let time = |plan: &str| {
        let scenario = scenario(&text(MIXED, HEADLESS, TRAINING, plan, ""));
        motley::simulate(&scenario).unwrap().iteration_time.mean.as_secs_f64()
    };
    let gain = |plan: &str, sort: &str| {
        let answer = of(&text(MIXED, HEADLESS, TRAINING, plan, ""), &Wishes::default());
        let found = answer.gains.iter().find(|gain| gain.sort == sort);
        found.unwrap_or_else(|| panic!("{sort}: {answer:?}")).figures.iteration.as_secs_f64()
    };
    let cut = |layers: u32| {
        format!(
            "Explicit(pipelines: [(micro_batches: 64, micro_batch_size: 1, stages: [
                (gpus: 0..8, layers: 0..{layers}), (gpus: 8..16, layers: {layers}..16),
            ])])"
        )
    };
    let least = (1..16).map(|layers| time(&cut(layers))).fold(f64::INFINITY, f64::min);
    near(gain(&cut(8), "balance_layers"), least, 0.02, "layers");

    let dealt = |old: u32| {
        format!(
            "Explicit(pipelines: [
                (micro_batches: {old}, micro_batch_size: 1, stages: [(gpus: 0..8, layers: 0..16)]),
                (micro_batches: {}, micro_batch_size: 1, stages: [(gpus: 8..16, layers: 0..16)]),
            ])",
            64 - old
        )
    };
    let least = (1..64).map(|old| time(&dealt(old))).fold(f64::INFINITY, f64::min);
    near(gain(&dealt(32), "balance_micro_batches"), least, 0.02, "micro-batches");
    let alone = "Explicit(pipelines: [
        (micro_batches: 64, micro_batch_size: 1, stages: [(gpus: 8..16, layers: 0..16)]),
    ])";
    near(gain(&dealt(32), "remove_slowest"), time(alone), 1e-9, "without the slowest");
    // Whose every pipeline has such a card is told so.
    let answer = of(&text(MIXED, HEADLESS, TRAINING, &cut(8), ""), &Wishes::default());
    let refused = answer.refused.iter().find(|refused| refused.sort == "remove_slowest").unwrap();
    assert!(refused.reason.contains("every pipeline"), "{refused:?}");
}

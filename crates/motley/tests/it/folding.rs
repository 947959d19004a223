//! Folding and remembering change no answer.

use std::path::{Path, PathBuf};

use motley::{Evaluator, Prepared, Replays, load, prepare, simulate};
use motley_engine::{Observer, Silent, expected_slowest};

use crate::fidelity;
use crate::random_plans::experts;
use crate::setup::{BERT, DEEP, Setup};

/// Watches nothing, but wants to see every rank.
struct EveryRank;

impl Observer for EveryRank {}

/// Holds the replays of a scenario's fold against those of the whole job, and says into how many
/// ranks it folds.
pub(crate) fn check(prepared: &Prepared<'_>) -> Option<usize> {
    let replays = prepared.replay(&mut Silent, &|| {}).unwrap();
    let whole = prepared.replay(&mut EveryRank, &|| {}).unwrap();
    let runs = |replays: &Replays| {
        [replays.runs.clone(), replays.balanced.iter().cloned().collect()].concat()
    };
    for (run, whole) in runs(&replays).iter().zip(runs(&whole)) {
        assert_eq!(run.outcome.digest, whole.outcome.digest);
        assert_eq!(run.outcome.instances, whole.outcome.instances);
        assert_eq!(run.outcome.operations, whole.outcome.operations);
    }
    assert_eq!(prepared.report(&replays).unwrap(), prepared.report(&whole).unwrap());
    prepared.fold().map(|fold| fold.job().ranks.len())
}

fn shipped() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let mut files: Vec<PathBuf> = ["", "measured", "measured/zero_bubble"]
        .iter()
        .flat_map(|part| folder.join(part).read_dir().unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "ron"))
        .collect();
    files.sort();
    files
}

/// Of the largest, only the plan is shortened: their full replays take long without optimisation.
#[test]
fn every_shipped_scenario_comes_out_as_unfolded() {
    let mut folded = 0;
    for path in shipped() {
        let scenario = load(&path, &[]).unwrap();
        let prepared = prepare(&scenario).unwrap();
        if prepared.operations(true) < 3_000_000 {
            folded += usize::from(check(&prepared).is_some());
        }
    }
    assert!(folded > 10, "only {folded} fold");
}

#[test]
fn what_is_alike_folds() {
    // Sixteen replicas of one card, in two equal nodes.
    assert_eq!(check(&prepare(&BERT.scenario()).unwrap()), Some(1));
    // Eight stages, none like another.
    assert_eq!(check(&prepare(&DEEP.scenario()).unwrap()), None);
    // Eight tensor-parallel ranks.
    let tensor = Setup {
        plan: "Uniform(dp: 1, tp: 8, pp: 1, micro_batch_size: 1, sequence_parallel: true)",
        ..DEEP
    };
    assert_eq!(check(&prepare(&tensor.scenario()).unwrap()), Some(1));
    // Jitter and cards of their own speed tell all apart.
    for noise in ["noise=(kernel_jitter: 0.01)", "noise=(card_spread: 0.01)"] {
        let scenario = motley::load_text("test.ron", &tensor.text(), &[noise.to_owned()]).unwrap();
        assert_eq!(check(&prepare(&scenario).unwrap()), None, "{noise}");
    }
}

/// Activations that go to the host meet those of neighbours on the way, and the ends of their copies are
/// told in another order than the folded ones.
#[test]
fn copies_to_the_host_beside_gathers_count_alike() {
    let model = experts(false);
    let setup = Setup {
        groups: r#"(design: "dgx1-v100", count: 1)"#,
        model: &model,
        training: "global_batch: 8, sequence_length: 384, precision: Fp16",
        plan: "Uniform(dp: 4, tp: 2, pp: 1, micro_batch_size: 1, sequence_parallel: true,
            schedule: GPipe, zero: (stage: 3), offload: [Activations])",
        ..BERT
    };
    assert_eq!(check(&prepare(&setup.scenario()).unwrap()), Some(2));
}

/// Cards at the pace of their slowest stay alike, are as slow as is expected of so many of their type,
/// and of two types each has its own.
#[test]
fn cards_at_the_pace_of_their_slowest_fold() {
    let noise = ["noise=(card_spread: 0.02, pace: Slowest)".to_owned()];
    let slowed = |text: &str| motley::load_text("test.ron", text, &noise).unwrap();
    assert_eq!(check(&prepare(&slowed(&BERT.text())).unwrap()), Some(1));
    let mixed = Setup {
        groups: r#"(design: "dgx1-v100", count: 1), (design: "dgx1-p100", count: 2)"#,
        plan: "Uniform(dp: 24, tp: 1, pp: 1, micro_batch_size: 4)",
        training: "global_batch: 96, sequence_length: 128, precision: Fp16",
        ..BERT
    };
    let scenario = slowed(&mixed.text());
    let prepared = prepare(&scenario).unwrap();
    let ranks = &prepared.lowered.job.ranks;
    let [of_eight, of_sixteen] = [8, 16].map(|cards| expected_slowest(cards, 0.02));
    assert!(1.0 < of_eight && of_eight < of_sixteen, "{of_eight} {of_sixteen}");
    for (index, rank) in ranks.iter().enumerate() {
        let expected = if index < 8 { of_eight } else { of_sixteen };
        assert_eq!(rank.slowness.to_bits(), expected.to_bits(), "{index}");
    }
}

/// Sixteen replicas of eight stages of eight cards each: with adaptive routing all replicas are
/// alike, and the cards of a stage too. With hashed routes some collide and some do not.
#[test]
fn replicas_fold_where_routes_are_alike() {
    let ranks = |routing: &str| {
        let text = Setup {
            groups: r#"(design: "dgx-h100", count: 128)"#,
            shape: &format!("RailOptimized(nodes_per_pod: 32, spines: 16), routing: {routing}"),
            model: r#"Preset("gpt3-175b")"#,
            training: "global_batch: 64, sequence_length: 2048, precision: Bf16",
            plan: "Uniform(dp: 16, tp: 8, pp: 8, micro_batch_size: 1, sequence_parallel: true)",
        };
        let scenario = text.scenario();
        let prepared = prepare(&scenario).unwrap();
        prepared.fold().map(|fold| fold.job().ranks.len())
    };
    assert_eq!(ranks("Adaptive"), Some(8));
    assert!(ranks("Ecmp").is_none_or(|ranks| ranks > 8));
}

/// In whatever order scenarios come, what is remembered of one does not tinge the next.
#[test]
fn an_evaluator_answers_as_if_afresh() {
    let mut evaluator = Evaluator::new();
    let plans = [
        "Uniform(dp: 16, tp: 1, pp: 1, micro_batch_size: 4)",
        "Uniform(dp: 4, tp: 2, pp: 2, micro_batch_size: 4)",
        "Uniform(dp: 2, tp: 8, pp: 1, micro_batch_size: 4)",
    ];
    let groups = [r#"(design: "dgx1-v100", count: 2)"#, r#"(design: "dgx1-p100", count: 2)"#];
    for (g, p) in [(0, 0), (0, 1), (0, 0), (1, 2), (1, 0), (0, 2), (0, 2)] {
        let scenario = Setup { groups: groups[g], plan: plans[p], ..BERT }.scenario();
        for scenario in [fidelity::pairwise(&scenario), scenario] {
            assert_eq!(evaluator.simulate(&scenario).unwrap(), simulate(&scenario).unwrap());
        }
    }
}

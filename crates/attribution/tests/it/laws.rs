//! Whatever the plan, parts sum to the whole.

use std::cell::Cell;

use motley::{Prepared, load_text, prepare};
use motley_attribution::{Order, Part, Picos, Switch, Switches, Waterfall, explain, without};
use motley_engine::{Engine, Silent};
use motley_job::RankId;
use motley_report::Account;
use motley_scheduler::Traffic;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;

use crate::setup::{lost_of, text};

const DENSE: &str =
    r#"Shape(name: "small", layers: 8, hidden: 768, heads: 12, vocab: 1536, positions: Rotary)"#;

const EXPERTS: &str = r#"Stack(name: "experts", embedding: Tokens(vocab: 1536, hidden: 768), layers: [
    (repeat: 8, layers: [Transformer(
        attention: (heads: 12, positions: Rotary, projections: Grouped(kv_heads: 4, head_dim: 64)),
        norm: RmsNorm,
        feed_forward: Experts(experts: 16, top_k: 2, expert: (ffn: 192, gated: true)),
    )]),
], head: Language(norm: RmsNorm))"#;

const MACHINES: [&str; 3] = [
    r#"(design: "dgx-a100", count: 2)"#,
    r#"(design: "dgx1-v100", count: 1), (design: "dgx-a100", count: 1)"#,
    r#"(design: "dgx-a100", count: 1), (design: "dgx-h100", count: 1)"#,
];

const SCHEDULES: [&str; 7] = [
    "OneFOneB",
    "GPipe",
    "Interleaved(chunks: 2)",
    "ZeroBubble(order: H1)",
    "ZeroBubble(order: V, activations: Available, optimizer_step: Synchronous)",
    "ZeroBubble(order: Automatic)",
    "DualPipeV",
];

const PLANS: [&str; 6] = [
    "dp: 4, tp: 2, pp: 2",
    "dp: 2, tp: 2, pp: 4, layers: Proportional",
    "dp: 8, tp: 1, pp: 2, micro_batches: Proportional",
    "dp: 16, tp: 1, pp: 1, gradient_sync: Overlapped(bucket: MiB(3))",
    "dp: 2, tp: 4, pp: 2, cp: 1, sequence_parallel: true, overlap_tensor: true",
    "dp: 2, tp: 2, pp: 2, cp: 2, sequence_parallel: true",
];

const MORE: [&str; 6] = [
    "",
    "zero: (stage: 1),",
    "zero: (stage: 2, overlap_gather: true),",
    "zero: (stage: 3, prefetch: 1),",
    "offload: [Optimizer],",
    "ep: 2, etp: 1, sequence_parallel: true,",
];

const NOISES: [&str; 5] = [
    "",
    "fidelity: Pairwise",
    "",
    "noise: (kernel_jitter: 0.1, card_spread: 0.05), iterations: 2",
    "noise: (card_spread: 0.05, pace: Slowest)",
];

fn check_sum(waterfall: &Waterfall) {
    let parts: Picos = waterfall.parts.iter().map(|part| part.loss).sum();
    assert_eq!(parts, waterfall.simulated - waterfall.ideal, "{waterfall:?}");
    assert!(waterfall.parts.iter().all(|part| part.loss_ratio.is_finite()));
    // Busy times are in this order whatever the plan.
    for part in [Part::Bubble, Part::StageImbalance, Part::DataParallelStraggling] {
        assert!(waterfall.loss_of(part) >= Picos(0), "{part:?}: {waterfall:?}");
    }
}

/// Whether the scenario is accepted: then all laws hold.
fn check(text: &str) -> bool {
    let Ok(scenario) = load_text("test.ron", text, &[]) else { return false };
    let prepared = prepare(&scenario).unwrap();
    let [ordered, shapley] =
        [Order::Ordered, Order::Shapley].map(|order| lost_of(&prepared, order));
    for losses in [&ordered, &shapley] {
        check_sum(&losses.waterfall);
    }
    let (one, other) = (&ordered.waterfall, &shapley.waterfall);
    assert_eq!((one.simulated, one.ideal), (other.simulated, other.ideal));
    assert_eq!(one.compute_only, other.compute_only);
    for part in Part::all().filter(|part| !matches!(part, Part::Switch(_))) {
        assert_eq!(one.loss_of(part), other.loss_of(part), "{part:?}");
    }
    if !text.contains("noise") {
        assert_eq!(one.loss_of(Part::Spread), Picos(0));
    }
    for card in &ordered.card_types {
        let off = (card.total() - one.simulated).0.abs();
        // Each of the parts is rounded.
        assert!(off <= 24, "{}: {off} ps", card.id);
    }
    silent_jobs_move_nothing(&prepared);
    check_path(&prepared);
    true
}

/// The critical path is as long as the iteration, whoever is taken as one.
fn check_path(prepared: &Prepared) {
    let explanation = explain(prepared).unwrap();
    let replays = prepared.replay(&mut Silent, &|| {}).unwrap();
    assert_eq!(explanation.iteration, Picos::from(replays.runs[0].outcome.end));
    let shares: Picos = explanation.shares.iter().map(|share| share.time).sum();
    assert_eq!(shares, explanation.iteration, "{:?}", explanation.sentences);
    let cards: Picos = explanation.card_types.iter().map(|card| card.time).sum();
    assert_eq!(cards, explanation.iteration);
}

/// Without all causes the job still meets, and nothing moves.
fn silent_jobs_move_nothing(prepared: &Prepared) {
    let off: Switches = Switch::ALL.into_iter().collect();
    let job = without(&prepared.lowered.job, off);
    Engine::new(&job).unwrap();
    let mut account = Account::new(&job);
    prepared.replay_altered(&job, None, &mut account).unwrap();
    for rank in (0..job.ranks.len() as u32).map(RankId) {
        assert_eq!(account.slowed(rank).as_picos(), 0);
        for class in Traffic::ALL {
            assert_eq!(account.exposed(rank, class).as_picos(), 0, "{class:?}");
        }
    }
}

#[test]
fn parts_sum_to_the_whole() {
    let accepted = Cell::new(0);
    let drawn = (
        select(&MACHINES[..]),
        select(&[DENSE, EXPERTS][..]),
        select(&SCHEDULES[..]),
        select(&PLANS[..]),
        select(&MORE[..]),
        select(&NOISES[..]),
    );
    let config =
        ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&drawn, |(groups, model, schedule, plan, more, noise)| {
            // A field that stands twice is no plan.
            let more = if plan.contains("sequence_parallel") {
                more.replace("sequence_parallel: true,", "")
            } else {
                more.to_owned()
            };
            let plan = format!("Uniform({plan}, micro_batch_size: 1, {more} schedule: {schedule})");
            let training = "global_batch: 64, sequence_length: 384, precision: Fp16";
            let text = text(groups, model, training, &plan, noise);
            accepted.set(accepted.get() + u32::from(check(&text)));
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    assert!(accepted.get() > 60, "only {} plans are accepted", accepted.get());
}

#[test]
fn parts_of_unlike_pipelines_sum_to_the_whole() {
    let plan = "Explicit(gradient_sync: Overlapped(bucket: MiB(3)), pipelines: [
        (micro_batches: 24, micro_batch_size: 1, stages: [
            (gpus: 0..2, layers: 0..3), (gpus: 8..12, layers: 3..8)]),
        (micro_batches: 12, micro_batch_size: 2, stages: [(gpus: [2, 3, 12, 13], layers: 0..8)]),
        (micro_batches: 16, micro_batch_size: 1, stages: [
            (gpus: [4], layers: 0..1), (gpus: [14], layers: 1..7), (gpus: [5], layers: 7..8)]),
    ])";
    let training = "global_batch: 64, sequence_length: 384, precision: Fp16";
    for groups in MACHINES {
        assert!(check(&text(groups, DENSE, training, plan, "")), "{groups}");
    }
}

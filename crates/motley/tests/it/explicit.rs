//! Plans in which nothing is uniform.

use crate::conservation;
use crate::setup::{Setup, near, played, scenario};

/// Sixteen cards of two kinds; 24 sequences; a model of 12 layers with tied embeddings.
fn setup(plan: &str) -> String {
    Setup {
        groups: r#"(design: "dgx1-v100", count: 1), (design: "dgx1-p100", count: 1)"#,
        shape: "SingleSwitch",
        model: r#"Shape(name: "small", layers: 12, hidden: 768, heads: 12, vocab: 51456, positions: Rotary)"#,
        training: "global_batch: 24, sequence_length: 384, precision: Fp16",
        plan,
    }
    .text()
}

/// The plan of these pipelines runs and conserves what every plan conserves, whenever gradients
/// are averaged.
fn check(schedule: &str, pipelines: &str) {
    for sync in ["AtEnd", "Overlapped(bucket: MiB(4))", "Overlapped(bucket: GiB(4))"] {
        for sequence_parallel in [false, true] {
            let plan = format!(
                "Explicit(schedule: {schedule}, gradient_sync: {sync}, \
                 sequence_parallel: {sequence_parallel}, pipelines: [{pipelines}])"
            );
            conservation::check(&scenario(&setup(&plan)));
        }
    }
}

#[test]
fn unlike_tensor_parallel_degrees() {
    check(
        "OneFOneB",
        "(micro_batches: 16, micro_batch_size: 1, stages: [(gpus: 0..4, layers: 0..12)]),
         (micro_batches: 8, micro_batch_size: 1, stages: [(gpus: 8..10, layers: 0..12)])",
    );
    // Degrees that do not divide each other: twelve shards.
    check(
        "OneFOneB",
        "(micro_batches: 12, micro_batch_size: 1, stages: [(gpus: 0..4, layers: 0..12)]),
         (micro_batches: 12, micro_batch_size: 1, stages: [(gpus: 4..7, layers: 0..12)])",
    );
}

#[test]
fn unlike_cuts() {
    check(
        "OneFOneB",
        "(micro_batches: 16, micro_batch_size: 1, stages: [
             (gpus: 0..4, layers: 0..6), (gpus: 4..8, layers: 6..12)]),
         (micro_batches: 8, micro_batch_size: 1, stages: [
             (gpus: 8..12, layers: 0..9), (gpus: 12..16, layers: 9..12)])",
    );
}

#[test]
fn unlike_depths() {
    check(
        "OneFOneB",
        "(micro_batches: 12, micro_batch_size: 1, stages: [
             (gpus: [0], layers: 0..3), (gpus: [1], layers: 3..6),
             (gpus: [2], layers: 6..9), (gpus: [3], layers: 9..12)]),
         (micro_batches: 8, micro_batch_size: 1, stages: [
             (gpus: 4..6, layers: 0..7), (gpus: 6..8, layers: 7..12)]),
         (micro_batches: 4, micro_batch_size: 1, stages: [(gpus: 8..12, layers: 0..12)])",
    );
}

#[test]
fn unlike_micro_batches() {
    check(
        "GPipe",
        "(micro_batches: 5, micro_batch_size: 3, stages: [(gpus: 0..2, layers: 0..12)]),
         (micro_batches: 1, micro_batch_size: 4, stages: [(gpus: 2..4, layers: 0..12)]),
         (micro_batches: 5, micro_batch_size: 1, stages: [(gpus: 8..10, layers: 0..12)])",
    );
}

#[test]
fn unlike_degrees_within_a_pipeline() {
    check(
        "OneFOneB",
        "(micro_batches: 16, micro_batch_size: 1, stages: [
             (gpus: 0..4, layers: 0..8, recompute: Selective),
             (gpus: 8..10, layers: 8..10, recompute: Full),
             (gpus: [10], layers: 10..12)]),
         (micro_batches: 8, micro_batch_size: 1, stages: [
             (gpus: [12], layers: 0..2), (gpus: [4, 6], layers: 2..12)])",
    );
}

#[test]
fn a_stage_of_unlike_cards() {
    check(
        "OneFOneB",
        "(micro_batches: 24, micro_batch_size: 1, stages: [
             (gpus: [0, 1, 8, 9], layers: 0..12)])",
    );
}

#[test]
fn interleaved_chunks_of_unlike_sizes() {
    check(
        "Interleaved(chunks: 2)",
        "(micro_batches: 16, micro_batch_size: 1, stages: [
             (gpus: 0..4, layers: [0..4, 8..10]), (gpus: 4..8, layers: [4..8, 10..12])]),
         (micro_batches: 8, micro_batch_size: 1, stages: [
             (gpus: 8..10, layers: [0..1, 5..9]), (gpus: 10..14, layers: [1..5, 9..12])])",
    );
}

/// Stages of unlike cards, degrees and layers, pipelines of unlike depth, few micro-batches.
#[test]
fn split_backward_passes_on_unlike_stages() {
    for schedule in [
        "ZeroBubble(order: H1)",
        "ZeroBubble(order: H2)",
        "ZeroBubble(order: Automatic)",
        "ZeroBubble(order: Automatic, activations: Stages(2), optimizer_step: Synchronous)",
        "ZeroBubble(order: Automatic, activations: Available)",
    ] {
        check(
            schedule,
            "(micro_batches: 13, micro_batch_size: 1, stages: [
                 (gpus: [0], layers: 0..5), (gpus: 8..10, layers: 5..7, recompute: Selective),
                 (gpus: 1..3, layers: 7..12)]),
             (micro_batches: 4, micro_batch_size: 2, stages: [
                 (gpus: 4..8, layers: 0..9), (gpus: [10, 3], layers: 9..12)]),
             (micro_batches: 3, micro_batch_size: 1, stages: [
                 (gpus: [11], layers: 0..3), (gpus: [12], layers: 3..6),
                 (gpus: [13], layers: 6..9, recompute: Full), (gpus: [14], layers: 9..12)])",
        );
    }
}

#[test]
fn unlike_stages_of_a_vee() {
    for schedule in ["ZeroBubble(order: V)", "ZeroBubble(order: V, activations: Stages(2))"] {
        check(
            schedule,
            "(micro_batches: 21, micro_batch_size: 1, stages: [
                 (gpus: 0..2, layers: [0..4, 11..12]), (gpus: [8], layers: [4..5, 10..11]),
                 (gpus: 2..4, layers: [5..7, 7..10])]),
             (micro_batches: 3, micro_batch_size: 1, stages: [
                 (gpus: [9], layers: [0..0, 12..12]), (gpus: 4..8, layers: [0..7, 7..12])])",
        );
    }
    check(
        "DualPipeV",
        "(micro_batches: 16, micro_batch_size: 1, stages: [
             (gpus: 0..2, layers: [0..4, 11..12]), (gpus: [8], layers: [4..5, 10..11]),
             (gpus: 2..4, layers: [5..7, 7..10])]),
         (micro_batches: 4, micro_batch_size: 2, stages: [
             (gpus: [9], layers: [0..2, 11..12]), (gpus: 4..8, layers: [2..7, 7..11])])",
    );
}

#[test]
fn unlike_stages_with_two_copies() {
    check(
        "DualPipe",
        "(micro_batches: 16, micro_batch_size: 1, stages: [
             (gpus: 0..2, layers: [0..4, 11..12]), (gpus: [8], layers: [4..5, 5..11]),
             (gpus: [9], layers: [5..11, 4..5]), (gpus: 2..4, layers: [11..12, 0..4])]),
         (micro_batches: 4, micro_batch_size: 2, stages: [
             (gpus: 4..8, layers: [0..7, 7..12]), (gpus: 10..12, layers: [7..12, 0..7])])",
    );
}

/// A cluster of which a plan uses a part runs like the part alone, noise included, and the rest
/// stays idle.
#[test]
fn idle_cards_do_not_matter() {
    let plan = "Explicit(pipelines: [
        (micro_batches: 12, micro_batch_size: 1, stages: [(gpus: 0..4, layers: 0..12)]),
        (micro_batches: 12, micro_batch_size: 1, stages: [(gpus: 4..8, layers: 0..12)])])";
    let mut digests = Vec::new();
    for noise in ["", "noise: (kernel_jitter: 0.1, card_spread: 0.1), iterations: 3,"] {
        let text = setup(plan).replace("plan:", &format!("{noise} plan:"));
        let whole = scenario(&text);
        let alone = scenario(&text.replace(r#", (design: "dgx1-p100", count: 1)"#, ""));
        let (whole, alone) = (played(&whole), played(&alone));
        for (one, other) in whole.1.runs.iter().zip(&alone.1.runs) {
            assert_eq!(one.outcome.digest, other.outcome.digest);
            digests.push(one.outcome.digest);
        }
        let report = whole.0.report(&whole.1).unwrap();
        assert_eq!(report.plan.idle_card_count, 8);
        assert_eq!(report.card_types[1].used, None);
    }
    let all = digests.len();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!((all, digests.len()), (4, 4), "every iteration has its own noise");
}

/// Work in proportion to speed, cards in any order: a pipeline is as fast as its cards, whichever
/// of their kind they are.
#[test]
fn equal_cards_can_change_places() {
    let plan = |gpus: &str| {
        format!("Explicit(pipelines: [(micro_batches: 24, micro_batch_size: 1, stages: [{gpus}])])")
    };
    let time = |stages: &str| {
        let scenario = scenario(&setup(&plan(stages)).replace("dgx1-v100", "dgx-a100"));
        let end = played(&scenario).1.runs[0].outcome.end;
        end.as_secs_f64()
    };
    let natural = time("(gpus: 0..4, layers: 0..6), (gpus: 4..8, layers: 6..12)");
    for stages in [
        "(gpus: 4..8, layers: 0..6), (gpus: 0..4, layers: 6..12)",
        "(gpus: [7, 1, 4, 2], layers: 0..6), (gpus: [0, 3, 6, 5], layers: 6..12)",
    ] {
        near(time(stages), natural, 1e-9, stages);
    }
}

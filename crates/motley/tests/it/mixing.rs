//! Unlike cards together: the slowest sets the pace, and shares by speed win the loss back.

use crate::setup::{BERT, Setup, near, seconds};

const V100: &str = r#"(design: "dgx1-v100", count: 4)"#;
const P100: &str = r#"(design: "dgx1-p100", count: 4)"#;
const MIX: &str = r#"(design: "dgx1-v100", count: 2), (design: "dgx1-p100", count: 2)"#;

/// 32 replicas, by default eight micro-batches each.
const JOB: Setup = Setup {
    groups: MIX,
    training: "global_batch: 1024, sequence_length: 512, precision: Fp16, attention: Unfused",
    plan: "Uniform(dp: 32, tp: 1, pp: 1, micro_batch_size: 4)",
    ..BERT
};

/// With equal shares the fast cards gain nothing, and the reported loss is that of the two kinds'
/// own times: work spread by speed takes each the harmonic mean.
fn check_equal_shares(job: Setup<'_>) {
    let fast = Setup { groups: V100, ..job }.seconds();
    let slow = Setup { groups: P100, ..job }.seconds();
    assert!(fast < slow / 2.0, "{fast} {slow}");
    let mixed = job.report();
    near(seconds(&mixed), slow, 0.02, "the mix against all P100");
    let balanced = 2.0 / (1.0 / fast + 1.0 / slow);
    let loss = mixed.imbalance.as_ref().unwrap().loss_ratio;
    near(loss, 1.0 - balanced / slow, 0.03, "loss of the mix");
}

#[test]
fn the_slow_cards_set_the_pace_of_equal_shares() {
    check_equal_shares(JOB);
    check_equal_shares(Setup {
        plan: "Uniform(dp: 32, tp: 1, pp: 1, micro_batch_size: 4, \
               gradient_sync: Overlapped(bucket: MiB(25)))",
        ..JOB
    });
    check_equal_shares(Setup {
        model: r#"Preset("gpt3-350m")"#,
        training: "global_batch: 64, sequence_length: 1024, precision: Fp16",
        plan: "Uniform(dp: 8, tp: 4, pp: 1, micro_batch_size: 1)",
        ..JOB
    });
}

#[test]
fn shares_by_speed_win_back_four_fifths_of_the_loss() {
    for (model, training, plan) in [
        (JOB.model, JOB.training, "dp: 32, tp: 1, pp: 1, micro_batch_size: 4"),
        (
            r#"Preset("gpt3-350m")"#,
            "global_batch: 256, sequence_length: 1024, precision: Fp16",
            "dp: 8, tp: 4, pp: 1, micro_batch_size: 1",
        ),
    ] {
        let by = |share: &str| {
            let plan = format!("Uniform({plan}, micro_batches: {share})");
            Setup { model, training, plan: &plan, ..JOB }.report()
        };
        let (equal, proportional) = (by("Equal"), by("Proportional"));
        let loss = seconds(&equal) - equal.imbalance.as_ref().unwrap().balanced.as_secs_f64();
        let won = seconds(&equal) - seconds(&proportional);
        assert!(won >= 0.8 * loss, "{plan}: won back {won} s of {loss} s");
        assert!(
            proportional.imbalance.as_ref().unwrap().loss_ratio
                < 0.4 * equal.imbalance.as_ref().unwrap().loss_ratio
        );
    }
}

/// A pipeline whose stages hold layers by the speed of their cards beats one of equal stages, and
/// no split beats the balanced bound by more than what the links let it.
#[test]
fn layers_by_speed_win_in_a_pipeline() {
    let by = |split: &str| {
        let plan = format!("Uniform(dp: 4, tp: 4, pp: 2, micro_batch_size: 1, layers: {split})");
        Setup {
            model: r#"Preset("gpt3-1.3b")"#,
            training: "global_batch: 128, sequence_length: 1024, precision: Fp16",
            plan: &plan,
            ..JOB
        }
        .report()
    };
    let (equal, proportional) = (by("Equal"), by("Proportional"));
    assert!(seconds(&proportional) < 0.75 * seconds(&equal));
    assert!(
        proportional.imbalance.as_ref().unwrap().loss_ratio
            < 0.3 * equal.imbalance.as_ref().unwrap().loss_ratio
    );
    // The best of all splits by hand is no better than what `Proportional` finds.
    let best = (12..24)
        .map(|first| seconds(&by(&format!("Counts([{first}, {}])", 24 - first))))
        .fold(f64::INFINITY, f64::min);
    near(seconds(&proportional), best, 0.03, "proportional against the best split");
}

/// Layers of the stages of the first pipeline by chunk, and micro-batches of all pipelines.
fn dealt(plan: &str) -> (Vec<Vec<u32>>, Vec<u32>) {
    let scenario = Setup {
        groups: r#"(design: "dgx1-v100", count: 1), (design: "dgx1-p100", count: 1)"#,
        model: r#"Preset("gpt3-1.3b")"#,
        training: "global_batch: 96, sequence_length: 1024, precision: Fp16",
        plan,
        ..JOB
    }
    .scenario();
    let plan = motley::prepare(&scenario).unwrap().plan;
    let stages = plan.pipelines[0].stages.iter();
    let layers =
        stages.map(|stage| stage.chunks.iter().map(|chunk| chunk.end - chunk.start).collect());
    (layers.collect(), plan.pipelines.iter().map(|pipeline| pipeline.micro_batches).collect())
}

#[test]
fn layers_by_speed_follow_the_placement() {
    let total = |layers: &[Vec<u32>]| layers.iter().flatten().sum::<u32>();
    let of = |stage: &Vec<u32>| stage.iter().sum::<u32>();
    let layers = |schedule: &str| {
        let plan = format!(
            "Uniform(dp: 1, tp: 4, pp: 4, micro_batch_size: 1, layers: Proportional, \
             schedule: {schedule})"
        );
        dealt(&plan).0
    };
    for schedule in ["Interleaved(chunks: 2)", "ZeroBubble(order: V)", "DualPipeV"] {
        let layers = layers(schedule);
        assert_eq!(total(&layers), 24, "{schedule}");
        // Two stages of V100 before two of P100; each halves its share over its chunks.
        assert!(of(&layers[0]) > 2 * of(&layers[2]), "{schedule}: {layers:?}");
        for stage in &layers {
            assert!(stage[0].abs_diff(stage[1]) <= 1 && stage[0] > 0, "{schedule}: {layers:?}");
        }
        if schedule != "Interleaved(chunks: 2)" {
            // Both ends of the model are on the first stage.
            assert!(of(&layers[0]) < of(&layers[1]), "{schedule}: {layers:?}");
        }
    }
    // Both directions are cut alike, so that a stage and the one opposite hold the same layers; the
    // slower of the two counts, here in both pairs a P100.
    let layers = layers("DualPipe");
    assert_eq!(total(&layers), 48);
    for (stage, opposite) in layers.iter().zip(layers.iter().rev()) {
        assert_eq!((stage[0], stage[1]), (opposite[1], opposite[0]), "{layers:?}");
        assert!(of(stage).abs_diff(of(&layers[0])) <= 4, "{layers:?}");
    }
}

/// Micro-batches by speed come in the steps that the schedule can run.
#[test]
fn micro_batches_by_speed_suit_the_schedule() {
    for (schedule, step, least) in [
        ("OneFOneB", 1, 1),
        ("Interleaved(chunks: 2)", 4, 4),
        ("ZeroBubble(order: Automatic)", 1, 1),
        ("DualPipe", 2, 8),
        ("DualPipeV", 1, 8),
    ] {
        // Two pipelines of V100, two of P100.
        let plan = format!(
            "Uniform(dp: 4, tp: 1, pp: 4, micro_batch_size: 1, order: TpPpDp, \
             micro_batches: Proportional, schedule: {schedule})"
        );
        let (_, counts) = dealt(&plan);
        assert_eq!(counts.iter().sum::<u32>(), 96, "{schedule}");
        assert!(counts[0] > 2 * counts[3], "{schedule}: {counts:?}");
        for count in &counts {
            assert!(count % step == 0 && *count >= least, "{schedule}: {counts:?}");
        }
    }
}

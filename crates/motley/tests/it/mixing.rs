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

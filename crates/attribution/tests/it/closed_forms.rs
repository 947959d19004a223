//! Losses that can be worked out by hand.

use motley_attribution::{Losses, Measure, Order, Part, Picos, Switch};

use crate::setup::{HEADLESS, lost, near, scenario, text};

const SGD: &str = "sequence_length: 8192, precision: Bf16, optimizer: Sgd, host_launch: Graphs";

fn of(groups: &str, batch: u32, plan: &str, more: &str) -> Losses {
    let training = format!("global_batch: {batch}, {SGD}");
    lost(&scenario(&text(groups, HEADLESS, &training, plan, more)), Order::Ordered)
}

fn share(losses: &Losses, part: Part) -> f64 {
    losses.waterfall.loss_of(part).share_of(losses.waterfall.simulated)
}

/// Narayanan et al. 2021, section 2.2: a bubble of (p - 1) / (v m) of the time of all passes. The optimizer
/// step, which it leaves out, is about one part in a hundred here.
fn check_bubble(stages: u32, micro_batches: u32, chunks: u32, schedule: &str) {
    let replicas = 8 / stages;
    let plan = format!(
        "Uniform(dp: {replicas}, tp: 1, pp: {stages}, micro_batch_size: 1, schedule: {schedule})"
    );
    let losses = of(r#"(design: "dgx-h100", count: 1)"#, replicas * micro_batches, &plan, "");
    let (p, m, v) = (f64::from(stages), f64::from(micro_batches), f64::from(chunks));
    near(losses.metric(Measure::BubbleFraction), (p - 1.0) / (v * m + p - 1.0), 0.02, schedule);
    assert_eq!(losses.waterfall.loss_of(Part::ComputeHeterogeneity), Picos(0));
    assert_eq!(losses.waterfall.loss_of(Part::DataParallelStraggling), Picos(0));
    assert_eq!(losses.waterfall.loss_of(Part::Spread), Picos(0));
    assert!(share(&losses, Part::StageImbalance) < 0.01);
}

#[test]
fn bubbles_of_equal_stages() {
    check_bubble(8, 8, 1, "OneFOneB");
    check_bubble(4, 16, 1, "OneFOneB");
    check_bubble(8, 8, 1, "GPipe");
    check_bubble(8, 16, 2, "Interleaved(chunks: 2)");
    check_bubble(4, 16, 4, "Interleaved(chunks: 4)");
}

#[test]
fn a_card_alone_loses_nothing_to_others() {
    let plan = "Explicit(pipelines: [(micro_batches: 4, micro_batch_size: 1, stages: [
        (gpus: [0], layers: 0..16)])])";
    let losses = of(r#"(design: "dgx-h100", count: 1)"#, 4, plan, "");
    let spread_alone = losses.waterfall.parts.iter().filter(|part| part.loss.0 != 0).count();
    assert_eq!(spread_alone, 0, "{:?}", losses.waterfall);
    assert_eq!(losses.waterfall.ideal, losses.waterfall.simulated);
}

/// Two replicas, one on each type: with a and b the compute of each, work moves freely to
/// 2 a b / (a + b).
#[test]
fn two_types_side_by_side() {
    let groups = r#"(design: "dgx-a100", count: 1), (design: "dgx-h100", count: 1)"#;
    let losses = of(groups, 32, "Uniform(dp: 16, tp: 1, pp: 1, micro_batch_size: 1)", "");
    let [a, b] = [0, 1].map(|row: usize| losses.card_types[row].compute.as_secs_f64());
    let waterfall = &losses.waterfall;
    near(waterfall.ideal.as_secs_f64(), 2.0 * a * b / (a + b), 1e-9, "ideal");
    let part = |part| waterfall.loss_of(part).as_secs_f64();
    near(part(Part::DataParallelStraggling), (a - b).abs() / 2.0, 1e-9, "straggling");
    let mean = f64::midpoint(a, b);
    near(part(Part::ComputeHeterogeneity), mean - 2.0 * a * b / (a + b), 1e-9, "heterogeneity");
    assert_eq!(waterfall.loss_of(Part::StageImbalance), Picos(0));
}

/// The same types as stages of one pipeline lose the same, but as imbalance of stages.
#[test]
fn two_types_one_after_the_other() {
    let groups = r#"(design: "dgx-a100", count: 1), (design: "dgx-h100", count: 1)"#;
    let plan = "Explicit(pipelines: [(micro_batches: 8, micro_batch_size: 1, stages: [
        (gpus: 0..4, layers: 0..8), (gpus: 8..12, layers: 8..16)])])";
    let losses = of(groups, 8, plan, "");
    let [a, b] = [0, 1].map(|row: usize| losses.card_types[row].compute.as_secs_f64());
    let part = |part| losses.waterfall.loss_of(part).as_secs_f64();
    near(part(Part::StageImbalance), (a - b).abs() / 2.0, 1e-9, "imbalance");
    assert_eq!(losses.waterfall.loss_of(Part::DataParallelStraggling), Picos(0));
    // Stages are of as many layers, but for embedding and head.
    near(losses.waterfall.ideal.as_secs_f64(), 2.0 * a * b / (a + b), 0.01, "ideal");
}

/// What deviations inside a type cost is what the same scenario takes longer with them.
#[test]
fn deviations_within_a_type_are_a_part_of_their_own() {
    let groups = r#"(design: "dgx-a100", count: 1), (design: "dgx-h100", count: 1)"#;
    let plan = "Uniform(dp: 4, tp: 2, pp: 2, micro_batch_size: 1)";
    let calm = of(groups, 32, plan, "");
    for noise in [
        "noise: (kernel_jitter: 0.1), iterations: 3",
        "noise: (card_spread: 0.05)",
        "noise: (card_spread: 0.05, pace: Slowest)",
        "noise: (kernel_jitter: 0.1, card_spread: 0.05), iterations: 2",
    ] {
        let noisy = of(groups, 32, plan, noise);
        let spread = noisy.waterfall.loss_of(Part::Spread);
        assert_eq!(spread, noisy.waterfall.simulated - calm.waterfall.simulated, "{noise}");
        assert!(spread > Picos(0), "{noise}");
        for part in Part::all().filter(|&part| part != Part::Spread) {
            assert_eq!(noisy.waterfall.loss_of(part), calm.waterfall.loss_of(part), "{part:?}");
        }
    }
}

/// An all-reduce after everything else is lost as a whole, and is all that is lost.
#[test]
fn what_nothing_hides_is_lost_as_a_whole() {
    let losses = of(
        r#"(design: "dgx-h100", count: 1)"#,
        8,
        "Uniform(dp: 8, tp: 1, pp: 1, micro_batch_size: 1)",
        "",
    );
    let exposed = Part::Switch(Switch::DataParallel);
    assert_eq!(losses.waterfall.loss_of(exposed), losses.waterfall.loss());
    assert!(share(&losses, exposed) > 0.01);
    // Almost all of it is the transfer over NVLink; latencies are the rest.
    let nvlink = losses.links.iter().find(|row| row.kind == "NVLink").unwrap();
    near(nvlink.gain.as_secs_f64(), losses.waterfall.loss().as_secs_f64(), 0.05, "NVLink");
}

#[test]
fn unlike_degrees_reshard() {
    let plan = |second: &str| {
        format!(
            "Explicit(pipelines: [
                (micro_batches: 4, micro_batch_size: 1, stages: [(gpus: [0, 1], layers: 0..16)]),
                (micro_batches: 4, micro_batch_size: 1, stages: [(gpus: {second}, layers: 0..16)]),
            ])"
        )
    };
    let resharded = |second: &str| {
        let losses = of(r#"(design: "dgx-h100", count: 1)"#, 8, &plan(second), "");
        losses.waterfall.loss_of(Part::Switch(Switch::Resharding))
    };
    assert_eq!(resharded("[2, 3]"), Picos(0));
    assert!(resharded("[2, 3, 4, 5]") > Picos(0));
}

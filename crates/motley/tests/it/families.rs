//! Families of models through the whole path.

use motley::Report;

use crate::conservation;
use crate::setup::{Setup, scenario, seconds};

const IMAGES: Setup = Setup {
    groups: r#"(design: "dgx1-v100", count: 1), (design: "dgx1-p100", count: 1)"#,
    shape: "SingleSwitch",
    model: r#"Preset("resnet-50")"#,
    training: "global_batch: 1024, precision: Fp16, optimizer: Sgd",
    plan: "Uniform(dp: 16, tp: 1, pp: 1, micro_batch_size: 64)",
};

/// Four experts of eight visited, on a DGX A100 of 80 GB.
const EXPERTS: Setup = Setup {
    groups: r#"(design: "dgx-a100", count: 2)"#,
    shape: "SingleSwitch",
    model: r#"Preset("qwen-3-30b-a3b")"#,
    training: "global_batch: 32, sequence_length: 2048, precision: Bf16",
    plan: "Uniform(dp: 2, tp: 4, pp: 2, micro_batch_size: 1, sequence_parallel: true)",
};

fn peak_memory(report: &Report) -> f64 {
    report.stages.iter().map(|stage| stage.memory_peak.allocated_bytes).fold(0.0, f64::max)
}

#[test]
fn images_pass_through_every_schedule() {
    for schedule in
        ["GPipe", "OneFOneB", "Interleaved(chunks: 2)", "ZeroBubble(order: H1)", "DualPipeV"]
    {
        for layers in ["Proportional", "Counts([5, 4, 4, 4])"] {
            let counts = if schedule.contains('2') || schedule == "DualPipeV" {
                "Counts([3, 2, 2, 2, 2, 2, 2, 2])"
            } else {
                layers
            };
            let plan = format!(
                "Uniform(dp: 4, tp: 1, pp: 4, micro_batch_size: 16, schedule: {schedule}, \
                 layers: {counts})"
            );
            conservation::check(&scenario(&Setup { plan: &plan, ..IMAGES }.text()));
        }
    }
}

/// Stages get layers by what these cost, though no two stages of ResNet are alike.
#[test]
fn unlike_layers_are_cut_by_their_cost() {
    let cut = |layers: &str| {
        let plan = format!("Uniform(dp: 4, tp: 1, pp: 4, micro_batch_size: 16, layers: {layers})");
        seconds(&Setup { plan: &plan, ..IMAGES }.report())
    };
    let proportional = cut("Proportional");
    for counts in ["Counts([5, 4, 4, 4])", "Counts([2, 3, 4, 8])", "Counts([8, 4, 3, 2])"] {
        assert!(proportional <= cut(counts) * 1.001, "{counts}");
    }
}

#[test]
fn images_are_counted_as_images() {
    let report = IMAGES.report();
    assert_eq!((report.efficiency.tokens_per_s, report.job.sequence_length_tokens), (None, None));
    assert!((report.efficiency.samples_per_s * seconds(&report) / 1024.0 - 1.0).abs() < 1e-9);
    let page = motley_report::text(&report);
    assert!(page.contains("1,024 images, fp16") && page.contains(" images/s"), "{page}");
    assert!(!page.contains("token"), "{page}");
}

/// Experts that nobody visits cost memory, not time.
#[test]
fn experts_cost_memory_by_their_number_and_time_by_visits() {
    let text = Setup { ..EXPERTS }.text();
    let written = motley_workload::Preset::find("qwen-3-30b-a3b").unwrap().model.to_ron();
    let with = |from: &str, to: &str| {
        assert!(written.contains(from));
        let model = written.replace(from, to);
        crate::setup::report(&scenario(&text.replace(r#"Preset("qwen-3-30b-a3b")"#, &model)))
    };
    let all = with("experts: 128", "experts: 128");
    let half = with("experts: 128", "experts: 64");
    let twice = with("top_k: 8", "top_k: 16");
    assert!(peak_memory(&half) < 0.6 * peak_memory(&all));
    // Fewer, larger products are a little faster; the optimizer step is halved.
    assert!(seconds(&half) < seconds(&all) && seconds(&half) > 0.6 * seconds(&all));
    assert!(seconds(&twice) > 1.15 * seconds(&all));
    assert_eq!(all.job.active_parameter_count.map(|count| count < 4e9), Some(true));
}

/// What is frozen is neither averaged nor stepped, and its weight gradients are not computed.
#[test]
fn adapters_save_time_memory_and_transfers() {
    let at = |adapters: &str| {
        let training = format!(
            "global_batch: 32, sequence_length: 1024, precision: Fp16, adapters: {adapters}"
        );
        Setup {
            groups: r#"(design: "dgx1-v100", count: 2)"#,
            model: r#"Preset("llama-2-7b")"#,
            training: &training,
            plan: "Uniform(dp: 4, tp: 4, pp: 1, micro_batch_size: 1)",
            ..EXPERTS
        }
        .report()
    };
    let whole = at("None");
    let small = at("(rank: 8, targets: [Query, Value])");
    let large = at("(rank: 64, targets: [Query, Key, Value, Output, Gate, Up, Down])");
    assert!(seconds(&small) < 0.75 * seconds(&whole));
    assert!(peak_memory(&small) < 0.5 * peak_memory(&whole));
    assert!(seconds(&small) < seconds(&large) && peak_memory(&small) < peak_memory(&large));
    let averaged = |report: &Report| report.breakdown.exposed_data_parallel;
    assert!(averaged(&small) < averaged(&whole));
    assert_eq!(small.job.trained_parameter_count, Some(4_194_304.0));
    // Work is counted without what is not done, so utilisation stays comparable.
    let mfu = |report: &Report| report.efficiency.mfu_ratio.unwrap();
    assert!(small.efficiency.model_flops < 0.7 * whole.efficiency.model_flops);
    assert!(mfu(&small) < 1.2 * mfu(&whole));
}

/// A decoder is told apart from its encoder: its own sequences, its own cost.
#[test]
fn target_sequences_cost_their_own_length() {
    let at = |length: u32| {
        let training = format!(
            "global_batch: 64, sequence_length: 512, target_length: {length}, precision: Bf16"
        );
        let setup = Setup {
            groups: r#"(design: "dgx-a100", count: 1)"#,
            model: r#"Preset("t5-3b")"#,
            training: &training,
            plan: "Uniform(dp: 2, tp: 2, pp: 2, micro_batch_size: 4)",
            ..EXPERTS
        };
        conservation::check(&setup.scenario());
        setup.report()
    };
    let (short, long) = (at(128), at(512));
    assert!(seconds(&short) < 0.75 * seconds(&long));
    let tokens = |report: &Report| report.efficiency.tokens_per_s.unwrap() * seconds(report);
    assert!((tokens(&short) / (64.0 * 640.0) - 1.0).abs() < 1e-9);
    assert_eq!(long.job.target_length_tokens, Some(512));
}

//! Schedules, recomputation and sequence parallelism against their closed forms and orders.

use motley::Report;

use crate::setup::{DEEP, Setup, near, seconds};

/// The bubble of a pipeline of equal stages, as a share of the iteration.
fn check_bubble(stages: u32, batch: u32, schedule: &str, chunks: u32) {
    // Micro-batches so large that transfers and the optimizer step are negligible.
    let training = format!(
        "global_batch: {}, sequence_length: 8192, precision: Bf16, optimizer: Sgd",
        4 * batch
    );
    let layers = 16 / (stages * chunks);
    let stage = |s: u32| {
        let ranges: Vec<String> = (0..chunks)
            .map(|c| {
                let first = (c * stages + s) * layers;
                format!("{first}..{}", first + layers)
            })
            .collect();
        format!("(gpus: [{s}], layers: [{}])", ranges.join(", "))
    };
    let plan = format!(
        "Explicit(schedule: {schedule}, pipelines: \
         [(micro_batches: {batch}, micro_batch_size: 4, stages: [{}])])",
        (0..stages).map(stage).collect::<Vec<_>>().join(", ")
    );
    let report = Setup { training: &training, plan: &plan, ..DEEP }.report();
    let (p, m, v) = (f64::from(stages), f64::from(batch), f64::from(chunks));
    let expected = (p - 1.0) / (v * m + p - 1.0);
    // Beside 3 %, a thousandth of the iteration: with many chunks, their transfers show.
    let found = report.bubble_ratio;
    assert!(
        (found - expected).abs() <= 0.03 * expected + 0.001,
        "{schedule}, {stages} stages, {batch} micro-batches: found {found}, expected {expected}"
    );
}

#[test]
fn bubbles_of_equal_stages() {
    for (stages, batch) in [(2, 2), (2, 16), (4, 4), (4, 32), (8, 8), (8, 64)] {
        check_bubble(stages, batch, "GPipe", 1);
        check_bubble(stages, batch, "OneFOneB", 1);
        for chunks in [2, 4] {
            if stages * chunks <= 16 {
                check_bubble(stages, batch, &format!("Interleaved(chunks: {chunks})"), chunks);
            }
        }
    }
}

/// Memory that the fullest card keeps for activations.
fn activations(report: &Report) -> f64 {
    report.stages.iter().map(|stage| stage.memory.activations_bytes).fold(0.0, f64::max)
}

/// Megatron-LM's GPT 22B on one DGX A100.
fn gpt(options: &str, attention: &str) -> Report {
    let training =
        format!("global_batch: 4, sequence_length: 2048, precision: Fp16, attention: {attention}");
    let plan = format!("Uniform(dp: 1, tp: 8, pp: 1, micro_batch_size: 4, {options})");
    Setup {
        groups: r#"(design: "dgx-a100", count: 1)"#,
        model: r#"Preset("gpt-22b")"#,
        training: &training,
        plan: &plan,
        ..DEEP
    }
    .report()
}

#[test]
fn recomputation_trades_time_for_memory() {
    for sequence_parallel in ["sequence_parallel: false", "sequence_parallel: true"] {
        let [none, selective, full] = ["None", "Selective", "Full"].map(|recompute| {
            gpt(&format!("recompute: {recompute}, {sequence_parallel}"), "Unfused")
        });
        assert!(activations(&none) > 1.5 * activations(&selective), "{sequence_parallel}");
        assert!(activations(&selective) > 2.0 * activations(&full), "{sequence_parallel}");
        assert!(seconds(&none) < seconds(&selective), "{sequence_parallel}");
        assert!(seconds(&selective) < seconds(&full), "{sequence_parallel}");
        // A forward pass is a third of forward and backward.
        near(seconds(&full), 4.0 / 3.0 * seconds(&none), 0.1, sequence_parallel);
        for report in [&none, &selective, &full] {
            let flops = report.efficiency.model_flops;
            near(flops, none.efficiency.model_flops, 1e-12, "recomputation is no model work");
        }
    }
}

#[test]
fn sequence_parallelism_saves_memory_and_costs_little() {
    for recompute in ["None", "Selective", "Full"] {
        for attention in ["Unfused", "Flash"] {
            let [without, with] = [false, true].map(|sequence_parallel| {
                let options =
                    format!("recompute: {recompute}, sequence_parallel: {sequence_parallel}");
                gpt(&options, attention)
            });
            let what = format!("{recompute}, {attention}");
            assert!(activations(&with) < 0.9 * activations(&without), "{what}");
            // Full recomputation runs each layer's collectives again, with one more of them.
            assert!(seconds(&with) < 1.05 * seconds(&without), "{what}");
        }
    }
}

/// What the stages of a pipeline keep for activations.
fn kept(schedule: &str) -> (Report, Vec<f64>) {
    let plan = format!("Uniform(dp: 1, tp: 1, pp: 4, micro_batch_size: 1, schedule: {schedule})");
    let report = Setup {
        groups: r#"(design: "p3.8xlarge", count: 1)"#,
        training: "global_batch: 32, sequence_length: 2048, precision: Fp16, optimizer: Sgd",
        plan: &plan,
        ..DEEP
    }
    .report();
    let stages = report.stages.iter().map(|stage| stage.memory.activations_bytes).collect();
    (report, stages)
}

/// All micro-batches of `GPipe` are in flight at once; 1F1B keeps as many as there are stages to
/// come, and takes as long.
#[test]
fn one_forward_one_backward_saves_memory_not_time() {
    let ((gpipe, all), (one, few)) = (kept("GPipe"), kept("OneFOneB"));
    near(seconds(&one), seconds(&gpipe), 0.02, "1F1B against GPipe");
    for (stage, (few, all)) in few.into_iter().zip(all).enumerate() {
        near(few / all, (4 - stage) as f64 / 32.0, 0.01, &format!("stage {stage}"));
    }
}

/// Interleaving keeps `1 + (p - 1) / (p v)` times the activations of 1F1B on the first stage
/// (Korthikanti et al. 2022, arXiv 2205.05198, section 4.2.3).
#[test]
fn interleaving_buys_time_with_memory() {
    let (plain, one) = kept("OneFOneB");
    for chunks in [2, 4] {
        let (report, more) = kept(&format!("Interleaved(chunks: {chunks})"));
        let expected = 1.0 + 3.0 / (4.0 * f64::from(chunks));
        near(more[0] / one[0], expected, 0.01, &format!("{chunks} chunks"));
        assert!(seconds(&report) < seconds(&plain));
    }
}

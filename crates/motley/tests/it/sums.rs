//! What tensor ranks exchange where products of one input are layers of their own, and what they send
//! to the next stage.

use motley_scheduler::Traffic;

use crate::setup::{DEEP, Setup, moved, near};

/// Bytes of one class under a plan of two stages of four tensor ranks.
fn bytes(class: Traffic, more_training: &str, more_plan: &str) -> f64 {
    let training = format!(
        "global_batch: 4, sequence_length: 512, precision: Bf16, optimizer: Sgd, {more_training}"
    );
    let plan = format!("Uniform(dp: 1, tp: 4, pp: 2, {more_plan} micro_batch_size: 1)");
    let gated = r#"Shape(name: "gated", layers: 16, hidden: 4096, ffn: 11008, heads: 32, vocab: 128,
                         positions: Rotary, gated_mlp: true)"#;
    moved(&Setup { training: &training, plan: &plan, model: gated, ..DEEP }.scenario(), class)
}

/// A layer sums up four times: behind attention and MLP forward, before them backward. Each further
/// product of an input adds one to these, unless the sums are scattered along the sequence. Embedding and
/// head sum up once each; the loss's sums are negligible.
#[test]
fn products_apart_sum_up_apart() {
    let tensor = |fusion: &str, plan: &str| bytes(Traffic::TensorParallel, fusion, plan);
    let scattered = "sequence_parallel: true,";
    let (whole, split) = (tensor("", "scatter_gather: false,"), tensor("", scattered));
    for (fusion, more) in [
        ("fusion: (gate: false)", 1.0),
        ("fusion: (qkv: false)", 2.0),
        ("fusion: (qkv: false, gate: false)", 3.0),
    ] {
        let apart = tensor(fusion, "scatter_gather: false,");
        near(apart, whole * (1.0 + 16.0 * more / 66.0), 1e-3, fusion);
        near(tensor(fusion, scattered), split, 1e-9, fusion);
    }
}

/// Parts are a quarter each, and are gathered; else every rank sends all.
#[test]
fn stages_send_parts_or_everything() {
    let sent = |plan: &str| bytes(Traffic::PipelineParallel, "", plan);
    let (parts, whole) = (sent(""), sent("scatter_gather: false,"));
    near(whole, 4.0 * parts, 1e-9, "without scatter and gather");
    let scattered = sent("sequence_parallel: true,");
    near(scattered, parts, 1e-9, "along the sequence");
    for plan in ["", "scatter_gather: false,"] {
        let plan = format!("{plan} sequence_parallel: true,");
        near(sent(&plan), scattered, 1e-9, "nothing to gather along the sequence");
    }
    let gathered = bytes(Traffic::TensorParallel, "", "")
        - bytes(Traffic::TensorParallel, "", "scatter_gather: false,");
    assert!(gathered > 0.0);
}

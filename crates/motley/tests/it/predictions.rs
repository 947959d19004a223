//! Modules for multi-token prediction.

use crate::conservation;
use crate::setup::{DEEP, Setup, near, report, scenario};

fn model(mtp_layers: u32) -> String {
    format!(
        "Stack(name: \"ahead\", embedding: Tokens(vocab: 32000, hidden: 2048), layers: [
            (repeat: 8, layers: [Transformer(
                attention: (heads: 16, positions: Rotary,
                            projections: Grouped(kv_heads: 16, head_dim: 128)),
                norm: RmsNorm, feed_forward: Experts(
                    experts: 16, top_k: 2, expert: (ffn: 1408, gated: true), shared: (ffn: 2816)))]),
        ], mtp_layers: {mtp_layers}, head: Language(norm: RmsNorm))"
    )
}

fn text(mtp_layers: u32, plan: &str) -> String {
    let (model, plan) = (model(mtp_layers), format!("Uniform({plan}, micro_batch_size: 1)"));
    let training = "global_batch: 32, sequence_length: 4096, precision: Bf16, host_launch: Graphs";
    Setup { model: &model, training, plan: &plan, ..DEEP }.text()
}

/// Wherever the modules lie: with the last layers and the head, or apart from either.
#[test]
fn laws_hold_wherever_modules_lie() {
    for depth in [1, 2] {
        for plan in [
            "dp: 8, tp: 1, pp: 1",
            "dp: 1, tp: 4, pp: 2, sequence_parallel: true",
            "dp: 2, tp: 1, pp: 4, ep: 2, zero: (stage: 1)",
            "dp: 2, tp: 1, pp: 4, layers: Counts([3, 3, 2, 1])",
            "dp: 2, tp: 1, pp: 4, layers: Counts([3, 5, 1, 0])",
            "dp: 2, tp: 1, pp: 4, ep: 2, recompute: Full",
            "dp: 2, tp: 1, pp: 4, ep: 2, recompute: Modules([Moe, LayerNorm])",
            "dp: 2, tp: 1, pp: 4, schedule: ZeroBubble(order: H1)",
            "dp: 4, tp: 1, pp: 2, ep: 4, schedule: DualPipe",
            "dp: 2, tp: 1, pp: 4, schedule: Interleaved(chunks: 2)",
            "dp: 8, tp: 1, pp: 1, zero: (stage: 3)",
            "dp: 1, tp: 2, cp: 2, pp: 2, ep: 2, etp: 1, sequence_parallel: true",
        ] {
            conservation::check(&scenario(&text(depth, plan)));
        }
    }
}

/// By default a pipeline's stages have as many layers each, and the modules are the last one's.
#[test]
fn modules_are_placed_on_the_last_stage() {
    let layers = |depth: u32| -> Vec<u32> {
        let report = report(&scenario(&text(depth, "dp: 2, tp: 1, pp: 4")));
        report.stages.iter().map(|stage| stage.layer_count).collect()
    };
    assert_eq!(layers(0)[..4], [2, 2, 2, 2]);
    assert_eq!(layers(1)[..4], [2, 2, 2, 3]);
    assert_eq!(layers(2)[..4], [2, 2, 2, 3]);
}

/// A module does the work of a layer, of a head and of the matrix that joins both inputs.
#[test]
fn modules_work_as_a_layer_and_a_head() {
    let flops = |depth: u32| {
        let report = report(&scenario(&text(depth, "dp: 8, tp: 1, pp: 1")));
        report.efficiency.model_flops
    };
    let tokens = 32.0 * 4096.0;
    let (h, attended) = (2048.0_f64, 2.0 * 2.0 * 4096.0 * 2048.0);
    let layer = 2.0 * (4.0 * h * h + 16.0 * h + 3.0 * h * (2.0 * 1408.0 + 2816.0)) + attended;
    let module = layer + 2.0 * (2.0 * h * h + h * 32000.0);
    near(flops(1) - flops(0), 3.0 * tokens * module, 1e-9, "one module");
    near(flops(2) - flops(0), 6.0 * tokens * module, 1e-9, "two modules");
}

//! The critical path, held against what removing its parts really gains.

use motley::prepare;
use motley_attribution::{Explanation, Picos, Switch, Switches, explain, without};
use motley_engine::Silent;

use crate::setup::{HEADLESS, near, scenario, text};

const TRAINING: &str =
    "global_batch: 32, sequence_length: 2048, precision: Fp16, optimizer: Sgd, host_launch: Graphs";

fn of(groups: &str, plan: &str) -> (String, Explanation) {
    let text = text(groups, HEADLESS, TRAINING, plan, "");
    let scenario = scenario(&text);
    let explanation = explain(&prepare(&scenario).unwrap()).unwrap();
    (text, explanation)
}

fn on_path(explanation: &Explanation, kind: &str) -> Picos {
    explanation.shares.iter().filter(|share| share.kind == kind).map(|share| share.time).sum()
}

/// Without a class of transfers the path is shorter by what it has of them at most, as the chain of all
/// else is still there. These plans send nothing between stages over links that tensor parallelism uses:
/// what then gets faster would gain, too.
fn check(groups: &str, plan: &str) {
    let (text, explanation) = of(groups, plan);
    let scenario = scenario(&text);
    let prepared = prepare(&scenario).unwrap();
    // What runs beside communication is slowed by it: without that, nothing else changes.
    let off = Switches::NONE.with(Switch::Overlap);
    let slowed = on_path(&explanation, "overlap slow-down");
    let time = |off| {
        let job = without(&prepared.lowered.job, off);
        Picos::from(prepared.replay_altered(&job, None, &mut Silent).unwrap().iteration)
    };
    assert!(explanation.iteration - time(off) <= slowed, "{plan}: slow-down");
    for (switch, kind) in [
        (Switch::TensorParallel, "tensor-parallel transfer"),
        (Switch::PipelineParallel, "pipeline-parallel transfer"),
    ] {
        let gain = explanation.iteration - time(off.with(switch));
        let most = on_path(&explanation, kind) + slowed;
        // Rounding of a picosecond for each transfer.
        assert!(gain <= most + Picos(100_000), "{plan}: {kind} gains {gain:?} of {most:?}");
    }
}

#[test]
fn no_part_gains_more_than_it_has_of_the_path() {
    let mixed = r#"(design: "dgx-a100", count: 1), (design: "dgx-h100", count: 1)"#;
    for plan in [
        "Uniform(dp: 4, tp: 2, pp: 2, micro_batch_size: 1)",
        "Uniform(dp: 1, tp: 8, pp: 2, micro_batch_size: 1, schedule: Interleaved(chunks: 2))",
        "Uniform(dp: 2, tp: 2, pp: 4, micro_batch_size: 2, sequence_parallel: true, schedule: GPipe)",
        "Uniform(dp: 1, tp: 8, pp: 2, micro_batch_size: 1, schedule: ZeroBubble(order: H1, optimizer_step: Synchronous))",
    ] {
        check(mixed, plan);
    }
}

/// One pipeline of equal stages: the path goes down the stages with the first micro-batch, stays until the
/// last is through, and comes back up: p - 1 forward and backward passes more than m.
#[test]
fn the_path_of_equal_stages() {
    let plan = "Uniform(dp: 1, tp: 1, pp: 8, micro_batch_size: 1)";
    let (_, explanation) = of(r#"(design: "dgx-h100", count: 1)"#, plan);
    let alone = "Explicit(pipelines: [(micro_batches: 32, micro_batch_size: 1, stages: [
        (gpus: [0], layers: 0..16)])])";
    let (_, alone) = of(r#"(design: "dgx-h100", count: 1)"#, alone);
    // A card alone does 32 micro-batches of 16 layers; the path has 39 passes of 2 layers.
    for kind in ["forward", "backward"] {
        let [path, all] = [&explanation, &alone].map(|it| on_path(it, kind).as_secs_f64());
        near(path / all, 39.0 / (8.0 * 32.0), 0.02, kind);
    }
}

/// A type that does as much as a faster one has all of the path.
#[test]
fn the_slowest_has_all_of_the_path() {
    let groups = r#"(design: "dgx1-v100", count: 1), (design: "dgx-a100", count: 1)"#;
    let (_, explanation) = of(groups, "Uniform(dp: 16, tp: 1, pp: 1, micro_batch_size: 1)");
    let slowest = &explanation.card_types[0];
    assert!(slowest.card_id.contains("v100"), "{}", slowest.card_id);
    assert!(slowest.path_ratio > 0.8, "{}", slowest.path_ratio);
}

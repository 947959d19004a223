//! Memory: the timeline's laws, the closed form of ZeRO, and runs whose memory was measured.
//!
//! No constant was fitted to the measured runs; the tolerances are what the model claims of them.

use motley::prepare;
use motley_scheduler::Moment;
use motley_units::Bytes;

use crate::setup::{DEEP, HEADLESS, Setup, near, scenario};

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// Plans of every kind of pass: whole, split, over chunks, both at once, computed again.
const PLANS: [&str; 8] = [
    "Uniform(dp: 2, tp: 2, pp: 2, micro_batch_size: 1, sequence_parallel: true)",
    "Uniform(dp: 1, tp: 1, pp: 8, micro_batch_size: 1, recompute: Full)",
    "Uniform(dp: 2, tp: 1, pp: 4, micro_batch_size: 1, schedule: Interleaved(chunks: 2))",
    "Uniform(dp: 1, tp: 2, pp: 4, micro_batch_size: 1, schedule: ZeroBubble(order: H1))",
    "Uniform(dp: 2, tp: 1, pp: 4, micro_batch_size: 1, schedule: ZeroBubble(order: V))",
    "Uniform(dp: 2, tp: 1, pp: 4, micro_batch_size: 1, schedule: DualPipeV)",
    "Uniform(dp: 8, tp: 1, pp: 1, micro_batch_size: 1, zero: (stage: 3))",
    "Uniform(dp: 8, tp: 1, pp: 1, micro_batch_size: 2, recompute: Selective, zero: (stage: 1))",
];

const HOLDS: [&str; 2] = [
    "",
    ", holds: (autograd_gradients: UntilPassEnds, bucket_copies: true, stage_outputs: Kept, \
     parameter_copy: true, placeholder_gradients: true), fusion: (norm: false)",
];

#[test]
fn a_timeline_never_falls_below_what_is_held_and_comes_back_to_it() {
    for plan in PLANS {
        for holds in HOLDS {
            let training =
                format!("global_batch: 32, sequence_length: 2048, precision: Bf16{holds}");
            let scenario = Setup { plan, training: &training, ..DEEP }.scenario();
            let prepared = prepare(&scenario).unwrap();
            let mut timeline = prepared.memory_timeline();
            let replays = prepared.replay(&mut timeline, &|| {}).unwrap();
            let report = prepared.report(&replays).unwrap();
            let end = report.iteration_time.mean.as_secs_f64();
            let cards = timeline.cards();
            assert_eq!(cards.len(), report.stages.len(), "{plan}");
            for (card, stage) in cards.iter().zip(&report.stages) {
                let most = card.samples.iter().map(|sample| sample.total_bytes);
                let most = most.fold(0.0, f64::max);
                near(most, card.peak_bytes, 1e-12, plan);
                near(card.peak_bytes, stage.peak_memory_bytes, 1e-12, plan);
                let mut now = 0.0;
                for sample in &card.samples {
                    let parts = &sample.parts;
                    let parts = [
                        parts.parameters_bytes,
                        parts.gradients_bytes,
                        parts.optimizer_bytes,
                        parts.activations_bytes,
                        parts.workspace_bytes,
                        parts.fragments_bytes,
                        parts.context_bytes,
                        parts.communication_bytes,
                    ];
                    assert!(parts.iter().all(|&part| part >= -1.0), "{plan}: {parts:?}");
                    near(parts.iter().sum(), sample.total_bytes, 1e-12, plan);
                    assert!(sample.allocated_bytes <= sample.reserved_bytes);
                    // Where iterations roll, stages begin one after the other.
                    let since = sample.time_s - card.samples[0].time_s;
                    assert!(sample.time_s >= now && since <= end * (1.0 + 1e-9), "{plan}");
                    now = sample.time_s;
                }
                let last = card.samples.last().unwrap();
                assert!(last.parts.activations_bytes.abs() < 1.0, "{plan}: {last:?}");
                // The iteration ends as it began.
                near(last.total_bytes, card.samples[0].total_bytes, 1e-12, plan);
            }
        }
    }
}

#[test]
fn the_fullest_moment_is_named() {
    // The first of 4 stages is fullest when it holds 4 micro-batches and turns back.
    let plan = "Uniform(dp: 2, tp: 1, pp: 4, micro_batch_size: 1)";
    let prepared_scenario = Setup { plan, ..DEEP }.scenario();
    let prepared = prepare(&prepared_scenario).unwrap();
    for (place, moment) in prepared.lowered.places.iter().zip(&prepared.lowered.moments) {
        let Moment::Pass(step) = *moment else { panic!("{moment:?}") };
        // With the same micro-batches in flight each time, the first time counts.
        assert_eq!(step.micro_batch, 0, "stage {}: {step:?}", place.stage);
    }
    // Parameters without activations to speak of: the copies of the step are what is largest.
    let training = "global_batch: 8, sequence_length: 16, precision: Bf16, gradient_bytes: 2";
    let plan = "Uniform(dp: 8, tp: 1, pp: 1, micro_batch_size: 1)";
    let model = HEADLESS;
    let stepped = Setup { model, training, plan, ..DEEP }.scenario();
    let prepared = prepare(&stepped).unwrap();
    assert!(prepared.lowered.moments.iter().all(|moment| *moment == Moment::OptimizerStep));
}

/// Rajbhandari et al. 2020 (arXiv 1910.02054), figure 1: `2 + 2 + K` bytes for each parameter, `K` = 12
/// for Adam in mixed precision; each stage shares out one more of the three over `N_d` ranks. What
/// passes through a shard's owner is beside it.
#[test]
fn zero_shares_out_what_the_paper_says() {
    let ranks = 8.0;
    let held = |zero: &str| {
        let plan = format!("Uniform(dp: 8, tp: 1, pp: 1, micro_batch_size: 1{zero})");
        let training = "global_batch: 8, sequence_length: 1024, precision: Bf16, gradient_bytes: 2";
        let scenario = Setup { plan: &plan, training, ..DEEP }.scenario();
        let prepared = prepare(&scenario).unwrap();
        let idle = prepared.lowered.courses[0].idle;
        [idle.parameters.0, idle.gradients.0, idle.optimizer.0]
    };
    let [whole, _, _] = held("");
    let parameters = whole / 2.0;
    let layer = parameters / 16.0;
    // Of what is gathered or being averaged, at most two layers are whole at a time.
    let check = |zero: &str, expected: [f64; 3], layers: [f64; 3]| {
        for ((found, bytes), more) in held(zero).into_iter().zip(expected).zip(layers) {
            let least = bytes * parameters;
            let most = least + 1.001 * more * 2.0 * layer;
            assert!(found >= least * 0.999 && found <= most * 1.001, "{zero}: {found} {least}");
        }
    };
    check("", [2.0, 2.0, 12.0], [0.0; 3]);
    check(", zero: (stage: 1)", [2.0, 2.0, 12.0 / ranks], [0.0; 3]);
    let whole_bucket = [0.0, 16.0, 0.0];
    check(", zero: (stage: 2)", [2.0, 2.0 / ranks, 12.0 / ranks], whole_bucket);
    check(", zero: (stage: 3)", [2.0 / ranks, 2.0 / ranks, 12.0 / ranks], [2.0, 1.0, 0.0]);
}

/// Which figure was measured.
#[derive(Clone, Copy, Debug)]
enum Figure {
    /// PyTorch's peak.
    Allocated,
    /// The same, since the last backward pass.
    OptimizerStep,
    /// What `nvidia-smi` shows.
    Shown,
}

/// A measured run: name, nodes, model, training, plan, figure, GiB, tolerance.
struct Measured<'a> {
    name: &'a str,
    nodes: &'a str,
    model: &'a str,
    training: &'a str,
    plan: &'a str,
    figure: Figure,
    gib: f64,
    tolerance: f64,
}

fn check(run: &Measured) {
    let text = format!(
        "(cluster: (groups: [(design: {})], fabric: (technology: InfiniBand)), model: {}, \
         training: ({}), plan: {})",
        run.nodes, run.model, run.training, run.plan
    );
    let scenario = scenario(&text);
    let lowered = prepare(&scenario).unwrap().lowered;
    let found = (0..lowered.places.len()).map(|rank| match run.figure {
        Figure::Allocated => lowered.memory[rank].allocated().0,
        Figure::Shown => lowered.memory[rank].shown(Bytes(80.0 * GIB)).0,
        Figure::OptimizerStep => {
            lowered.courses[lowered.course_of[rank] as usize].step.allocated().0
        }
    });
    near(found.fold(0.0, f64::max) / GIB, run.gib, run.tolerance, run.name);
}

/// nanotron's benchmarks behind the Ultra-Scale Playbook, H100: `max_memory_allocated`, which its log
/// resets between backward pass and optimizer step.
#[test]
fn nanotron() {
    let small = r#"Shape(name: "1.34b", layers: 16, hidden: 2048, heads: 32, ffn: 8192, vocab: 131072,
        gated_mlp: true, positions: Rotary, norm: RmsNorm, biases: false, dropout: false)"#;
    let large = r#"Shape(name: "8.86b", layers: 32, hidden: 4096, heads: 32, ffn: 14336,
        vocab: 131072, gated_mlp: true, tied_embeddings: false, positions: Rotary, norm: RmsNorm,
        biases: false, dropout: false)"#;
    let training = "global_batch: 256, sequence_length: 4096, precision: Bf16, holds: (\
         autograd_gradients: UntilPassEnds, bucket_copies: true, parameter_copy: true, \
         gather_buffers: 2), fusion: (activation: false)";
    let runs = [
        (small, 4, "dp: 32, tp: 1, pp: 1, micro_batch_size: 1", 25.07),
        (
            small,
            2,
            "dp: 8, tp: 2, pp: 1, micro_batch_size: 1, sequence_parallel: true, zero: (stage: 1)",
            7.45,
        ),
        (
            large,
            2,
            "dp: 8, tp: 2, pp: 1, micro_batch_size: 1, sequence_parallel: true, zero: (stage: 1)",
            48.63,
        ),
        (
            large,
            16,
            "dp: 16, tp: 8, pp: 1, micro_batch_size: 4, sequence_parallel: true, zero: (stage: 1)",
            11.57,
        ),
    ];
    for (model, nodes, plan, gib) in runs {
        check(&Measured {
            name: plan,
            nodes: &format!(r#""dgx-h100", count: {nodes}"#),
            model,
            training,
            plan: &format!("Uniform({plan})"),
            figure: Figure::OptimizerStep,
            gib,
            tolerance: 0.02,
        });
    }
}

/// Zero Bubble Pipeline Parallelism (arXiv 2401.10241), Table 4: GPT on A100, whole gigabytes.
#[test]
fn zero_bubble() {
    let model = |layers, hidden, heads| {
        format!(
            r#"Shape(name: "gpt", layers: {layers}, hidden: {hidden}, heads: {heads}, vocab: 51200,
            positions: Learned(max: 1024))"#
        )
    };
    let training = |batch| {
        format!("global_batch: {batch}, sequence_length: 1024, precision: Bf16, attention: Unfused")
    };
    let middle = |count: u32, each: u32| vec![each.to_string(); count as usize].join(", ");
    let runs = [
        ("6.2B, 1F1B", 1, model(30, 4096, 32), training(192), "", 3, (8, 4, 3), 39.0),
        (
            "14.6B, ZB-2p",
            2,
            model(46, 5120, 40),
            training(64),
            "schedule: ZeroBubble(order: Automatic, activations: Stages(2)), ",
            1,
            (16, 3, 2),
            51.0,
        ),
    ];
    for (name, nodes, model, training, schedule, batch, (stages, each, ends), gib) in runs {
        check(&Measured {
            name,
            nodes: &format!(r#""dgx-a100", count: {nodes}"#),
            model: &model,
            training: &training,
            plan: &format!(
                "Uniform(dp: 1, tp: 1, pp: {stages}, micro_batch_size: {batch}, {schedule}\
                 layers: Counts([{ends}, {}, {ends}]))",
                middle(stages - 2, each)
            ),
            figure: Figure::Allocated,
            gib,
            tolerance: 0.05,
        });
    }
}

/// SimuMax's table of Megatron-LM on a B200 (github.com/MooreThreads/SimuMax): PyTorch's peak, of which
/// nothing depends on the card but cuBLAS's workspace, which is Hopper's.
#[test]
fn megatron_core() {
    let training = |batch| {
        format!(
            "global_batch: {batch}, sequence_length: 4096, precision: Bf16, \
             holds: (cross_entropy: Fused, placeholder_gradients: true)"
        )
    };
    let llama = |layers, hidden, heads, ffn, vocab| {
        format!(
            r#"Shape(name: "llama", layers: {layers}, hidden: {hidden}, heads: {heads}, kv_heads: 8,
            ffn: {ffn}, vocab: {vocab}, gated_mlp: true, tied_embeddings: false, positions: Rotary,
            norm: RmsNorm, biases: false, dropout: false)"#
        )
    };
    let (wide, split) = ("dp: 4, tp: 1, pp: 2", "dp: 1, tp: 8, pp: 1, sequence_parallel: true");
    let runs = [
        (llama(12, 8192, 64, 28672, 128_256), 16, wide, 66.55),
        (llama(12, 8192, 64, 28672, 129_024), 4, split, 28.29),
        (llama(4, 16384, 128, 53248, 128_256), 16, wide, 87.08),
        (llama(4, 16384, 128, 53248, 129_024), 4, split, 38.57),
    ];
    for (model, batch, degrees, gib) in runs {
        let zero = if degrees == wide { ", zero: (stage: 1)" } else { "" };
        check(&Measured {
            name: &model,
            nodes: r#""dgx-h100", count: 1"#,
            model: &model,
            training: &training(batch),
            plan: &format!("Uniform({degrees}, micro_batch_size: 1{zero})"),
            figure: Figure::Allocated,
            gib,
            tolerance: 0.05,
        });
    }
}

/// BigScience's chronicles of BLOOM's prequel (Jean Zay, A100): whole gigabytes that the cards showed.
#[test]
fn megatron_deepspeed() {
    let model = r#"Shape(name: "181b", layers: 72, hidden: 14336, heads: 64, vocab: 251904,
        positions: Learned(max: 2048))"#;
    let training = "global_batch: 2048, sequence_length: 2048, precision: Fp16, attention: Unfused, \
        gradient_bytes: 2, holds: (reduce_buffer: B(1e9), stage_outputs: Kept)";
    for (micro_batch, gib) in [(1, 29.0), (8, 69.0)] {
        check(&Measured {
            name: "BLOOM candidate",
            nodes: r#""dgx-a100", count: 48"#,
            model,
            training,
            plan: &format!(
                "Uniform(dp: 4, tp: 8, pp: 12, micro_batch_size: {micro_batch}, recompute: Full, \
                 zero: (stage: 1))"
            ),
            figure: Figure::Shown,
            gib,
            tolerance: 0.15,
        });
    }
}

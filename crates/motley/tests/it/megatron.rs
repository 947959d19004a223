//! Mixtures of parallelism that Megatron-LM runs are accepted, those that it refuses are refused with
//! the reason.
//!
//! The rules are those of Megatron-LM (github.com/NVIDIA/Megatron-LM, commit d98e8a64): `validate_args`
//! in `megatron/training/arguments.py`, `initialize_model_parallel` in `megatron/core/parallel_state.py`,
//! `TransformerConfig`, and the checks of the schedules and of `MoELayer.forward`.

use motley::load_text;
use motley_scheduler::Traffic;

use crate::conservation;
use crate::setup::{DEEP, Setup, moved, near, played};

/// 24 layers of 32 heads, 8 of them for keys and values.
const DENSE: &str = r#"Shape(name: "dense", layers: 24, hidden: 2048, heads: 32, kv_heads: 8,
                             vocab: 1024, positions: Rotary)"#;

/// The same with 16 experts in each layer.
const EXPERTS: &str = r#"Stack(name: "experts", embedding: Tokens(vocab: 1024, hidden: 2048), layers: [
    (repeat: 24, layers: [Transformer(
        attention: (heads: 32, positions: Rotary, projections: Grouped(kv_heads: 8, head_dim: 64)),
        norm: RmsNorm, feed_forward: Experts(experts: 16, top_k: 2, expert: (ffn: 1024, gated: true)))]),
], head: Language(norm: RmsNorm))"#;

/// A plan for 16 cards in two nodes, and 64 sequences of 2,048 tokens.
fn setup<'a>(model: &'a str, plan: &'a str) -> Setup<'a> {
    Setup {
        groups: r#"(design: "dgx-a100", count: 2)"#,
        model,
        training: "global_batch: 64, sequence_length: 2048, precision: Bf16",
        plan,
        ..DEEP
    }
}

fn written(plan: &str) -> String {
    format!("Uniform({plan}, micro_batch_size: 1)")
}

fn accepted(model: &str, plan: &str) {
    let plan = written(plan);
    let scenario = setup(model, &plan).scenario();
    let (_, replays) = played(&scenario);
    assert!(replays.runs[0].outcome.instances > 0, "{plan}");
}

/// A plan is refused, for 16 cards and 64 sequences of 2,048 tokens unless `training` or `groups` differ.
fn refused(job: Setup<'_>, reasons: &[&str]) {
    let plan = written(job.plan);
    let rejected = match load_text("test.ron", &Setup { plan: &plan, ..job }.text(), &[]) {
        Ok(_) => panic!("{plan} is accepted"),
        Err(rejected) => rejected.to_string(),
    };
    for reason in reasons {
        assert!(rejected.contains(reason), "{plan}: {reason:?} is not in {rejected}");
    }
}

#[test]
fn what_it_runs_is_accepted() {
    for plan in [
        "dp: 16, tp: 1, pp: 1",
        "dp: 2, tp: 2, pp: 4",
        "dp: 1, tp: 2, cp: 2, pp: 4, sequence_parallel: true",
        "dp: 2, tp: 1, cp: 8, pp: 1",
        // More tensor ranks than key and value heads.
        "dp: 1, tp: 16, pp: 1, sequence_parallel: true",
        "dp: 1, tp: 1, cp: 16, pp: 1, context_exchange: AllGather",
        "dp: 1, tp: 4, cp: 2, pp: 2, context_exchange: AllToAll, sequence_parallel: true",
        "dp: 4, tp: 1, pp: 4, schedule: Interleaved(chunks: 3)",
        "dp: 2, tp: 2, cp: 2, pp: 2, sequence_parallel: true, schedule: Interleaved(chunks: 2)",
        // Unlike first and last stages.
        "dp: 4, tp: 1, pp: 4, layers: Counts([5, 7, 7, 5])",
        // The distributed optimizer, with instances, and FSDP; each with context ranks, too.
        "dp: 8, tp: 2, pp: 1, zero: (stage: 1)",
        "dp: 4, tp: 2, pp: 2, zero: (stage: 1, overlap_gather: true), gradient_sync: Overlapped(bucket: MiB(40))",
        "dp: 4, tp: 1, cp: 2, pp: 2, zero: (stage: 1, group: 4)",
        "dp: 8, tp: 2, pp: 1, zero: (stage: 2)",
        "dp: 4, tp: 2, cp: 2, pp: 1, zero: (stage: 3), sequence_parallel: true",
        "dp: 16, tp: 1, pp: 1, zero: (stage: 3, group: 8)",
    ] {
        accepted(DENSE, plan);
    }
    for plan in [
        // Experts over replicas, over context ranks, over tensor ranks, over several of these.
        "dp: 16, tp: 1, pp: 1, ep: 16",
        "dp: 16, tp: 1, pp: 1, ep: 4",
        "dp: 1, tp: 1, cp: 16, pp: 1, ep: 8",
        "dp: 1, tp: 8, pp: 2, ep: 8, etp: 1, sequence_parallel: true",
        "dp: 2, tp: 4, cp: 2, pp: 1, ep: 16, etp: 1, sequence_parallel: true",
        "dp: 4, tp: 2, pp: 2, ep: 2, sequence_parallel: true",
        "dp: 4, tp: 2, pp: 2, ep: 8, etp: 1, sequence_parallel: true, zero: (stage: 1)",
        "dp: 2, tp: 2, pp: 4, ep: 1, etp: 4, sequence_parallel: true",
        "dp: 4, tp: 1, pp: 4, ep: 4, schedule: Interleaved(chunks: 2)",
        "dp: 8, tp: 2, pp: 1, ep: 4, etp: 2, sequence_parallel: true, dispatch: Forwarded",
        // Experts that are not dealt out at all.
        "dp: 4, tp: 4, pp: 1, sequence_parallel: true",
    ] {
        accepted(EXPERTS, plan);
    }
}

#[test]
fn what_it_refuses_is_refused() {
    let ranks = "but the cluster has 16 cards";
    for (plan, reasons) in [
        // "world size is not divisible by total_model_size"
        ("dp: 1, tp: 3, pp: 4", &["dp 1 x tp 3", ranks][..]),
        ("dp: 2, tp: 2, cp: 3, pp: 1", &["cp 3", ranks]),
        ("dp: 2, tp: 2, cp: 2, pp: 4", &["cp 2", ranks]),
        // "number of layers should be divisible by the pipeline-model-parallel size"
        ("dp: 1, tp: 1, pp: 16", &["24 layers do not divide into 16", "Counts"]),
        // Heads are shared out over tensor and context ranks.
        (
            "dp: 1, tp: 2, cp: 8, pp: 1, context_exchange: AllToAll, sequence_parallel: true",
            &["kv_heads 8 cannot be shared out over cp 8 times tp 2", "AllGather"],
        ),
        // "pipeline-model-parallel size should be greater than 1 with interleaved schedule"
        (
            "dp: 16, tp: 1, pp: 1, schedule: Interleaved(chunks: 2)",
            &["interleaving needs at least two stages", "OneFOneB"],
        ),
        // "the remainder of M (the total micro-batches) divided by N ... should be 0"
        (
            "dp: 2, tp: 1, pp: 8, schedule: Interleaved(chunks: 3), micro_batches: Counts([30, 34])",
            &["a multiple of the 8 stages, found 30 micro-batches"],
        ),
        // "Data parallel size should be divisible by partial DistOpt shard factor"
        (
            "dp: 16, tp: 1, pp: 1, zero: (stage: 1, group: 6)",
            &["16 replicas do not divide into sharding groups of 6"],
        ),
        // "num_experts must be non None to use expert-parallel"
        ("dp: 16, tp: 1, pp: 1, ep: 4", &["the model has no experts", "leave both out"]),
    ] {
        refused(setup(DENSE, plan), reasons);
    }
    for (plan, reasons) in [
        // "world_size is not divisible by expert_tensor_model_pipeline_parallel size"
        ("dp: 4, tp: 1, pp: 4, ep: 8", &["4 ranks hold these layers", "ep 8 x etp 1"][..]),
        (
            "dp: 1, tp: 4, pp: 4, ep: 2, sequence_parallel: true",
            &["4 ranks hold these layers", "ep 2 x etp 4", "choose an ep"],
        ),
        // "performance may degrade if MoE and tensor parallelism are enabled without also enabling
        // sequence parallelism", an error
        ("dp: 8, tp: 2, pp: 1", &["experts on several tensor ranks", "sequence_parallel: true"]),
        ("dp: 8, tp: 2, pp: 1, ep: 4", &["experts on several tensor ranks"]),
        // An expert is not split finer than its width.
        ("dp: 16, tp: 1, pp: 1, ep: 1, etp: 3", &["ffn 1024", "etp 3"]),
    ] {
        refused(setup(EXPERTS, plan), reasons);
    }
    // "Number of experts should be a multiple of expert model parallel_size"
    let three = Setup {
        groups: r#"(design: "dgx-a100", count: 3)"#,
        training: "global_batch: 48, sequence_length: 2048, precision: Bf16",
        ..setup(EXPERTS, "dp: 24, tp: 1, pp: 1, ep: 3")
    };
    refused(three, &["16 experts cannot be dealt out over ep 3"]);
    // "global batch size is not divisible by micro batch size times data parallel size"
    let odd = "global_batch: 63, sequence_length: 2048, precision: Bf16";
    let plan = "dp: 16, tp: 1, pp: 1";
    refused(Setup { training: odd, ..setup(DENSE, plan) }, &["63 micro-batches", "dp 16"]);
    // "seq-length should be a multiple of 2 * context-parallel-size"
    let short = "global_batch: 64, sequence_length: 2056, precision: Bf16";
    for exchange in ["Ring", "AllGather"] {
        let plan = format!("dp: 1, tp: 1, cp: 16, pp: 1, context_exchange: {exchange}");
        let job = Setup { training: short, ..setup(DENSE, &plan) };
        refused(job, &["sequence_length 2056", "a multiple of 32"]);
    }
    // A part of the sequence is shared out over tensor ranks, too.
    let odd = "global_batch: 64, sequence_length: 2052, precision: Bf16";
    let plan = "dp: 2, tp: 4, cp: 2, pp: 1, sequence_parallel: true";
    refused(Setup { training: odd, ..setup(DENSE, plan) }, &["sequence_length 2052", "divides it"]);
}

/// Ranks that have copies of key and value heads gather what they multiply of queries, keys and values,
/// and add up its gradient.
#[test]
fn key_and_value_heads_on_several_ranks() {
    let moved = |heads: u32, sequence_parallel: bool| {
        let model = format!(
            "Shape(name: \"grouped\", layers: 16, hidden: 2048, heads: 32, kv_heads: {heads}, \
             vocab: 1024, positions: Rotary)"
        );
        let plan = format!(
            "Uniform(dp: 1, tp: 8, pp: 1, micro_batch_size: 1, sequence_parallel: {sequence_parallel})"
        );
        let job = Setup { groups: r#"(design: "dgx-a100", count: 1)"#, ..setup(&model, &plan) };
        conservation::check(&job.scenario());
        moved(&job.scenario(), Traffic::TensorParallel)
    };
    for sequence_parallel in [false, true] {
        let one_each = moved(8, sequence_parallel);
        for heads in [1, 2, 4] {
            // 32 query heads and two for each key and value head, 64 wide, of 2,048 tokens, in 2 bytes;
            // 64 micro-batches, 16 layers, both passes; seven eighths of it from each of eight ranks,
            // over two links.
            let width = 64.0 * f64::from(32 + 2 * heads);
            let extra = width * 2048.0 * 2.0 * 64.0 * 16.0 * 2.0 * 7.0 * 2.0;
            let more = moved(heads, sequence_parallel) - one_each;
            near(more, extra, 1e-9, &format!("{heads} heads"));
        }
    }
}

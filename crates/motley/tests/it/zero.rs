//! Replicas that share out their states: what it moves, what it frees, what it hides.

use motley::Scenario;
use motley_collectives::{CollectiveKind, Group};
use motley_job::RankId;
use motley_scheduler::Traffic;
use motley_topology::GpuId;

use crate::conservation;
use crate::setup::{DEEP, Setup, digest, exposed, moved, near, played, scenario, seconds};

/// Sixteen wide layers, eight replicas on a DGX A100 whose rings have no rival.
const REPLICAS: Setup = Setup {
    groups: r#"(design: "dgx-a100", count: 1)"#,
    training: "global_batch: 32, sequence_length: 4096, precision: Bf16, gradient_bytes: 2",
    plan: "Uniform(dp: 8, tp: 1, pp: 1, micro_batch_size: 2)",
    ..DEEP
};

fn with(zero: &str, more: &str) -> Scenario {
    let zero = if zero.is_empty() { String::new() } else { format!("zero: ({zero}),") };
    let plan = format!("Uniform(dp: 8, tp: 1, pp: 1, {zero} {more} micro_batch_size: 2)");
    Setup { plan: &plan, ..REPLICAS }.scenario()
}

fn between_replicas(scenario: &Scenario) -> f64 {
    moved(scenario, Traffic::DataParallel) + moved(scenario, Traffic::Parameters)
}

/// A ring's all-reduce is a reduce-scatter and an all-gather. Two micro-batches are reduced twice under
/// stage 2; under stage 3 parameters are gathered for every pass, in the backward pass unless they are
/// still there.
#[test]
fn bytes_follow_from_those_of_an_all_reduce() {
    let half = between_replicas(&with("", "")) / 2.0;
    for (zero, reduced, gathered) in [
        ("stage: 1", 1.0, 1.0),
        ("stage: 1, overlap_gather: true", 1.0, 1.0),
        ("stage: 2", 2.0, 1.0),
        ("stage: 2, overlap_gather: true", 2.0, 1.0),
        ("stage: 3, reshard_after_forward: false", 2.0, 2.0),
        ("stage: 3, prefetch: 0, reshard_after_forward: false", 2.0, 2.0),
    ] {
        for sync in ["", "gradient_sync: Overlapped(bucket: MiB(100)),"] {
            let scenario = with(zero, sync);
            near(moved(&scenario, Traffic::DataParallel), reduced * half, 1e-9, zero);
            near(moved(&scenario, Traffic::Parameters), gathered * half, 1e-9, zero);
        }
    }
    // Who gets all sums gets them by an all-reduce. Twice the bytes travel where 2 become 4.
    let whole = with("stage: 1, reduction: Whole", "");
    near(moved(&whole, Traffic::DataParallel), 2.0 * half, 1e-9, "whole sums");
    near(moved(&whole, Traffic::Parameters), half, 1e-9, "parameters behind whole sums");
    let training = format!("{}, reduce_bytes: 4", REPLICAS.training);
    let wide = Setup { training: &training, ..REPLICAS }.scenario();
    near(moved(&wide, Traffic::DataParallel), 4.0 * half, 1e-9, "sums in fp32");
    // The head, negligible here, is gathered once for both passes.
    let twice = moved(&with("stage: 3", ""), Traffic::Parameters);
    near(twice, 4.0 * half, 1e-3, "gathered for both passes");
    assert!(twice < 4.0 * half);
}

/// Each stage frees all but an n-th of what it shares out.
#[test]
fn memory_is_freed_in_proportion() {
    let memory = |zero: &str| played(&with(zero, "")).0.lowered.memory[0];
    let whole = memory("");
    for (zero, share) in [
        ("stage: 1", 8.0),
        ("stage: 1, group: 4", 4.0),
        ("stage: 2", 8.0),
        ("stage: 3", 8.0),
        ("stage: 3, group: 2", 2.0),
        ("stage: 2, group: 1", 1.0),
    ] {
        let found = memory(zero);
        near(found.optimizer.0, whole.optimizer.0 / share, 1e-9, zero);
        if zero.starts_with("stage: 1") {
            assert_eq!((found.parameters, found.gradients), (whole.parameters, whole.gradients));
        }
        if zero == "stage: 3" {
            // The own share, the layer that runs and the one ahead, of sixteen.
            near(found.parameters.0, whole.parameters.0 * (1.0 / 8.0 + 2.0 / 16.0), 1e-2, zero);
        }
        assert_eq!(found.activations, whole.activations);
    }
}

/// A group of all is no group, and a group of one shares nothing.
#[test]
fn hybrid_groups_at_their_ends() {
    for stage in [1, 2, 3] {
        let zero = format!("stage: {stage}");
        for all in [8, 9, 2048] {
            let hybrid = with(&format!("{zero}, group: {all}"), "");
            assert_eq!(digest(&hybrid), digest(&with(&zero, "")), "{zero}, group {all}");
        }
        let alone = with(&format!("{zero}, group: 1"), "");
        assert_eq!(digest(&alone), digest(&with("", "")), "{zero}");
    }
    // Shares by memory are equal shares where cards are equal.
    for zero in ["stage: 1", "stage: 3, group: 4"] {
        let by_memory = with(&format!("{zero}, shares: Memory"), "");
        assert_eq!(digest(&by_memory), digest(&with(zero, "")), "{zero}");
    }
}

/// The gathers of a rank, one by one, as long as they take when nothing else moves: the time of all in
/// an iteration, and of each layer's first.
fn gathers(scenario: &Scenario) -> (f64, Vec<f64>) {
    let (prepared, replays) = played(scenario);
    let job = &prepared.lowered.job;
    let members: Vec<GpuId> = (0..8).map(GpuId).collect();
    let group = Group::of_kinds(&prepared.cluster, &members, [CollectiveKind::AllGather]).unwrap();
    let (mut all, mut each) = (0.0, Vec::new());
    for (c, comm) in (0..).map(motley_job::CommId).zip(&job.communicators) {
        if prepared.lowered.traffic(c) != Traffic::Parameters {
            continue;
        }
        for (k, call) in (0..).zip(&job.call_sets[comm.calls.0 as usize].calls) {
            let laid = group.call(CollectiveKind::AllGather, 1e9);
            let time =
                group.uncontended(&motley_collectives::CollectiveCall { call: *call, ..laid });
            all += time.0 * replays.runs[0].account.calls(c, k) as f64;
            each.push(time.0);
        }
    }
    (all, each)
}

/// Without prefetching every gather is waited for from its beginning to its end; a few layers ahead
/// only what the first layer needs.
#[test]
fn prefetching_hides_all_gathers_but_the_first() {
    for more in ["", "recompute: Full,", "recompute: Selective,"] {
        let of = |prefetch: u32| with(&format!("stage: 3, prefetch: {prefetch}"), more);
        let (all, each) = gathers(&of(0));
        near(exposed(&of(0), Traffic::Parameters), all, 1e-6, "all are exposed");
        // Buckets descend: the embedding's is the last, the first layer's before it.
        let first: f64 = each.iter().rev().take(2).sum();
        for prefetch in [2, 4, 1000] {
            let left = exposed(&of(prefetch), Traffic::Parameters);
            assert!(left <= 1.001 * first, "{prefetch} ahead, {more}: {left} s, first {first} s");
        }
        let times = [0, 1, 2, 1000].map(|prefetch| seconds(&crate::setup::report(&of(prefetch))));
        // What travels earlier may take processors from a kernel that it left alone before.
        assert!(times.is_sorted_by(|less, more| *more <= less * 1.0001), "{times:?}");
    }
}

/// Gathering new parameters beside the next forward pass is never slower than after the step, and
/// neither moves more.
#[test]
fn gathers_beside_the_forward_pass_are_hidden() {
    for stage in [1, 2] {
        let at_end = with(&format!("stage: {stage}"), "");
        let beside = with(
            &format!("stage: {stage}, overlap_gather: true"),
            "gradient_sync: Overlapped(bucket: MiB(100)),",
        );
        let [late, early] = [&at_end, &beside].map(|each| exposed(each, Traffic::Parameters));
        assert!(early < 0.5 * late, "stage {stage}: {early} s, {late} s");
        let [late, early] = [&at_end, &beside].map(|each| seconds(&crate::setup::report(each)));
        assert!(early <= late, "stage {stage}");
    }
}

/// Two kinds of cards: shares by memory are in the proportion of memories, and make one copy in every
/// group.
#[test]
fn shares_by_memory_follow_the_memory() {
    let optimizers = |zero: &str| {
        let plan = format!("Uniform(dp: 12, tp: 1, pp: 1, micro_batch_size: 1, zero: ({zero}))");
        let setup = Setup {
            groups: r#"(design: "dgx1-v100", count: 1, nic: "eth-50"), (design: "g4dn.12xlarge", count: 1)"#,
            shape: "SingleSwitch",
            model: r#"Preset("gpt3-350m")"#,
            training: "global_batch: 12, sequence_length: 512, precision: Fp16",
            plan: &plan,
        };
        let scenario = scenario(&setup.text().replace("InfiniBand", "Ethernet"));
        conservation::check(&scenario);
        let (prepared, _) = played(&scenario);
        let of = |rank: u32| {
            let place = prepared.lowered.place(RankId(rank));
            let card = prepared.cluster.device(place.gpu);
            (prepared.lowered.memory[rank as usize].optimizer.0, card.memory.get().0)
        };
        (0..12).map(of).collect::<Vec<_>>()
    };
    for zero in ["stage: 1", "stage: 2, overlap_gather: true", "stage: 3", "stage: 3, group: 6"] {
        let sum = |shares: &[(f64, f64)]| shares.iter().map(|share| share.0).sum::<f64>();
        let equal = optimizers(zero);
        let unlike = optimizers(&format!("{zero}, shares: Memory"));
        near(sum(&unlike), sum(&equal), 1e-9, zero);
        assert!(equal.iter().all(|share| (share.0 / equal[0].0 - 1.0).abs() < 1e-9));
        let group = if zero.contains("group") { 6 } else { 12 };
        for sharers in unlike.chunks(group) {
            let first = sharers[0];
            for &(taken, memory) in sharers {
                near(taken / first.0, memory / first.1, 1e-9, zero);
            }
        }
    }
}

/// Unlike cards work through micro-batches of unlike size, and meet in every layer.
#[test]
fn unlike_micro_batches_under_stage_3() {
    for (group, shares) in [("", "Equal"), ("", "Memory"), ("group: 3,", "Memory")] {
        let plan = format!(
            "Explicit(zero: (stage: 3, {group} shares: {shares}), pipelines: [
                (micro_batches: 4, micro_batch_size: 3, stages: [(gpus: [0, 1], layers: 0..16)]),
                (micro_batches: 4, micro_batch_size: 2, stages: [(gpus: [2], layers: 0..16)]),
                (micro_batches: 4, micro_batch_size: 1, stages: [(gpus: [8], layers: 0..16)]),
                (micro_batches: 4, micro_batch_size: 1, stages: [(gpus: [13], layers: 0..16)]),
                (micro_batches: 4, micro_batch_size: 2, stages: [
                    (gpus: 9..13, layers: 0..16, recompute: Full, cp: 2,
                     context_exchange: AllGather)])])"
        );
        let setup = Setup {
            groups: r#"(design: "dgx1-v100", count: 1), (design: "dgx1-p100", count: 1)"#,
            training: "global_batch: 36, sequence_length: 512, precision: Fp16",
            plan: &plan,
            ..DEEP
        };
        conservation::check(&scenario(&setup.text()));
    }
}

//! Experts that are dealt out over ranks.

use motley_scheduler::Traffic;
use motley_units::Time;

use crate::conservation;
use crate::random_plans;
use crate::setup::{DEEP, Setup, digest, moved, near, report, scenario, seconds};

/// Eight layers of 64 experts, six of them visited.
fn model(shared: &str) -> String {
    format!(
        "Stack(name: \"bank\", embedding: Tokens(vocab: 256, hidden: 2048), layers: [
            (repeat: 8, layers: [Transformer(
                attention: (heads: 16, positions: Rotary,
                            projections: Grouped(kv_heads: 16, head_dim: 128)),
                norm: RmsNorm,
                feed_forward: Experts(experts: 64, top_k: 6, expert: (ffn: 1408, gated: true)
                                      {shared}))]),
        ], head: Language(norm: RmsNorm))"
    )
}

const SHARED: &str = ", shared: (ffn: 2816)";

const TRAINING: &str = "global_batch: 32, sequence_length: 4096, precision: Bf16";

fn setup<'a>(groups: &'a str, model: &'a str, training: &'a str, plan: &'a str) -> Setup<'a> {
    Setup { groups, model, training, plan, ..DEEP }
}

const ONE: &str = r#"(design: "dgx-h100", count: 1)"#;
const UNLIKE: &str = r#"(design: "hgx-a800", count: 1, nic: "cx6-hdr"),
                        (design: "hgx-h800", count: 1, nic: "cx7-ndr")"#;
const TWO: &str = r#"(design: "dgx-h100", count: 2)"#;

/// One rank to deal out to is no dealing out.
#[test]
fn one_rank_is_no_expert_parallelism() {
    let model = model(SHARED);
    let of = |plan: &str| digest(&setup(ONE, &model, TRAINING, plan).scenario());
    for (dp, tp) in [(8, 1), (4, 2), (1, 8)] {
        let plan = |more: &str| {
            format!(
                "Uniform(dp: {dp}, tp: {tp}, pp: 1, micro_batch_size: 1, \
                 sequence_parallel: true, {more})"
            )
        };
        let none = of(&plan(""));
        for more in
            ["ep: 1".to_owned(), format!("ep: 1, etp: {tp}"), "dispatch: Forwarded".to_owned()]
        {
            assert_eq!(of(&plan(&more)), none, "{more} on tp {tp}");
        }
    }
}

/// Every rank sends a copy of each token for each of its experts, but for those that are its own, to
/// experts and back, in both passes.
#[test]
fn all_to_all_moves_tokens_times_experts() {
    let bank = model("");
    for (load, factor) in [
        ("", 1.0),
        ("expert_load: (imbalance: 1.5),", 1.5),
        ("expert_load: (capacity: Padded(1.25)),", 1.25),
    ] {
        for (dp, tp, ep, etp) in
            [(8, 1, 8, 1), (8, 1, 4, 1), (8, 1, 2, 1), (4, 2, 4, 1), (4, 2, 8, 1)]
        {
            let training = format!("{TRAINING}, {load}");
            let plan = format!(
                "Uniform(dp: {dp}, tp: {tp}, pp: 1, ep: {ep}, etp: {etp}, micro_batch_size: 1, \
                 sequence_parallel: true)"
            );
            let scenario = setup(ONE, &bank, &training, &plan).scenario();
            // Tokens of the batch, each routed by one rank; 8 layers; four ways of 2 bytes an element;
            // two links for each byte.
            let copies = 32.0 * 4096.0 * 6.0 * 2048.0;
            let others = f64::from(ep - 1) / f64::from(ep);
            let expected = copies * others * 8.0 * 4.0 * 2.0 * 2.0 * factor;
            near(moved(&scenario, Traffic::ExpertParallel), expected, 1e-9, &plan);
            conservation::check(&scenario);
        }
    }
}

/// Sending a token once to each rank, and once to each node, moves less and never takes longer than a
/// copy for each expert across a network.
#[test]
fn forwarding_moves_less() {
    let bank = model("");
    let of = |dispatch: &str| {
        let plan = format!(
            "Uniform(dp: 16, tp: 1, pp: 1, ep: 16, dispatch: {dispatch}, micro_batch_size: 1)"
        );
        let scenario = setup(TWO, &bank, TRAINING, &plan).scenario();
        conservation::check(&scenario);
        (moved(&scenario, Traffic::ExpertParallel), seconds(&report(&scenario)))
    };
    let ((copies, slow), (once, fast)) = (of("AllToAll"), of("Forwarded"));
    assert!(once < copies && fast < slow, "{once} of {copies} bytes, {fast} s, {slow} s");
}

/// Copies of experts inside one stage are replicas of each other though there is one pipeline.
#[test]
fn copies_in_one_stage_average_their_gradients() {
    let bank = model("");
    for (tp, cp, ep, etp) in [(8, 1, 4, 1), (4, 2, 4, 1), (4, 2, 2, 2), (2, 4, 2, 2)] {
        for zero in ["", "zero: (stage: 1),", "zero: (stage: 3),"] {
            let plan = format!(
                "Uniform(dp: 1, tp: {tp}, cp: {cp}, pp: 1, ep: {ep}, etp: {etp}, {zero} \
                 micro_batch_size: 1, sequence_parallel: true, context_exchange: AllGather)"
            );
            let scenario = setup(ONE, &bank, TRAINING, &plan).scenario();
            conservation::check(&scenario);
            let averaged = moved(&scenario, Traffic::DataParallel);
            assert!(averaged > 0.0, "{plan}");
        }
    }
}

/// Pipelines that deal their experts out and pipelines that split them have parts in common, and
/// average these.
#[test]
fn dealt_out_and_split_copies_average_what_they_share() {
    let bank = model(SHARED);
    let stage = |gpus: &str, more: &str| {
        format!(
            "(micro_batches: 8, micro_batch_size: 1, stages: [(gpus: {gpus}, layers: 0..8, {more})])"
        )
    };
    for zero in ["", "zero: (stage: 1, shares: Memory),", "zero: (stage: 3),"] {
        let pipelines = [
            stage("0..4", ""),
            stage("4..8", "ep: 4, etp: 1"),
            stage("8..12", "ep: 2, etp: 2"),
            stage("12..14", "ep: 1, etp: 1"),
        ];
        let plan = format!(
            "Explicit(sequence_parallel: true, {zero} pipelines: [{}])",
            pipelines.join(", ")
        );
        let groups = UNLIKE;
        conservation::check(&setup(groups, &bank, TRAINING, &plan).scenario());
    }
}

/// The passes of DualPipe hide each other's dispatches.
#[test]
fn two_directions_hide_the_dispatch() {
    let bank = model(SHARED);
    let shown = |schedule: &str| {
        let plan = format!(
            "Uniform(dp: 2, tp: 1, pp: 4, ep: 2, micro_batch_size: 1, schedule: {schedule})"
        );
        let report = setup(ONE, &bank, TRAINING, &plan).report();
        report.breakdown.exposed_expert_parallel.as_secs_f64()
    };
    let alone = shown("OneFOneB");
    for schedule in ["DualPipe", "DualPipeV"] {
        let both = shown(schedule);
        assert!(both < 0.6 * alone, "{schedule}: {both} s, 1F1B {alone} s");
    }
}

/// The same over the chunks of interleaved stages, and on a single stage.
#[test]
fn paired_passes_hide_exchanges() {
    let bank = model(SHARED);
    for (degrees, plain, paired) in [
        ("dp: 8, tp: 1, pp: 1, ep: 8", "OneFOneB", "Paired()"),
        ("dp: 4, tp: 1, pp: 2, ep: 4", "Interleaved(chunks: 2)", "Paired(chunks: 2)"),
    ] {
        let run = |schedule: &str| {
            let plan = format!("Uniform({degrees}, micro_batch_size: 1, schedule: {schedule})");
            setup(ONE, &bank, TRAINING, &plan).report()
        };
        let (alone, both) = (run(plain), run(paired));
        let exposed =
            |report: &motley::Report| report.breakdown.exposed_expert_parallel.as_secs_f64();
        assert!(exposed(&both) < 0.6 * exposed(&alone), "{degrees}: {} s", exposed(&both));
        assert!(both.iteration_time.mean < alone.iteration_time.mean, "{degrees}");
    }
}

/// Kernels that take tokens as they lie leave nothing to sort before: less to compute.
#[test]
fn forwarded_tokens_are_not_sorted() {
    let bank = model(SHARED);
    let computing = |dispatch: &str| {
        let plan = format!(
            "Uniform(dp: 8, tp: 1, pp: 1, ep: 4, micro_batch_size: 1, dispatch: {dispatch})"
        );
        setup(ONE, &bank, TRAINING, &plan).report().breakdown.compute.as_secs_f64()
    };
    let (forwarded, copied) = (computing("Forwarded"), computing("AllToAll"));
    assert!(forwarded < copied, "{forwarded} s, {copied} s");
}

#[test]
fn a_shared_expert_beside_the_dispatch_never_slows() {
    let bank = model(SHARED);
    for (groups, plan) in [
        (ONE, "dp: 8, tp: 1, pp: 1, ep: 8"),
        (ONE, "dp: 4, tp: 2, pp: 1, ep: 8, etp: 1"),
        (ONE, "dp: 2, tp: 1, pp: 4, ep: 2, schedule: DualPipe"),
        (ONE, "dp: 4, tp: 2, pp: 1"),
        (TWO, "dp: 16, tp: 1, pp: 1, ep: 16, dispatch: Forwarded"),
        (TWO, "dp: 4, tp: 4, pp: 1, ep: 4, etp: 4, recompute: Full"),
    ] {
        let of = |overlap: bool| {
            let plan = format!(
                "Uniform({plan}, micro_batch_size: 1, sequence_parallel: true, \
                 overlap_shared_expert: {overlap})"
            );
            setup(groups, &bank, TRAINING, &plan).seconds()
        };
        let (beside, before) = (of(true), of(false));
        assert!(beside <= before * (1.0 + 1e-9), "{plan}: {beside} s beside, {before} s before");
    }
}

/// What communication has for itself it does not take from kernels while it runs; a collective that
/// wants more takes the rest.
#[test]
fn multiprocessors_can_be_kept_for_communication() {
    let bank = model(SHARED);
    let of = |kept: u32| {
        let training = format!("{TRAINING}, communication_multiprocessors: {kept}");
        let plan = "Uniform(dp: 8, tp: 1, pp: 2, ep: 8, dispatch: Forwarded, schedule: DualPipe, \
                    micro_batch_size: 1)";
        let scenario = setup(TWO, &bank, &training, plan).scenario();
        conservation::check(&scenario);
        report(&scenario).breakdown
    };
    let (none, some) = (of(0), of(20));
    assert!(none.overlap_slowdown > Time::ZERO);
    assert_eq!(some.overlap_slowdown, Time::ZERO);
    assert!(some.compute > none.compute);
}

/// Unlike cards share experts, the slower ones set the pace, and all laws hold.
#[test]
fn unlike_cards_share_experts() {
    let bank = model(SHARED);
    let groups = UNLIKE;
    for plan in [
        "dp: 16, tp: 1, pp: 1, ep: 16",
        "dp: 16, tp: 1, pp: 1, ep: 16, dispatch: Forwarded, zero: (stage: 1, shares: Memory)",
        "dp: 4, tp: 2, pp: 2, ep: 8, etp: 1, order: TpPpDp",
        "dp: 4, tp: 1, pp: 4, ep: 4, order: TpPpDp, schedule: ZeroBubble(order: Automatic)",
        "dp: 4, tp: 1, pp: 4, ep: 2, order: TpPpDp, zero: (stage: 3), schedule: ZeroBubble(order: V)",
        "dp: 2, tp: 2, cp: 2, pp: 2, ep: 4, etp: 2, context_exchange: AllToAll, schedule: DualPipeV",
        "dp: 4, tp: 1, pp: 4, ep: 4, order: TpPpDp, zero: (stage: 2), schedule: DualPipeV",
        "dp: 8, tp: 1, pp: 2, ep: 8, order: TpPpDp, zero: (stage: 1), schedule: Paired(chunks: 2)",
        "dp: 2, tp: 1, cp: 2, pp: 4, ep: 4, layers: Proportional, schedule: DualPipe",
    ] {
        let plan = format!("Uniform({plan}, micro_batch_size: 1, sequence_parallel: true)");
        conservation::check(&scenario(&setup(groups, &bank, TRAINING, &plan).text()));
    }
}

/// A degree means nothing to stages without experts: they meet nobody, and pipelines that begin with
/// such, of unlike depth, each have an automatic schedule of their own.
#[test]
fn stages_without_experts_meet_nobody() {
    let model = random_plans::experts(false);
    let seconds_with = |degrees: &str| {
        let plan = format!(
            "Explicit(schedule: ZeroBubble(order: Automatic, activations: Stages(2)), pipelines: [
                (micro_batches: 2, micro_batch_size: 1, stages: [
                    (gpus: [0], layers: [0..3]{degrees}), (gpus: [1], layers: [3..10])]),
                (micro_batches: 3, micro_batch_size: 1, stages: [
                    (gpus: [2], layers: [0..3]{degrees}), (gpus: [3], layers: [3..5]),
                    (gpus: [4], layers: [5..10])]),
            ])"
        );
        let training = "global_batch: 5, sequence_length: 384, precision: Bf16";
        seconds(&report(&setup(ONE, &model, training, &plan).scenario()))
    };
    assert_eq!(seconds_with("").to_bits(), seconds_with(", ep: 8, etp: 1").to_bits());
}

//! Sequences that are cut over ranks.

use motley_scheduler::Traffic;

use crate::conservation;
use crate::setup::{DEEP, Setup, exposed, moved, near, played};

/// 16 layers of 32 heads, 8 of them for keys and values, 128 wide.
const GROUPED: &str = r#"Shape(name: "grouped", layers: 16, hidden: 4096, heads: 32, kv_heads: 8,
                               vocab: 128, positions: Rotary)"#;

const JOB: Setup = Setup {
    groups: r#"(design: "dgx-a100", count: 1)"#,
    model: GROUPED,
    training: "global_batch: 8, sequence_length: 16384, precision: Bf16, attention: Flash",
    ..DEEP
};

const EXCHANGES: [&str; 3] = ["Ring", "AllGather", "AllToAll"];

fn plan(dp: u32, tp: u32, cp: u32, exchange: &str) -> String {
    format!(
        "Uniform(dp: {dp}, tp: {tp}, cp: {cp}, pp: 1, micro_batch_size: 1, \
         sequence_parallel: {}, context_exchange: {exchange})",
        tp > 1
    )
}

/// What one rank sends in a layer for one micro-batch of `tokens` of its own, by the exchange; all in
/// elements of 2 bytes: queries 4096 wide, keys and values 2 x 1024, outputs 4096.
fn sent(exchange: &str, tokens: f64, cp: f64) -> f64 {
    let (queries, keys_values, outputs) = (4096.0, 2048.0, 4096.0);
    let elements = match exchange {
        // Forward keys and values, backward these and their gradients, which then go home.
        "Ring" => keys_values * ((cp - 1.0) + 2.0 * (cp - 1.0) + 1.0),
        // Gathered in both passes, gradients reduce-scattered.
        "AllGather" => 3.0 * keys_values * (cp - 1.0),
        // There and back in both passes.
        _ => 2.0 * (queries + keys_values + outputs) * (cp - 1.0) / cp,
    };
    2.0 * tokens * elements
}

#[test]
fn exchanges_move_what_their_closed_forms_say() {
    for (dp, tp, cp) in [(1, 1, 8), (2, 1, 4), (4, 1, 2), (2, 2, 2), (1, 2, 4)] {
        for exchange in EXCHANGES {
            let plan = plan(dp, tp, cp, exchange);
            let scenario = Setup { plan: &plan, ..JOB }.scenario();
            let tokens = 16384.0 / f64::from(cp);
            // Each tensor rank sends its heads; 8 ranks, 16 layers, 8 micro-batches over `dp`
            // pipelines; every byte crosses the link to the switch and the link from it.
            let all = sent(exchange, tokens, f64::from(cp)) / f64::from(tp) * 16.0 * 8.0 * 8.0
                / f64::from(dp)
                * 2.0;
            near(moved(&scenario, Traffic::ContextParallel), all, 1e-9, &plan);
            conservation::check(&scenario);
        }
    }
}

/// Half the tokens take half the time everywhere but in attention, which sees the same scores: half the
/// queries over all keys, or half the heads.
#[test]
fn two_ranks_halve_the_work() {
    let compute = |plan: &str, groups: &str| {
        let scenario = Setup { groups, plan, ..JOB }.scenario();
        let (prepared, replays) = played(&scenario);
        let account = &replays.runs[0].account;
        let kinds = motley_report::ComputeKind::ALL;
        let optimizer = account.compute_of(motley_job::RankId(0), kinds[3]).as_secs_f64();
        let time = account.computing(motley_job::RankId(0)).as_secs_f64() - optimizer;
        (time, prepared.lowered.model_flops.iter().sum::<f64>())
    };
    let (groups, one_pipeline) = (JOB.groups, "(micro_batches: 8, micro_batch_size: 1, stages:");
    let of = |gpus: &str, cp: u32, exchange: &str| {
        let plan = format!(
            "Explicit(pipelines: [{one_pipeline} [(gpus: {gpus}, layers: 0..16, cp: {cp}, \
             context_exchange: {exchange})])])"
        );
        compute(&plan, groups)
    };
    let (whole, flops) = of("[0]", 1, "Ring");
    for exchange in EXCHANGES {
        for cp in [2, 4, 8] {
            let (part, same) = of(&format!("0..{cp}"), cp, exchange);
            near(same, flops, 1e-12, exchange);
            // Smaller products run a little less efficiently, and the steps of a ring more so.
            let more = part / whole * f64::from(cp) - 1.0;
            let limit = f64::from(cp) * if exchange == "Ring" { 0.03 } else { 0.015 };
            assert!((-0.005..limit).contains(&more), "{exchange} over {cp}: {more}");
        }
    }
}

/// Context ranks hold the same parameters, and average as replicas do.
#[test]
fn context_ranks_average_as_replicas_do() {
    let gradients = |dp: u32, cp: u32, zero: &str| {
        let plan = plan(dp, 1, cp, "Ring").replace("pp: 1,", &format!("pp: 1, {zero}"));
        let scenario = Setup { plan: &plan, ..JOB }.scenario();
        moved(&scenario, Traffic::DataParallel) + moved(&scenario, Traffic::Parameters)
    };
    for zero in ["", "zero: (stage: 1),"] {
        let replicas = gradients(8, 1, zero);
        assert!(replicas > 0.0);
        for (dp, cp) in [(4, 2), (2, 4), (1, 8)] {
            near(gradients(dp, cp, zero), replicas, 1e-9, &format!("dp {dp}, cp {cp} {zero}"));
        }
    }
}

/// A ring travels beside attention: of long sequences nothing but the way home of gradients shows.
#[test]
fn long_sequences_hide_the_ring() {
    let shown = |length: u32, exchange: &str| {
        let training = format!(
            "global_batch: 1, sequence_length: {length}, precision: Bf16, attention: Flash"
        );
        let plan = plan(1, 1, 8, exchange);
        let scenario = Setup { plan: &plan, training: &training, ..JOB }.scenario();
        (exposed(&scenario, Traffic::ContextParallel), moved(&scenario, Traffic::ContextParallel))
    };
    let (ring, ring_bytes) = shown(131_072, "Ring");
    let (gather, gather_bytes) = shown(131_072, "AllGather");
    assert!(ring_bytes > gather_bytes && ring < 0.2 * gather, "{ring} s, {gather} s");
    // Of short ones the steps show.
    let (short, _) = shown(2048, "Ring");
    assert!(short > 0.0);
}

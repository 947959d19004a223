//! Modules that are computed again, through the whole path.

use motley::load_text;
use motley_hardware::Catalog;
use motley_scheduler::Traffic;
use motley_units::Time;
use motley_workload::{KernelModel, RecomputeModule, RecomputeModules, Shard, blocks, card_path};

use crate::conservation;
use crate::setup::{DEEP, Setup, digest, moved, near, report, scenario};

const CARD: &str = "h100-sxm";

/// A dense layer, then seven of 64 experts and a shared one, all with latent attention.
const LATENT: &str =
    "Stack(name: \"latent\", embedding: Tokens(vocab: 256, hidden: 2048), layers: [
        (layers: [Transformer(
            attention: (heads: 16, positions: Rotary, projections: Latent(
                q_rank: 768, kv_rank: 512, nope_dim: 128, rope_dim: 64, v_dim: 128)),
            norm: RmsNorm, feed_forward: Dense(ffn: 8192, gated: true))]),
        (repeat: 7, layers: [Transformer(
            attention: (heads: 16, positions: Rotary, projections: Latent(
                q_rank: 768, kv_rank: 512, nope_dim: 128, rope_dim: 64, v_dim: 128)),
            norm: RmsNorm, feed_forward: Experts(
                experts: 64, top_k: 6, expert: (ffn: 1408, gated: true), shared: (ffn: 2816)))]),
    ], head: Language(norm: RmsNorm))";

/// In every order: a norm, a product, an activation function, whole parts, all of them.
const SETS: [&str; 8] = [
    "[LayerNorm]",
    "[MlaUpProj]",
    "[MoeAct]",
    "[Mlp]",
    "[SharedExperts]",
    "[Moe]",
    "[LayerNorm, MlaUpProj, MoeAct]",
    "[CoreAttn, MoeAct, LayerNorm, MlaUpProj, Mlp, Moe, SharedExperts]",
];

fn text(precision: &str, attention: &str, plan: &str, recompute: &str) -> String {
    let training = format!(
        "global_batch: 32, sequence_length: 4096, precision: {precision}, attention: {attention}, \
         host_launch: Graphs"
    );
    let plan = format!("Uniform({plan}, micro_batch_size: 1, recompute: {recompute})");
    Setup { model: LATENT, training: &training, plan: &plan, ..DEEP }.text()
}

/// What is computed again takes as long as its kernels do in the forward pass, micro-batch for
/// micro-batch, wherever the schedule puts the backward passes.
#[test]
fn recomputation_takes_the_time_of_its_kernels() {
    let device = Catalog::builtin().device(CARD).unwrap();
    let architecture = Catalog::builtin().architecture(&device.architecture).unwrap();
    for plan in [
        "dp: 8, tp: 1, pp: 1",
        "dp: 1, tp: 1, pp: 8",
        "dp: 1, tp: 1, pp: 8, schedule: ZeroBubble(order: H1)",
        "dp: 2, tp: 1, pp: 4, schedule: Interleaved(chunks: 2)",
        "dp: 4, tp: 1, pp: 2, schedule: DualPipeV, layers: Counts([2, 2, 2, 2])",
    ] {
        for (precision, attention) in
            [("Bf16", "Unfused"), ("Bf16", "Flash"), ("Fp8(Block)", "Flash")]
        {
            for set in SETS {
                let text = text(precision, attention, plan, &format!("Modules({set})"));
                let scenario = scenario(&text);
                let (model, training) = (&scenario.model, &scenario.training);
                let path = card_path(device, architecture, training).unwrap();
                let kernels = KernelModel::new(device, architecture, path);
                let shard = Shard::new(1, false, 1);
                let expected: f64 = (0..model.layer_count())
                    .flat_map(|layer| blocks(model, model.part(layer), training, &path, &shard))
                    .flat_map(|block| block.repeats)
                    .filter(|repeat| repeat.is_done(modules(set)))
                    .flat_map(|repeat| repeat.operators)
                    .map(|op| Time::from(kernels.time(&op)).as_secs_f64())
                    .sum();
                let found = report(&scenario).breakdown.computed.recompute.as_secs_f64();
                // Of the mean card, 32 micro-batches on 8 cards.
                near(found, expected * 4.0, 1e-6, &format!("{plan} {precision} {set}"));
            }
        }
    }
}

fn modules(set: &str) -> RecomputeModules {
    let names: Vec<&str> = set.trim_matches(['[', ']']).split(", ").collect();
    let named = |module: &RecomputeModule| names.contains(&format!("{module:?}").as_str());
    RecomputeModule::ALL.into_iter().filter(named).collect()
}

/// A mixture that is computed again sends its tokens to experts and back a second time.
#[test]
fn mixtures_repeat_their_exchanges() {
    for dispatch in ["AllToAll", "Forwarded"] {
        for plan in ["dp: 8, tp: 1, pp: 1, ep: 8", "dp: 4, tp: 2, pp: 1, ep: 8, etp: 1"] {
            let plan = format!("{plan}, sequence_parallel: true, dispatch: {dispatch}");
            let of = |recompute: &str| {
                let scenario = scenario(&text("Bf16", "Flash", &plan, recompute));
                conservation::check(&scenario);
                moved(&scenario, Traffic::ExpertParallel)
            };
            let none = of("None");
            for (modules, factor) in [
                ("Modules([Moe])", 1.5),
                ("Modules([Moe, MoeAct, LayerNorm])", 1.5),
                ("Modules([MoeAct, LayerNorm, SharedExperts, MlaUpProj, Mlp])", 1.0),
                ("Full", 1.5),
            ] {
                near(of(modules), factor * none, 1e-9, &format!("{plan} {modules}"));
            }
        }
    }
}

/// All laws hold whatever is computed again, under all schedules.
#[test]
fn laws_hold_under_all_schedules() {
    for plan in [
        "dp: 2, tp: 2, pp: 2, ep: 4, etp: 1, sequence_parallel: true",
        "dp: 1, tp: 2, cp: 2, pp: 2, ep: 4, etp: 1, sequence_parallel: true",
        "dp: 2, tp: 1, pp: 4, ep: 2, schedule: ZeroBubble(order: Automatic)",
        "dp: 4, tp: 1, pp: 2, ep: 4, zero: (stage: 1), schedule: DualPipe",
        "dp: 4, tp: 1, pp: 2, ep: 4, zero: (stage: 1), schedule: Paired(chunks: 2)",
        "dp: 8, tp: 1, pp: 1, ep: 4, zero: (stage: 3)",
    ] {
        for set in SETS {
            let text = text("Bf16", "Flash", plan, &format!("Modules({set})"));
            conservation::check(&scenario(&text));
        }
    }
}

#[test]
fn selective_is_the_core_of_attention() {
    for attention in ["Flash", "Unfused"] {
        let plan = "dp: 2, tp: 1, pp: 4";
        let of = |recompute| digest(&scenario(&text("Bf16", attention, plan, recompute)));
        assert_eq!(of("Selective"), of("Modules([CoreAttn])"));
        assert_eq!(of("Selective") == of("None"), attention == "Flash");
    }
}

#[test]
fn impossible_mixtures_are_refused() {
    let refused = |text: &str, expected: &[&str]| {
        let found = load_text("test.ron", text, &[])
            .map_err(|rejected| rejected.to_string())
            .and_then(|scenario| motley::simulate(&scenario).map_err(|error| error.to_string()));
        let message = found.map(drop).expect_err("refused");
        for part in expected {
            assert!(message.contains(part), "{message} lacks {part}");
        }
    };
    let one = "dp: 8, tp: 1, pp: 1, ep: 8";
    let check = |precision, plan, set: &str, expected: &[&str]| {
        refused(&text(precision, "Flash", plan, &format!("Modules({set})")), expected);
    };
    check("Bf16", one, "[]", &["names no module", "leave `recompute` out"]);
    check("Bf16", one, "[Norm]", &["LayerNorm"]);
    check("Bf16", one, "LayerNorm", &["expected a list", "found the name `LayerNorm`"]);
    check("Fp8(Delayed)", one, "[MoeAct]", &["cannot be quantised again", "Fp8(Block)"]);
    check("Fp8(Delayed)", one, "[LayerNorm]", &["cannot be quantised again"]);
    let beside = "dp: 8, tp: 1, pp: 1, ep: 8, overlap_shared_expert: true";
    check("Bf16", beside, "[SharedExperts]", &["while tokens travel", "not both"]);
    let dense = |set: &str, expected: &str| {
        let plan =
            format!("Uniform(dp: 1, tp: 1, pp: 8, micro_batch_size: 1, recompute: Modules({set}))");
        refused(&Setup { plan: &plan, ..DEEP }.text(), &[expected, "leave it out"]);
    };
    dense("[MlaUpProj]", "no layer of model `headless` has latent attention");
    dense("[Moe]", "has experts");
    dense("[MoeAct]", "has experts");
    dense("[SharedExperts]", "has a shared expert");
}

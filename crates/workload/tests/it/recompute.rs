//! Modules that are computed again: what they do not keep, and what is done a second time.

use motley_hardware::Catalog;
use motley_workload::{
    AttentionKernel, Block, CardPath, Fp8Recipe, Model, Operator, Part, Pass, Precision, Preset,
    Recompute, RecomputeModule, RecomputeModules, Shard, Training, activations, blocks, card_path,
    recomputed_flops,
};

use crate::common::{close, path_in, training};
use RecomputeModule::{CoreAttn, LayerNorm, MlaUpProj, Mlp, Moe, MoeAct, SharedExperts};

const BATCH: u32 = 2;
const SEQUENCE: u32 = 2048;

fn deepseek() -> (Model, [Part; 2]) {
    let model = Model::preset("deepseek-v3").expect("a preset");
    let parts = [model.part(0), model.part(3)];
    (model, parts)
}

fn bf16() -> (Training, CardPath) {
    let training = Training { precision: Precision::Bf16, ..training(SEQUENCE) };
    (training, path_in(Precision::Bf16, AttentionKernel::Flash))
}

fn of(modules: &[RecomputeModule]) -> Recompute {
    Recompute::Modules(modules.iter().copied().collect())
}

/// What single modules of DeepSeek-V3's layers do not keep in 16 bits, in elements of two bytes a
/// token.
#[test]
fn modules_drop_what_the_closed_forms_say() {
    let (model, [dense, experts]) = deepseek();
    let (training, path) = bf16();
    let (h, latents, heads) = (7168.0, 1536.0 + 512.0, 128.0);
    // Queries and keys of 192, values of 128, and both latents behind their norms.
    let expanded = heads * (2.0 * 192.0 + 128.0) + latents;
    let (shared, chosen) = (2.0 * 2048.0 + 2048.0, 8.0);
    // Scores in fp32, an fp32 weight and a 64-bit number for each choice; rows before and behind the
    // first product and behind the activation function.
    let routed = 2.0 * 256.0 + 6.0 * chosen + chosen * (h + 2.0 * 2048.0 + 2048.0);
    let cases: &[(Part, &[RecomputeModule], f64)] = &[
        (dense, &[LayerNorm], 2.0 * h),
        (dense, &[MlaUpProj], expanded),
        (dense, &[Mlp], 2.0 * 18432.0 + 18432.0),
        (dense, &[Moe, MoeAct, SharedExperts], 0.0),
        (dense, &[CoreAttn], 0.0),
        (experts, &[LayerNorm], 2.0 * h),
        (experts, &[MlaUpProj], expanded),
        (experts, &[Mlp], 0.0),
        (experts, &[MoeAct], chosen * 2048.0),
        (experts, &[SharedExperts], shared),
        (experts, &[Moe], routed + shared),
        (experts, &[Moe, MoeAct, SharedExperts], routed + shared),
        (experts, &[MoeAct, SharedExperts], chosen * 2048.0 + shared),
        (experts, &[LayerNorm, MlaUpProj, Moe], 2.0 * h + expanded + routed + shared),
    ];
    let tokens = f64::from(BATCH * SEQUENCE);
    for &(part, modules, per_token) in cases {
        // Experts are dealt out, and as many rows come as go.
        for expert_parallel in [1, 8] {
            let shard = Shard { expert_parallel, ..Shard::new(1, false, BATCH) };
            let found = activations(&model, part, &training, &path, &shard);
            let dropped = found.bytes(Recompute::None).0 - found.bytes(of(modules)).0;
            close(dropped, 2.0 * tokens * per_token, 1e-12, &format!("{part:?} {modules:?}"));
            let workspace = found.workspace(of(modules)).0 - found.workspace(Recompute::None).0;
            close(workspace, dropped, 1e-9, &format!("{part:?} {modules:?}, while the part runs"));
        }
    }
}

/// In fp8 an MLP that is computed again keeps its input as the norm puts it out, in place of the copy
/// that the first product's weight gradient wants; if the norm is computed again, too, neither.
#[test]
fn checkpoints_keep_their_input_once() {
    let (model, [dense, _]) = deepseek();
    let training = Training { precision: Precision::Fp8(Fp8Recipe::Block), ..bf16().0 };
    let device = Catalog::builtin().device("h800-sxm").expect("in the catalogue");
    let architecture = Catalog::builtin().architecture(&device.architecture).expect("it too");
    let path = card_path(device, architecture, &training).expect("the card runs it");
    let shard = Shard::new(1, false, BATCH);
    let found = activations(&model, dense, &training, &path, &shard);
    let dropped = |modules: &[RecomputeModule]| {
        (found.bytes(Recompute::None).0 - found.bytes(of(modules)).0) / f64::from(BATCH * SEQUENCE)
    };
    let copy = 1.0 + 1.0 / 32.0;
    let inside = 2.0 * 2.0 * 18432.0 + copy * 18432.0;
    // The latents are two products, each with a copy.
    close(dropped(&[LayerNorm]), 3.0 * copy * 7168.0, 1e-12, "norms");
    close(dropped(&[Mlp]), inside + (copy - 2.0) * 7168.0, 1e-12, "MLP");
    close(dropped(&[LayerNorm, Mlp]), inside + 3.0 * copy * 7168.0, 1e-12, "both");
}

fn every_set() -> impl Iterator<Item = RecomputeModules> {
    (0..1_u32 << RecomputeModule::ALL.len()).map(|choice| {
        let chosen = |module: &RecomputeModule| choice >> (*module as u32) & 1 == 1;
        RecomputeModule::ALL.into_iter().filter(chosen).collect()
    })
}

fn repeated(blocks: &[Block], modules: RecomputeModules) -> Vec<Operator> {
    let repeats = blocks.iter().flat_map(|block| &block.repeats);
    repeats
        .filter(|repeat| repeat.is_done(modules))
        .flat_map(|repeat| repeat.operators.iter().cloned())
        .collect()
}

/// Whatever is computed again: kernels of the forward pass, with the products that the field's
/// convention counts; more modules keep less, whole layers least.
#[test]
fn modules_repeat_parts_of_the_forward_pass() {
    for name in ["deepseek-v3", "gpt-22b", "mixtral-8x7b", "qwen-3-30b-a3b", "t5-11b"] {
        let model = Model::preset(name).unwrap_or_else(|| panic!("{name} is a preset"));
        for kernel in [AttentionKernel::Flash, AttentionKernel::Unfused] {
            let training = Training { precision: Precision::Bf16, ..training(SEQUENCE) };
            let path = path_in(Precision::Bf16, kernel);
            let shard = Shard::new(1, false, BATCH);
            for part in model.distinct_parts().filter(|part| matches!(part, Part::Layer(_))) {
                let list = blocks(&model, part, &training, &path, &shard);
                let kept = activations(&model, part, &training, &path, &shard);
                for modules in every_set() {
                    let what = format!("{name} {kernel:?} {modules:?}");
                    let again = repeated(&list, modules);
                    let forward = |op: &Operator| {
                        list.iter().any(|block| block.operators(Pass::Forward).contains(op))
                    };
                    assert!(again.iter().all(forward), "{what}");
                    let recompute = Recompute::Modules(modules);
                    let counted = recomputed_flops(&model, part, &training, &path, recompute).0;
                    let done: f64 = again.iter().map(|op| op.work.flops().0).sum();
                    close(done, f64::from(BATCH) * counted, 1e-9, &what);
                    let bytes = kept.bytes(recompute).0;
                    assert!(bytes >= kept.bytes(Recompute::Full).0, "{what}");
                    for more in RecomputeModule::ALL {
                        let more = kept.bytes(Recompute::Modules(modules.and(more))).0;
                        assert!(more <= bytes + 1.0, "{what}");
                    }
                    // What is not kept is there while the part runs.
                    let workspace = |of| kept.workspace(of).0;
                    let dropped = kept.bytes(Recompute::None).0 - bytes;
                    let passing = workspace(recompute) - workspace(Recompute::None);
                    assert!((passing - dropped).abs() < 1.0, "{what}");
                }
            }
        }
    }
}

/// `Selective` is the core of attention; without modules nothing is computed again.
#[test]
fn selective_is_the_core_of_attention() {
    for preset in Preset::all().iter().filter(|preset| preset.build().tokens().is_some()) {
        let model = preset.build();
        let (training, path) = (training(1024), path_in(Precision::Fp16, AttentionKernel::Unfused));
        let shard = Shard::new(1, false, 1);
        for part in model.distinct_parts() {
            let kept = activations(&model, part, &training, &path, &shard);
            for (one, other) in
                [(Recompute::Selective, of(&[CoreAttn])), (Recompute::None, of(&[]))]
            {
                assert_eq!(kept.bytes(one), kept.bytes(other), "{}", model.name);
                assert_eq!(kept.workspace(one), kept.workspace(other), "{}", model.name);
                let flops = |of| recomputed_flops(&model, part, &training, &path, of);
                assert_eq!(flops(one), flops(other), "{}", model.name);
            }
        }
    }
}

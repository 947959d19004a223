//! Parameter counts and FLOPs against what was published and against closed forms.

use motley_hardware::MathPath;
use motley_workload::{
    AttentionKernel, Block, CardPath, Deferral, Model, Operator, Optimizer, Pass, Precision, Shard,
    Training, Work, attention_core_forward, head_forward_flops, layer_forward_flops, model_flops,
    operators,
};

fn close(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!(
        (found / expected - 1.0).abs() <= tolerance,
        "{what}: {found:.6e} is not {expected:.6e} within {tolerance}"
    );
}

fn training(sequence_length: u32, attention: AttentionKernel) -> Training {
    Training {
        sequence_length,
        precision: Precision::Fp16,
        fallback: None,
        attention,
        attention_fallback: true,
        optimizer: Optimizer::Adam { fused: true },
        gradient_bytes: 4,
        fused_gradient_accumulation: true,
    }
}

fn path(attention: AttentionKernel) -> CardPath {
    CardPath { precision: Precision::Fp16, math: MathPath::Fp16Tensor, attention }
}

/// FLOPs of one block and pass on one rank.
fn flops(
    model: &Model,
    attention: AttentionKernel,
    sequence: u32,
    block: Block,
    pass: Pass,
    shard: &Shard,
) -> f64 {
    operators(model, &training(sequence, attention), &path(attention), block, pass, shard)
        .iter()
        .map(|op| op.work.flops().0)
        .sum()
}

#[test]
fn parameters_are_as_published() {
    // Names of models with their counts in billions: the papers' tables and, for Llama, the
    // published checkpoints. Megatron's table rounds to two or three digits.
    let published = [
        ("gpt3-125m", 0.125, 0.02),
        ("gpt3-350m", 0.356, 0.02),
        ("gpt3-760m", 0.760, 0.02),
        ("gpt3-1.3b", 1.313, 0.01),
        ("gpt3-2.7b", 2.65, 0.02),
        ("gpt3-6.7b", 6.66, 0.01),
        ("gpt3-13b", 12.85, 0.01),
        ("gpt3-175b", 174.6, 0.005),
        ("gpt-1.7b", 1.7, 0.03),
        ("gpt-3.6b", 3.6, 0.02),
        ("gpt-7.5b", 7.5, 0.02),
        ("gpt-18b", 18.4, 0.01),
        ("gpt-22b", 22.0, 0.02),
        ("gpt-39b", 39.1, 0.01),
        ("gpt-76b", 76.1, 0.01),
        ("gpt-145b", 145.6, 0.01),
        ("gpt-310b", 310.1, 0.01),
        ("gpt-530b", 529.6, 0.01),
        ("gpt-1t", 1008.0, 0.01),
        ("gpt2-medium", 0.357, 0.01),
        ("bert-base", 0.110, 0.02),
        ("bert-large", 0.336, 0.01),
        ("llama-2-7b", 6.738, 0.001),
        ("llama-2-13b", 13.016, 0.001),
        ("llama-2-70b", 68.977, 0.001),
        ("llama-3-8b", 8.030, 0.001),
        ("llama-3-70b", 70.554, 0.001),
        ("llama-3-405b", 405.85, 0.001),
    ];
    for (name, billions, tolerance) in published {
        let model = Model::preset(name).unwrap();
        close(model.parameters() / 1e9, billions, tolerance, name);
    }
    let mut named: Vec<&str> = published.iter().map(|row| row.0).collect();
    let mut presets: Vec<&str> = Model::presets().map(|p| p.model.name.as_str()).collect();
    named.sort_unstable();
    presets.sort_unstable();
    assert_eq!(named, presets, "every preset is checked, and no name is given twice");
}

#[test]
fn presets_say_where_they_come_from() {
    for preset in Model::presets() {
        assert!(!preset.description.is_empty() && !preset.source.is_empty());
    }
    assert_eq!(Model::preset("gpt-5"), None);
}

#[test]
fn gpt_flops_are_the_closed_form() {
    for preset in Model::presets().filter(|p| p.model.name.starts_with("gpt")) {
        let model = &preset.model;
        let (s, h, l, v) =
            (1536.0, f64::from(model.hidden), f64::from(model.layers), f64::from(model.vocab));
        let closed = 72.0 * s * l * h * h * (1.0 + s / (6.0 * h) + v / (12.0 * l * h));
        close(model_flops(model, 1536).0, closed, 1e-12, &model.name);
    }
}

#[test]
fn tensor_parallel_ranks_together_do_the_work_of_the_model() {
    for preset in Model::presets() {
        let model = &preset.model;
        // BERT's dense layer runs on every rank.
        let degrees: &[u32] = if model.token_types > 0 { &[1] } else { &[1, 2, 4, 8] };
        for &degree in degrees {
            if !model.kv_heads.is_multiple_of(degree) {
                continue;
            }
            for micro_batch_size in [1, 3] {
                let shard =
                    Shard { tensor_parallel: degree, sequence_parallel: true, micro_batch_size };
                let together = |block, pass| {
                    f64::from(degree)
                        * flops(model, AttentionKernel::Unfused, 1024, block, pass, &shard)
                };
                let batch = f64::from(micro_batch_size);
                let layer = batch * layer_forward_flops(model, 1024).0;
                let head = batch * head_forward_flops(model, 1024).0;
                let both = |pass| together(Block::Attention, pass) + together(Block::Mlp, pass);
                close(both(Pass::Forward), layer, 1e-12, &model.name);
                close(both(Pass::Backward), 2.0 * layer, 1e-12, &model.name);
                close(together(Block::Head, Pass::Forward), head, 1e-12, &model.name);
                close(together(Block::Head, Pass::Backward), 2.0 * head, 1e-12, &model.name);
                assert!(together(Block::Embedding, Pass::Forward) == 0.0);
            }
        }
    }
}

#[test]
fn flash_attention_skips_what_the_mask_hides_and_recomputes_the_scores() {
    let shard = Shard { tensor_parallel: 1, sequence_parallel: false, micro_batch_size: 1 };
    for (name, share) in [("gpt-22b", 0.5), ("bert-large", 1.0)] {
        let model = Model::preset(name).unwrap();
        let square = 4.0 * 512.0 * 512.0 * model.query_width() as f64;
        let of = |kernel, pass| flops(&model, kernel, 512, Block::Attention, pass, &shard);
        for (pass, unfused, flash) in [(Pass::Forward, 1.0, 1.0), (Pass::Backward, 2.0, 2.5)] {
            let difference = of(AttentionKernel::Unfused, pass) - of(AttentionKernel::Flash, pass);
            let expected = square * (unfused - share * flash);
            assert!((difference - expected).abs() <= 1e-6 * square, "{name} {pass:?}");
        }
    }
}

#[test]
fn the_attention_core_is_a_part_of_the_forward_pass() {
    let model = Model::preset("gpt-22b").unwrap();
    let shard = Shard { tensor_parallel: 8, sequence_parallel: true, micro_batch_size: 4 };
    for kernel in [AttentionKernel::Unfused, AttentionKernel::Flash] {
        let (training, path) = (training(2048, kernel), path(kernel));
        let core = attention_core_forward(&model, &training, &path, &shard);
        let all = operators(&model, &training, &path, Block::Attention, Pass::Forward, &shard);
        assert_eq!(core.is_empty(), kernel == AttentionKernel::Flash);
        assert!(core.iter().all(|op| all.contains(op)));
    }
}

#[test]
fn one_product_of_each_backward_block_is_deferrable_and_last() {
    let shard = Shard { tensor_parallel: 2, sequence_parallel: false, micro_batch_size: 1 };
    for preset in Model::presets() {
        for block in [Block::Embedding, Block::Attention, Block::Mlp, Block::Head] {
            for pass in [Pass::Forward, Pass::Backward] {
                let kernel = AttentionKernel::Unfused;
                let ops = operators(
                    &preset.model,
                    &training(128, kernel),
                    &path(kernel),
                    block,
                    pass,
                    &shard,
                );
                let beside = |op: &Operator| op.deferral == Deferral::Exchange;
                let deferrable = ops.iter().filter(|op| beside(op)).count();
                let expected = usize::from(pass == Pass::Backward && block != Block::Embedding);
                assert_eq!(deferrable, expected, "{block:?} {pass:?}");
                assert_eq!(ops.last().is_some_and(beside), expected == 1);
            }
        }
    }
}

/// What a pass of weight gradients computes is as much as the linear layers' forward products, with
/// and without a kernel of its own for the sum.
#[test]
fn all_weight_gradients_can_be_taken_out_of_the_backward_pass() {
    for preset in Model::presets() {
        let model = &preset.model;
        for (degree, fused) in [(1, true), (1, false), (2, true)] {
            let shard =
                Shard { tensor_parallel: degree, sequence_parallel: false, micro_batch_size: 2 };
            let kernel = AttentionKernel::Unfused;
            let training = Training { fused_gradient_accumulation: fused, ..training(128, kernel) };
            for block in [Block::Embedding, Block::Attention, Block::Mlp, Block::Head] {
                let of = |pass| operators(model, &training, &path(kernel), block, pass, &shard);
                let product = |op: &&Operator| matches!(op.work, Work::Gemm { batch: 1, .. });
                let forward = of(Pass::Forward);
                let linear: f64 = forward.iter().filter(product).map(|op| op.work.flops().0).sum();
                let backward = of(Pass::Backward);
                let taken: Vec<&Operator> =
                    backward.iter().filter(|op| op.deferral != Deferral::None).collect();
                if block == Block::Embedding {
                    assert!(taken.is_empty());
                    continue;
                }
                let weights: f64 = taken.iter().map(|op| op.work.flops().0).sum();
                close(weights, linear, 1e-12, &model.name);
                let products = taken.iter().copied().filter(product).count();
                let sums = if fused { 0 } else { products };
                assert_eq!(taken.len(), products + sums, "{} {block:?}", model.name);
                assert_eq!(products, forward.iter().filter(product).count());
            }
        }
    }
}

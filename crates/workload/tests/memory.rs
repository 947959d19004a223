//! Memory against the closed forms of Korthikanti et al. 2022 (arXiv 2205.05198), section 4.

use motley_hardware::MathPath;
use motley_units::Bytes;
use motley_workload::{
    ActivationSizes, AttentionKernel, CardPath, Model, Optimizer, Precision, Recompute, Shard,
    StageLoad, Training, layer_activation_bytes, memory,
};

fn training(precision: Precision, gradient_bytes: u32) -> Training {
    Training {
        sequence_length: 2048,
        precision,
        fallback: None,
        attention: AttentionKernel::Unfused,
        attention_fallback: true,
        optimizer: Optimizer::Adam { fused: true },
        gradient_bytes,
        fused_gradient_accumulation: true,
    }
}

fn path(precision: Precision, attention: AttentionKernel) -> CardPath {
    let math = if precision.mixed() { MathPath::Fp16Tensor } else { MathPath::Fp32 };
    CardPath { precision, math, attention }
}

#[test]
fn a_gpt_layer_keeps_what_the_paper_counts() {
    for preset in Model::presets().filter(|p| p.model.name.starts_with("gpt")) {
        let model = &preset.model;
        let stream = 2048.0 * 3.0 * f64::from(model.hidden);
        let scores = 5.0 * f64::from(model.heads) * 2048.0 / f64::from(model.hidden);
        // The paper takes head_dim * heads = hidden.
        if model.query_width() != u64::from(model.hidden) {
            continue;
        }
        for (degree, sequence_parallel) in [(1, false), (8, false), (8, true), (1, true)] {
            let t = f64::from(degree);
            let (whole, input) = if sequence_parallel { (10.0 / t, 2.0 / t) } else { (10.0, 2.0) };
            let cases = [
                (Recompute::None, whole + (24.0 + scores) / t),
                (Recompute::Selective, whole + 24.0 / t),
                (Recompute::Full, input),
            ];
            for (recompute, per_element) in cases {
                let shard =
                    Shard { tensor_parallel: degree, sequence_parallel, micro_batch_size: 3 };
                let path = path(Precision::Fp16, AttentionKernel::Unfused);
                let training = training(Precision::Fp16, 4);
                let found = layer_activation_bytes(model, &training, &path, recompute, &shard).0;
                let expected = stream * per_element;
                assert!(
                    (found / expected - 1.0).abs() < 1e-12,
                    "{} t={degree} {recompute:?}: {found} != {expected}",
                    model.name
                );
            }
        }
    }
}

/// Inputs of the linear layers and gradients of their outputs: `32 s b h` bytes of a GPT layer (Qi
/// et al. 2024, arXiv 2401.10241, Table 1), of which tensor parallelism splits `24 s b h` and
/// sequence parallelism `4 s b h` more: gathered gradients of the residual stream stay whole.
#[test]
fn a_layer_that_waits_for_its_weight_gradients_keeps_what_the_paper_counts() {
    for preset in Model::presets().filter(|p| p.model.name.starts_with("gpt")) {
        let model = &preset.model;
        let stream = 2048.0 * 3.0 * f64::from(model.hidden);
        if model.query_width() != u64::from(model.hidden) {
            continue;
        }
        for (degree, sequence_parallel) in [(1, false), (8, false), (8, true)] {
            let t = f64::from(degree);
            let residual = if sequence_parallel { 4.0 / t } else { 4.0 };
            let expected = stream * (residual + 4.0 + 24.0 / t);
            let shard = Shard { tensor_parallel: degree, sequence_parallel, micro_batch_size: 3 };
            let path = path(Precision::Fp16, AttentionKernel::Unfused);
            let training = training(Precision::Fp16, 4);
            let sizes = ActivationSizes::new(model, &training, &path, Recompute::None, &shard);
            let found = sizes.layer_deferred.0;
            assert!((found / expected - 1.0).abs() < 1e-12, "{}: {found}", model.name);
            assert!(found < sizes.layer.0, "the input gradient frees memory");
            assert!(sizes.head_deferred.0 < sizes.head.0);
        }
    }
}

#[test]
fn flash_attention_keeps_no_scores_and_grouped_queries_fewer_keys() {
    let shard = Shard { tensor_parallel: 1, sequence_parallel: false, micro_batch_size: 1 };
    let model = Model::preset("llama-3-8b").unwrap();
    let kept = |model: &Model, attention, recompute| {
        let training = training(Precision::Bf16, 4);
        layer_activation_bytes(
            model,
            &training,
            &path(Precision::Bf16, attention),
            recompute,
            &shard,
        )
        .0
    };
    let flash = kept(&model, AttentionKernel::Flash, Recompute::None);
    let selective = kept(&model, AttentionKernel::Unfused, Recompute::Selective);
    // Flash keeps one fp32 number a row and head.
    assert!((flash - selective - 4.0 * 2048.0 * 32.0).abs() < 1.0);
    // No dropout: the unfused core keeps the probabilities only, 2 bytes each.
    let unfused = kept(&model, AttentionKernel::Unfused, Recompute::None);
    assert!((unfused - selective - 2.0 * 32.0 * 2048.0 * 2048.0).abs() < 1.0);
    // Four norm and linear inputs, query and output, key and value of a quarter, gate, up, down.
    let expected = 2.0 * 2048.0 * (4.0 * 4096.0 + 2.0 * 4096.0 + 2.0 * 1024.0 + 3.0 * 14336.0);
    assert!((selective - expected).abs() < 1.0, "{selective} != {expected}");
}

#[test]
fn states_take_the_bytes_that_each_precision_needs() {
    let model = Model::preset("gpt-22b").unwrap();
    // Parameters, gradients, optimizer for each parameter.
    let cases = [
        (Precision::Fp16, 4, [2.0, 4.0, 12.0]),
        (Precision::Bf16, 2, [2.0, 2.0, 12.0]),
        (Precision::Fp32, 4, [4.0, 4.0, 8.0]),
        (Precision::Tf32, 4, [4.0, 4.0, 8.0]),
    ];
    for (precision, gradient_bytes, expected) in cases {
        let load = StageLoad {
            parameters_per_gpu: 1e9,
            layers_in_flight: 0.0,
            layers_deferred: 0.0,
            embedding_in_flight: 0.0,
            head_in_flight: 0.0,
            head_deferred: 0.0,
            recompute: Recompute::None,
            shard: Shard { tensor_parallel: 8, sequence_parallel: true, micro_batch_size: 1 },
        };
        let path = path(precision, AttentionKernel::Unfused);
        let found = memory(&model, &training(precision, gradient_bytes), &path, &load);
        let states = [found.parameters, found.gradients, found.optimizer];
        assert_eq!(states, expected.map(|bytes| Bytes(bytes * 1e9)));
        assert!(found.activations.0 == 0.0 && found.workspace.0 == 0.0);
        assert!(found.overhead.0 > 0.0);
    }
}

#[test]
fn parts_add_up_and_more_in_flight_never_takes_less() {
    let model = Model::preset("gpt-22b").unwrap();
    let path = path(Precision::Fp16, AttentionKernel::Unfused);
    let of = |layers: f64, head: f64, recompute| {
        let load = StageLoad {
            parameters_per_gpu: 1e9,
            layers_in_flight: layers,
            layers_deferred: 0.0,
            embedding_in_flight: 1.0,
            head_in_flight: head,
            head_deferred: 0.0,
            recompute,
            shard: Shard { tensor_parallel: 8, sequence_parallel: true, micro_batch_size: 4 },
        };
        memory(&model, &training(Precision::Fp16, 4), &path, &load)
    };
    for recompute in [Recompute::None, Recompute::Selective, Recompute::Full] {
        let (few, many) = (of(6.0, 0.0, recompute), of(12.0, 1.0, recompute));
        let parts = [
            many.parameters,
            many.gradients,
            many.optimizer,
            many.activations,
            many.workspace,
            many.overhead,
        ];
        let sum: f64 = parts.iter().map(|part| part.0).sum();
        assert!((sum / many.total().0 - 1.0).abs() < 1e-15);
        assert!(many.total().0 > few.total().0);
    }
    assert!(of(48.0, 1.0, Recompute::Full).total() < of(48.0, 1.0, Recompute::Selective).total());
    assert!(of(48.0, 1.0, Recompute::Selective).total() < of(48.0, 1.0, Recompute::None).total());
}

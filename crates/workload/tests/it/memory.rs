//! Memory against the closed forms of Korthikanti et al. 2022 (arXiv 2205.05198), section 4.

use crate::common::{path_in, training};
use motley_units::Bytes;
use motley_workload::{
    AttentionKernel, Model, Part, Precision, Preset, Recompute, Shard, StageLoad, activations,
    memory,
};

#[test]
fn a_gpt_layer_keeps_what_the_paper_counts() {
    for preset in Preset::all().iter().filter(|preset| preset.source.contains("Megatron-LM")) {
        let model = preset.build();
        let hidden = f64::from(model.tokens().unwrap().hidden);
        let motley_workload::Layer::Transformer(layer) = &model.kinds()[0].layer else { panic!() };
        let stream = 2048.0 * 3.0 * hidden;
        let scores = 5.0 * f64::from(layer.attention.heads) * 2048.0 / hidden;
        for (degree, sequence_parallel) in [(1, false), (4, false), (4, true), (1, true)] {
            let t = f64::from(degree);
            let (whole, input) = if sequence_parallel { (10.0 / t, 2.0 / t) } else { (10.0, 2.0) };
            let cases = [
                (Recompute::None, whole + (24.0 + scores) / t),
                (Recompute::Selective, whole + 24.0 / t),
                (Recompute::Full, input),
            ];
            for (recompute, per_element) in cases {
                let shard = Shard::new(degree, sequence_parallel, 3);
                let path = path_in(Precision::Fp16, AttentionKernel::Unfused);
                let layer = activations(&model, model.part(0), &training(2048), &path, &shard);
                let (found, expected) = (layer.bytes(recompute).0, stream * per_element);
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
    for preset in Preset::all().iter().filter(|preset| preset.source.contains("Megatron-LM")) {
        let model = preset.build();
        let hidden = f64::from(model.tokens().unwrap().hidden);
        let stream = 2048.0 * 3.0 * hidden;
        for (degree, sequence_parallel) in [(1, false), (4, false), (4, true)] {
            let t = f64::from(degree);
            let residual = if sequence_parallel { 4.0 / t } else { 4.0 };
            let expected = stream * (residual + 4.0 + 24.0 / t);
            let shard = Shard::new(degree, sequence_parallel, 3);
            let path = path_in(Precision::Fp16, AttentionKernel::Unfused);
            let of = |part| activations(&model, part, &training(2048), &path, &shard);
            let (layer, head) = (of(model.part(0)), of(Part::Head));
            let found = layer.waiting().0;
            assert!((found / expected - 1.0).abs() < 1e-12, "{}: {found}", model.name);
            let kept = Recompute::None;
            assert!(found < layer.bytes(kept).0, "the input gradient frees memory");
            assert!(head.waiting() < head.bytes(kept));
            // Input and gradient of the logits.
            let vocab = f64::from(model.tokens().unwrap().vocab);
            let own = if sequence_parallel { stream / t } else { stream };
            let logits = 2.0 * 3.0 * 2048.0 * vocab / t;
            assert!((head.waiting().0 / (2.0 * own + logits) - 1.0).abs() < 1e-12);
        }
    }
}

#[test]
fn flash_attention_keeps_no_scores_and_grouped_queries_fewer_keys() {
    let shard = Shard::new(1, false, 1);
    let model = Model::preset("llama-3-8b").unwrap();
    let kept = |attention, recompute| {
        let path = path_in(Precision::Bf16, attention);
        activations(&model, model.part(0), &training(2048), &path, &shard).bytes(recompute).0
    };
    let flash = kept(AttentionKernel::Flash, Recompute::None);
    let selective = kept(AttentionKernel::Unfused, Recompute::Selective);
    // Flash keeps one fp32 number a row and head.
    assert!((flash - selective - 4.0 * 2048.0 * 32.0).abs() < 1.0);
    // No dropout: the unfused core keeps the probabilities only, 2 bytes each.
    let unfused = kept(AttentionKernel::Unfused, Recompute::None);
    assert!((unfused - selective - 2.0 * 32.0 * 2048.0 * 2048.0).abs() < 1.0);
    // Four norm and linear inputs, query and output, key and value of a quarter, gate, up, down.
    let expected = 2.0 * 2048.0 * (4.0 * 4096.0 + 2.0 * 4096.0 + 2.0 * 1024.0 + 3.0 * 14336.0);
    assert!((selective - expected).abs() < 1.0, "{selective} != {expected}");
}

#[test]
fn states_take_the_bytes_that_each_precision_needs() {
    // Parameters, gradients, optimizer for each parameter.
    let cases = [
        (Precision::Fp16, 4, [2.0, 4.0, 12.0]),
        (Precision::Bf16, 2, [2.0, 2.0, 12.0]),
        (Precision::Fp32, 4, [4.0, 4.0, 8.0]),
        (Precision::Tf32, 4, [4.0, 4.0, 8.0]),
    ];
    for (precision, gradient_bytes, expected) in cases {
        let load = StageLoad {
            parameters: 1e9,
            gradients: 1e9,
            stepped: 1e9,
            quantised_parameters: 1e9,
            activations: Bytes(3e9),
            workspace: Bytes(2e9),
        };
        let path = path_in(precision, AttentionKernel::Unfused);
        let mut training = training(2048);
        training.gradient_bytes = gradient_bytes;
        let found = memory(&training, &path, &load);
        let states = [found.parameters, found.gradients, found.optimizer];
        assert_eq!(states, expected.map(|bytes| Bytes(bytes * 1e9)));
        assert_eq!((found.activations, found.workspace), (Bytes(3e9), Bytes(2e9)));
        let sum: f64 = expected.iter().sum::<f64>() * 1e9 + 5e9 + found.overhead.0;
        assert!(found.overhead.0 > 0.0 && (sum / found.total().0 - 1.0).abs() < 1e-15);

        // What is frozen has parameters and nothing else.
        let frozen = memory(&training, &path, &StageLoad { gradients: 0.0, stepped: 0.0, ..load });
        assert_eq!(frozen.parameters, found.parameters);
        assert_eq!((frozen.gradients, frozen.optimizer), (Bytes(0.0), Bytes(0.0)));
    }
}

#[test]
fn recomputation_trades_kept_bytes_for_passing_ones() {
    for preset in Preset::all() {
        let model = preset.build();
        let training = crate::common::training_of(&model, 2048);
        let path = path_in(Precision::Fp16, AttentionKernel::Unfused);
        let shard = Shard::new(1, false, 2);
        for part in model.distinct_parts().skip(1).take(model.kinds().len()) {
            let layer = activations(&model, part, &training, &path, &shard);
            let [none, selective, full] = [Recompute::None, Recompute::Selective, Recompute::Full]
                .map(|recompute| (layer.bytes(recompute).0, layer.workspace(recompute).0));
            assert!(full.0 <= selective.0 && selective.0 <= none.0, "{}", model.name);
            assert!(full.1 > selective.1 && selective.1 >= none.1, "{}", model.name);
            // Nothing is lost: what is not kept is there while the part runs.
            assert!((selective.0 + selective.1 - none.0 - none.1).abs() < 1.0);
            assert!((full.1 - none.1 - none.0).abs() < 1.0);
        }
    }
}

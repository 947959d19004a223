//! Parameter counts and FLOPs against what was published and against closed forms.

use crate::common::{close, first_layer, kernel_flops, training, training_of};
use motley_workload::{
    AttentionKernel, Block, Deferral, Model, Operator, Part, Pass, Preset, Recompute, Shard,
    Training, Work, blocks, flops, model_flops,
};

#[test]
fn parameters_are_as_published() {
    for preset in Preset::all() {
        let (model, published) = (preset.build(), &preset.published);
        let tolerance = published.tolerance;
        assert!(tolerance <= 0.03, "{}", preset.name());
        close(model.parameters(), published.parameters, tolerance, preset.name());
        match published.active {
            Some(active) => {
                let words = if active.without_embedding { model.word_embedding() } else { 0.0 };
                let found = model.active_parameters() - words;
                assert!(active.tolerance <= 0.022, "{}", preset.name());
                close(found, active.parameters, active.tolerance, preset.name());
            }
            None => close(model.active_parameters(), model.parameters(), 0.0, preset.name()),
        }
    }
    let mut names: Vec<&str> = Preset::all().iter().map(Preset::name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "no name is given twice");
}

/// DeepSeek-V3's module has 11.5 billion parameters of its own; with its copies of embedding and head the
/// published weights count 14, and 685 with those of the model (README_WEIGHTS.md).
#[test]
fn a_module_for_multi_token_prediction_has_the_published_parameters() {
    let [main, with] = ["deepseek-v3", "deepseek-v3-mtp"].map(|name| Model::preset(name).unwrap());
    let own = with.parameters() - main.parameters();
    close(own, 11.5e9, 0.011, "its own");
    // The head's matrix is as large as the embedding's.
    let copies = 2.0 * main.word_embedding();
    close(own + copies, 14e9, 0.04, "with copies");
    close(main.parameters() + own + copies, 685e9, 0.001, "published weights");
    assert_eq!((with.layer_count(), with.stacked_layers()), (62, 61));
}

#[test]
fn presets_say_where_they_come_from() {
    for preset in Preset::all() {
        assert!(!preset.description.is_empty() && !preset.source.is_empty());
        assert!(preset.description.chars().count() <= 60, "{}", preset.description);
    }
    assert_eq!(Model::preset("gpt-5"), None);
}

/// Hidden, layers, vocabulary.
fn sizes(model: &Model) -> (f64, f64, f64) {
    let (hidden, vocab) = model.tokens().map_or((0, 0), |tokens| (tokens.hidden, tokens.vocab));
    (f64::from(hidden), f64::from(model.layer_count()), f64::from(vocab))
}

#[test]
fn gpt_flops_are_the_closed_form() {
    for preset in Preset::all().iter().filter(|preset| preset.name().starts_with("gpt")) {
        let model = preset.build();
        if model.kinds().len() > 1 {
            continue;
        }
        let (s, (h, l, v)) = (1024.0, sizes(&model));
        let closed = 72.0 * s * l * h * h * (1.0 + s / (6.0 * h) + v / (12.0 * l * h));
        close(model_flops(&model, &training(1024)).0, closed, 1e-12, &model.name);
    }
}

/// The kernels of all ranks together do the FLOPs of the convention, whatever the family: forward
/// once, backward twice.
#[test]
fn tensor_parallel_ranks_together_do_the_work_of_the_model() {
    for preset in Preset::all() {
        let model = preset.build();
        let training = training_of(&model, 512);
        for degree in [1, 2, 4, 8] {
            for micro_batch_size in [1, 3] {
                let shard = Shard::new(degree, true, micro_batch_size);
                if !motley_workload::shard_limits(&model, &shard).is_empty() {
                    continue;
                }
                for part in model.distinct_parts() {
                    // BERT's dense layer runs on every rank.
                    if degree > 1 && part == Part::Head && preset.name().starts_with("bert") {
                        continue;
                    }
                    for pass in [Pass::Forward, Pass::Backward] {
                        let kernel = AttentionKernel::Unfused;
                        let found = kernel_flops(&model, part, &training, kernel, pass, &shard);
                        let expected = flops(&model, part, &training, pass).0;
                        let what = format!("{} {part:?} {pass:?} / {degree}", model.name);
                        let windows = windowed(&model, part);
                        if windows {
                            // Unfused attention multiplies what the window cuts off, too.
                            assert!(found * f64::from(degree) >= expected, "{what}");
                        } else {
                            let samples = f64::from(micro_batch_size);
                            close(found * f64::from(degree), expected * samples, 1e-12, &what);
                        }
                    }
                }
            }
        }
    }
}

/// Whether a window cuts sequences of 512 tokens off.
fn windowed(model: &Model, part: Part) -> bool {
    let Part::Layer(kind) = part else { return false };
    match &model.kinds()[usize::from(kind.0)].layer {
        motley_workload::Layer::Transformer(layer) => {
            layer.attention.window.is_some_and(|window| window < 512)
        }
        motley_workload::Layer::Convolutional(_) => false,
    }
}

#[test]
fn flash_attention_skips_what_the_mask_hides_and_recomputes_the_scores() {
    let shard = Shard::new(1, false, 1);
    for (name, share) in [("gpt-22b", 0.5), ("bert-large", 1.0)] {
        let model = Model::preset(name).unwrap();
        let (hidden, _, _) = sizes(&model);
        let square = 4.0 * 512.0 * 512.0 * hidden;
        let of = |kernel, pass| {
            kernel_flops(&model, model.part(0), &training(512), kernel, pass, &shard)
        };
        for (pass, unfused, flash) in [(Pass::Forward, 1.0, 1.0), (Pass::Backward, 2.0, 2.5)] {
            let difference = of(AttentionKernel::Unfused, pass) - of(AttentionKernel::Flash, pass);
            let expected = square * (unfused - share * flash);
            assert!((difference - expected).abs() <= 1e-6 * square, "{name} {pass:?}");
        }
    }
}

#[test]
fn what_selective_recomputation_repeats_is_a_part_of_the_forward_pass() {
    let model = Model::preset("gpt-22b").unwrap();
    let shard = Shard::new(8, true, 4);
    for kernel in [AttentionKernel::Unfused, AttentionKernel::Flash] {
        let layer = first_layer(&model, &training(2048), kernel, &shard);
        let [attention, mlp] = layer.as_slice() else { panic!("two blocks") };
        let repeated = |block: &Block| -> Vec<Operator> {
            let modules = Recompute::Selective.modules();
            let done = block.repeats.iter().filter(|repeat| repeat.is_done(modules));
            done.flat_map(|repeat| repeat.operators.clone()).collect()
        };
        assert_eq!(repeated(attention).is_empty(), kernel == AttentionKernel::Flash);
        assert!(repeated(attention).iter().all(|op| attention.forward.contains(op)));
        assert!(repeated(mlp).is_empty());
    }
}

/// Weight gradients that may wait are last in their block, and there are some wherever ranks sum up
/// the gradient of the block's input.
#[test]
fn deferrable_weight_gradients_are_last() {
    let shard = Shard::new(2, false, 1);
    for preset in Preset::all() {
        let model = preset.build();
        let training = training_of(&model, 128);
        for part in model.distinct_parts() {
            let path = crate::common::path(AttentionKernel::Unfused);
            let waits = |op: &Operator| op.deferral == Deferral::Exchange;
            for block in blocks(&model, part, &training, &path, &shard) {
                assert!(block.forward.iter().all(|op| op.deferral == Deferral::None));
                let first = block.backward.iter().position(waits);
                assert_eq!(first.is_some(), block.exchange.gathered > 0.0, "{}", model.name);
                let rest = first.map_or(&[][..], |first| &block.backward[first..]);
                assert!(rest.iter().all(waits), "{} {part:?}", model.name);
            }
        }
    }
}

/// What a pass of weight gradients computes is as much as the products with weights of the forward
/// pass, with and without a kernel of its own for the sum.
#[test]
fn all_weight_gradients_can_be_taken_out_of_the_backward_pass() {
    let path = crate::common::path(AttentionKernel::Unfused);
    // Attention multiplies for every head of every sample.
    let weighted = |op: &&Operator| match op.work {
        Work::Gemm { batch, .. } => batch == 1,
        Work::GroupedGemm(_) | Work::Convolution(_) => true,
        _ => false,
    };
    for preset in Preset::all() {
        let model = preset.build();
        for (degree, fused) in [(1, true), (1, false), (2, true)] {
            let shard = Shard::new(degree, false, 2);
            let training =
                Training { fused_gradient_accumulation: fused, ..training_of(&model, 128) };
            for part in model.distinct_parts() {
                for block in blocks(&model, part, &training, &path, &shard) {
                    let forward = block.forward.iter().filter(weighted);
                    let linear: f64 = forward.clone().map(|op| op.work.flops().0).sum();
                    let waits = |op: &&Operator| op.deferral != Deferral::None;
                    let taken: Vec<&Operator> = block.backward.iter().filter(waits).collect();
                    let weights: f64 = taken.iter().map(|op| op.work.flops().0).sum();
                    close(weights, linear, 1e-12, &model.name);
                    let products = taken.iter().copied().filter(weighted).count();
                    let sums = if fused { 0 } else { products };
                    assert_eq!(taken.len(), products + sums, "{} {part:?}", model.name);
                    assert_eq!(products, forward.count());
                }
            }
        }
    }
}

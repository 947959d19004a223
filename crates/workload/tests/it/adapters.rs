//! Fine-tuning with low-rank adapters.

use motley_workload::{
    Adapters, AttentionKernel, Model, Part, Pass, Projection, Recompute, Shard, Training,
    activations, blocks, flops,
};

use crate::common::{SEQUENCE, close, kernel_flops, path, training};

fn adapted(rank: u32, targets: &[Projection]) -> Training {
    Training { adapters: Some(Adapters { rank, targets: targets.to_vec() }), ..training(SEQUENCE) }
}

#[test]
fn adapters_are_all_that_is_trained() {
    let model = Model::preset("llama-2-7b").unwrap();
    let training = adapted(16, &[Projection::Query, Projection::Value, Projection::Down]);
    let trained: f64 =
        model.parts().map(|part| model.trained_parameters(part, &training).total()).sum();
    let expected = 32.0 * 16.0 * (2.0 * (4096.0 + 4096.0) + (11_008.0 + 4096.0));
    close(trained, expected, 1e-12, "trained");
    let held: f64 = model.parts().map(|part| model.held_parameters(part, &training).total()).sum();
    close(held, model.parameters() + expected, 1e-12, "held");
}

/// Frozen matrices have no weight gradients; adapters have all three products.
#[test]
fn frozen_weights_save_a_third_of_the_products() {
    let model = Model::preset("llama-2-7b").unwrap();
    let shard = Shard::new(1, false, 2);
    let all = [Projection::Query, Projection::Key, Projection::Value, Projection::Output];
    for training in [adapted(8, &all), adapted(64, &[Projection::Gate, Projection::Up])] {
        for part in model.distinct_parts() {
            for pass in [Pass::Forward, Pass::Backward] {
                let kernel = AttentionKernel::Unfused;
                let found = kernel_flops(&model, part, &training, kernel, pass, &shard);
                let expected = 2.0 * flops(&model, part, &training, pass).0;
                close(found, expected, 1e-12, &format!("{part:?} {pass:?}"));
            }
        }
        let frozen = Training { adapters: None, ..training.clone() };
        let [forward, backward] = [Pass::Forward, Pass::Backward]
            .map(|pass| flops(&model, model.part(0), &training, pass).0);
        let [whole_forward, whole_backward] = [Pass::Forward, Pass::Backward]
            .map(|pass| flops(&model, model.part(0), &frozen, pass).0);
        assert!(forward > whole_forward && forward < 1.05 * whole_forward);
        assert!(backward < 0.6 * whole_backward);
        // What only weight gradients want is not kept.
        let kept = |training: &Training| {
            let path = path(AttentionKernel::Flash);
            activations(&model, model.part(0), training, &path, &shard).bytes(Recompute::None).0
        };
        assert!(kept(&training) < 0.9 * kept(&frozen));
    }
    // Nothing is to be done below the first adapter.
    let training = adapted(8, &all);
    let kernel = AttentionKernel::Flash;
    let embedding = blocks(&model, Part::Embedding, &training, &path(kernel), &shard);
    assert!(embedding[0].backward.is_empty() && !embedding[0].forward.is_empty());
}

//! Mixtures of experts.

use motley_workload::{
    AttentionKernel, Capacity, Experts, FeedForward, Mlp, Model, Pass, Shard, SharedExpert,
    Training, Work, blocks, flops,
};

use crate::common::{SEQUENCE, changed, close, layer_flops, path, training};

fn bank(experts: u32, top_k: u32, ffn: u32) -> Experts {
    Experts::new(experts, top_k, Mlp { ffn, gated: true, bias: false })
}

#[test]
fn one_expert_that_all_visit_is_a_dense_layer_and_a_router() {
    let dense = changed("mixtral-8x7b", |layer| {
        let mlp = Mlp { ffn: 14_336, gated: true, bias: false };
        layer.feed_forward = FeedForward::Dense(mlp);
    });
    let routed = changed("mixtral-8x7b", |layer| {
        layer.feed_forward = FeedForward::Experts(bank(1, 1, 14_336));
    });
    let (layers, hidden) = (32.0, 4096.0);
    close(routed.parameters() - dense.parameters(), layers * hidden, 1e-9, "parameters");
    close(routed.active_parameters(), routed.parameters(), 0.0, "all are active");
    let (training, shard) = (training(SEQUENCE), Shard::new(1, false, 2));
    let tokens = 2.0 * f64::from(SEQUENCE);
    for (pass, products) in [(Pass::Forward, 1.0), (Pass::Backward, 2.0)] {
        let router = products * 2.0 * tokens * hidden;
        let of = |model| layer_flops(model, &training, pass, &shard);
        close(of(&routed) - of(&dense), router, 1e-9, "kernels");
        let of = |model: &Model| 2.0 * flops(model, model.part(0), &training, pass).0;
        close(of(&routed) - of(&dense), router, 1e-9, "convention");
    }
}

#[test]
fn tokens_do_the_work_of_the_experts_that_they_visit() {
    let (training, shard) = (training(SEQUENCE), Shard::new(1, false, 1));
    let of = |experts, top_k, shared: Option<u32>| {
        let model = changed("mixtral-8x7b", |layer| {
            let shared = shared.map(|ffn| SharedExpert { ffn, gate: true });
            layer.feed_forward =
                FeedForward::Experts(Experts { shared, ..bank(experts, top_k, 2048) });
        });
        let inactive = f64::from(experts - top_k) * 3.0 * 4096.0 * 2048.0 * 32.0;
        close(model.parameters() - model.active_parameters(), inactive, 1e-9, "inactive");
        layer_flops(&model, &training, Pass::Forward, &shard)
    };
    let s = f64::from(SEQUENCE);
    let expert = 2.0 * s * 3.0 * 4096.0 * 2048.0;
    let router = |experts: f64| 2.0 * s * 4096.0 * experts;
    close(of(64, 3, None) - of(64, 1, None), 2.0 * expert, 1e-9, "two more");
    close(of(64, 3, None) - of(8, 3, None), router(56.0), 1e-9, "more to choose from");
    // A shared expert of twice the width, and its gate.
    close(of(8, 3, Some(4096)) - of(8, 3, None), 2.0 * expert + router(1.0), 1e-9, "shared");
}

/// Elements of all products of experts on a rank, by FLOPs.
fn expert_flops(model: &Model, training: &Training, shard: &Shard) -> f64 {
    let part = model.part(0);
    blocks(model, part, training, &path(AttentionKernel::Flash), shard)
        .iter()
        .flat_map(|block| block.forward.iter().chain(&block.backward))
        .filter(|op| matches!(op.work, Work::GroupedGemm(_)))
        .map(|op| op.work.flops().0)
        .sum()
}

/// However experts are dealt out and split, all ranks together do the same work and hold the same
/// parameters.
#[test]
fn dealing_experts_out_conserves_work_and_parameters() {
    let model = changed("mixtral-8x7b", |layer| {
        layer.feed_forward = FeedForward::Experts(bank(64, 6, 2048));
    });
    let training = training(SEQUENCE);
    let one = expert_flops(&model, &training, &Shard::new(1, false, 2));
    let count = model.parameters_of(model.part(0));
    for (tensor, parallel, split) in
        [(1, 1, 1), (1, 8, 1), (1, 64, 1), (4, 1, 4), (4, 4, 1), (4, 8, 2), (8, 16, 8), (2, 1, 4)]
    {
        let shard = Shard {
            expert_parallel: parallel,
            expert_tensor_parallel: split,
            ..Shard::new(tensor, true, 2)
        };
        // The ranks that hold all experts once work for so many micro-batches.
        let ranks = f64::from(parallel * split);
        let micro_batches = ranks / f64::from(tensor);
        let found = expert_flops(&model, &training, &shard);
        close(found * ranks, one * micro_batches, 1e-12, &format!("{shard:?}"));
        let held = count.per_rank(&shard);
        close(held, count.dense / f64::from(tensor) + count.experts / ranks, 1e-12, "held");
    }
}

#[test]
fn imbalance_counts_where_experts_are_dealt_out() {
    let model = Model::preset("mixtral-8x7b").unwrap();
    let at = |imbalance, capacity, parallel| {
        let mut training = training(SEQUENCE);
        training.expert_load.imbalance = imbalance;
        training.expert_load.capacity = capacity;
        let shard = Shard { expert_parallel: parallel, ..Shard::new(1, false, 2) };
        expert_flops(&model, &training, &shard)
    };
    let even = at(1.0, Capacity::Dropless, 4);
    close(at(1.5, Capacity::Dropless, 4), 1.5 * even, 1e-12, "the busiest rank");
    // One of four ranks has at most everything.
    close(at(9.0, Capacity::Dropless, 4), 4.0 * even, 1e-12, "all on one rank");
    close(at(1.5, Capacity::Dropless, 1), even, 1e-12, "a rank that has all experts");
    close(at(1.5, Capacity::Padded(1.25), 4), 1.25 * even, 1e-12, "padded to its capacity");
}

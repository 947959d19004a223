//! Memory against the closed forms of Korthikanti et al. 2022 (arXiv 2205.05198), section 4.

use crate::common::{path_in, training};
use motley_hardware::Catalog;
use motley_units::Bytes;
use motley_workload::{
    ActivationInputs, AttentionKernel, CardPath, CrossEntropy, Fusion, Holds, MemoryUse, Model,
    Part, Precision, Preset, Recompute, Shard, StageLoad, Training, activations, memory,
    step_memory,
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

/// Of an A100 that shares nothing and is a member of no communicator.
fn held(training: &Training, path: CardPath, load: &StageLoad) -> MemoryUse {
    let device = Catalog::builtin().device("a100-sxm-80").expect("in the catalogue");
    memory(training, &path, device, load)
}

fn load(parameters: f64) -> StageLoad {
    StageLoad { parameters, gradients: parameters, stepped: parameters, ..StageLoad::default() }
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
        let path = path_in(precision, AttentionKernel::Unfused);
        let mut training = training(2048);
        training.gradient_bytes = gradient_bytes;
        let found = held(&training, path, &load(1e9));
        let states = [found.parameters, found.gradients, found.optimizer];
        assert_eq!(states, expected.map(|bytes| Bytes(bytes * 1e9)));

        // What is frozen has parameters and nothing else.
        let frozen = StageLoad { gradients: 0.0, stepped: 0.0, ..load(1e9) };
        let frozen = held(&training, path, &frozen);
        assert_eq!(frozen.parameters, found.parameters);
        assert_eq!((frozen.gradients, frozen.optimizer), (Bytes(0.0), Bytes(0.0)));

        // 16-bit gradients are copied to fp32 for the step.
        let copies = if gradient_bytes == 2 { 4e9 } else { 0.0 };
        assert_eq!(step_memory(&training, &path, &load(1e9)), Bytes(copies));
    }
}

#[test]
fn figures_of_memory_contain_each_other() {
    let path = path_in(Precision::Bf16, AttentionKernel::Flash);
    let communicators = StageLoad { communicators: [1, 2], ..load(1e9) };
    let idle = held(&training(2048), path, &communicators);
    let busy = idle.with(3e9, 1e9, 2e9);
    for memory in [idle, busy] {
        let parts = [
            memory.parameters,
            memory.gradients,
            memory.optimizer,
            memory.activations,
            memory.workspace,
        ];
        let allocated: f64 = parts.iter().map(|part| part.0).sum();
        assert!((allocated - memory.allocated().0).abs() < 1.0);
        let fragments = memory.fragments.0;
        assert!((memory.reserved().0 - allocated - fragments - memory.cached.0).abs() < 1.0);
        let driver = memory.context.0 + memory.communication.0;
        assert!(driver > 0.0);
        let needed = allocated + fragments + driver;
        assert!((memory.total().0 - needed).abs() < 1.0);
        // A roomy card shows what is cached, a full one does not, one too small all that is needed.
        let shown = |room: f64| memory.shown(Bytes(needed + room)).0 - needed;
        assert!((shown(1e12) - memory.cached.0).abs() < 1.0);
        assert!(shown(0.0).abs() < 1.0 && shown(-1e9).abs() < 1.0);
    }
    assert!((busy.allocated().0 - idle.allocated().0 - 6e9).abs() < 1.0);
    assert_eq!((idle.cached, idle.fragments), (Bytes(0.0), Bytes(0.0)));
    // NCCL issue 964: 544 MiB for two ranks, 688 MiB for more.
    assert_eq!(idle.communication, Bytes((544.0 + 2.0 * 688.0) * 1024.0 * 1024.0));
}

/// What each choice of a software stack adds, bytes for each of a billion parameters, of which the
/// card steps a quarter.
#[test]
fn stacks_hold_more() {
    let path = path_in(Precision::Bf16, AttentionKernel::Flash);
    let load = StageLoad {
        averaged: 1e9,
        stepped: 0.25e9,
        shared: true,
        distinct: 0.1e9,
        gathered: Bytes(1e8),
        ..load(1e9)
    };
    let of = |holds: Holds| {
        let training = Training { holds, ..training(2048) };
        let step = step_memory(&training, &path, &load).0;
        (held(&training, path, &load).allocated().0, step)
    };
    let (plain, step) = of(Holds::default());
    assert!(step.abs() < 1.0);
    let check = |holds: Holds, more: f64, step: f64| {
        let (found, found_step) = of(holds);
        assert!((found - plain - more).abs() < 1.0, "{holds:?}: {}", found - plain);
        assert!((found_step - step).abs() < 1.0, "{holds:?}: {found_step}");
    };
    let megatron = Holds::default;
    check(Holds { bucket_copies: true, ..megatron() }, 2e9, 0.0);
    // The buffer, and the share that comes out of it.
    check(Holds { reduce_buffer: Bytes(1e9), ..megatron() }, 1e9 + 1e9, 0.0);
    check(Holds { parameter_copy: true, ..megatron() }, 0.0, 2e9 + 0.5e9);
    check(Holds { gather_buffers: 3, ..megatron() }, 2e8, 0.0);
    check(Holds { placeholder_gradients: true, ..megatron() }, 2e8, 0.0);
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

/// What norms, gates and losses keep that are not fused, elements of a micro-batch's stream or logits.
#[test]
fn unfused_kernels_keep_more() {
    let model = Model::preset("llama-2-7b").unwrap();
    let path = path_in(Precision::Bf16, AttentionKernel::Flash);
    let tokens = 2.0 * 2048.0;
    for (degree, sequence_parallel) in [(1, false), (4, false), (4, true)] {
        let shard = Shard::new(degree, sequence_parallel, 2);
        let t = f64::from(degree);
        let own = if sequence_parallel { tokens / t } else { tokens };
        let kept = |part, (holds, fusion)| {
            let training = Training { holds, fusion, ..training(2048) };
            let found = activations(&model, part, &training, &path, &shard);
            (found.bytes(Recompute::None).0, found.forward_workspace(Recompute::None).0)
        };
        let layer = |fusion| kept(model.part(0), (Holds::default(), fusion)).0;
        let fused = layer(Fusion::default());
        // Two norms: an fp32 copy, and what is normalised in 16 bits.
        let norms = layer(Fusion { norm: false, ..Fusion::default() }) - fused;
        assert!((norms - 2.0 * (4.0 + 2.0) * own * 4096.0).abs() < 1.0);
        let gate = layer(Fusion { activation: false, ..Fusion::default() }) - fused;
        assert!((gate - 2.0 * tokens * 11008.0 / t).abs() < 1.0);
        // Gate and up of every token, 1 + 4/128 bytes in place of two.
        let fp8 = Holds { activation_inputs: ActivationInputs::Fp8, ..Holds::default() };
        let saved = fused - kept(model.part(0), (fp8, Fusion::default())).0;
        assert!((saved - (1.0 - 1.0 / 32.0) * tokens * 2.0 * 11008.0 / t).abs() < 1.0);
        // Logits, fp32 copy and exponentials at once; the exponentials in the copy's place; all of
        // them on every rank.
        let loss = |holds| kept(Part::Head, (holds, Fusion::default())).1 / (tokens * 32000.0 / t);
        assert!((loss(Holds::default()) - (2.0 + 4.0)).abs() < 1e-9);
        let fused = Holds { cross_entropy: CrossEntropy::Fused, ..Holds::default() };
        assert!((loss(fused) - 2.0).abs() < 1e-9);
        // Nothing beside the logits themselves, which are kept in place of probabilities of four bytes.
        let one_kernel = Holds { cross_entropy: CrossEntropy::OneKernel, ..Holds::default() };
        assert!(loss(one_kernel).abs() < 1e-9);
        let [bytes, probabilities] =
            [one_kernel, fused].map(|holds| kept(Part::Head, (holds, Fusion::default())).0);
        assert!((probabilities - bytes - 2.0 * tokens * 32000.0 / t).abs() < 1.0);
        let whole = Holds { split_logits: false, ..Holds::default() };
        assert!((loss(whole) - (2.0 + 6.0 * t)).abs() < 1e-9);
    }
}

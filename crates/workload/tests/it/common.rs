//! Trainings and cards that tests ask about.

use motley_hardware::MathPath;
use motley_workload::{
    AttentionKernel, Block, CardPath, Description, ExpertDispatch, ExpertLoad, Fusion, Holds,
    HostLaunch, Layer, MasterWeights, Model, Moments, Optimizer, Part, Pass, Precision, Preset,
    Shard, Training, Transformer, blocks,
};

/// Tokens of the sequences of most tests.
pub(crate) const SEQUENCE: u32 = 512;

/// fp16, fused Adam, fp32 gradients, nothing special.
pub(crate) fn training(sequence_length: u32) -> Training {
    Training {
        sequence_length: Some(sequence_length),
        target_length: None,
        precision: Precision::Fp16,
        fallback: None,
        attention: AttentionKernel::Unfused,
        attention_fallback: true,
        optimizer: Optimizer::Adam { fused: true, moments: Moments::Fp32 },
        gradient_bytes: 4,
        reduce_bytes: None,
        master_weights: MasterWeights::Fp32,
        fused_gradient_accumulation: true,
        fusion: Fusion::default(),
        host_launch: HostLaunch::default(),
        flash_version: None,
        expert_load: ExpertLoad::default(),
        expert_dispatch: ExpertDispatch::Stored,
        communication_multiprocessors: 0,
        holds: Holds::default(),
        adapters: None,
    }
}

/// The training of a model: with sequences where it reads such.
pub(crate) fn training_of(model: &Model, sequence_length: u32) -> Training {
    let mut training = training(sequence_length);
    training.sequence_length = training.sequence_length.filter(|_| model.tokens().is_some());
    training
}

pub(crate) fn path(attention: AttentionKernel) -> CardPath {
    path_in(Precision::Fp16, attention)
}

pub(crate) fn path_in(precision: Precision, attention: AttentionKernel) -> CardPath {
    let math = if precision.mixed() { MathPath::Fp16Tensor } else { MathPath::Fp32 };
    CardPath {
        precision,
        math,
        quantisation: None,
        attention,
        flash_version: None,
        communication_multiprocessors: 0,
    }
}

/// The blocks of the first layer of a kind, attention first.
pub(crate) fn first_layer(
    model: &Model,
    training: &Training,
    attention: AttentionKernel,
    shard: &Shard,
) -> Vec<Block> {
    blocks(model, model.part(0), training, &path(attention), shard)
}

/// FLOPs of a part's kernels on one rank.
pub(crate) fn kernel_flops(
    model: &Model,
    part: Part,
    training: &Training,
    attention: AttentionKernel,
    pass: Pass,
    shard: &Shard,
) -> f64 {
    blocks(model, part, training, &path(attention), shard)
        .iter()
        .flat_map(|block| block.operators(pass))
        .map(|op| op.work.flops().0)
        .sum()
}

pub(crate) fn close(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!(
        (found - expected).abs() <= tolerance * expected.abs(),
        "{what}: {found:.9e} is not {expected:.9e} within {tolerance}"
    );
}

/// A preset that is written out, with every layer changed.
pub(crate) fn changed(preset: &str, change: impl Fn(&mut Transformer)) -> Model {
    let Some(Preset { model: Description::Stack(stack), .. }) = Preset::find(preset) else {
        panic!("{preset} is not written out")
    };
    let mut stack = stack.clone();
    for run in &mut stack.layers {
        for layer in &mut run.layers {
            let Layer::Transformer(layer) = layer else { panic!("{preset} is no transformer") };
            change(layer);
        }
    }
    Description::Stack(stack).build().unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// FLOPs of the kernels of the last layer on one rank, with FlashAttention.
pub(crate) fn layer_flops(model: &Model, training: &Training, pass: Pass, shard: &Shard) -> f64 {
    let part = model.part(model.layer_count() - 1);
    kernel_flops(model, part, training, AttentionKernel::Flash, pass, shard)
}

//! The optimizer step of one rank: passes over parameters, gradients and moments.

use motley_units::Bytes;

use crate::{Operator, Optimizer, Precision, Training, Work};

/// Traffic of an unfused Adam step for each parameter and byte of a fused one.
///
/// Sailor's profiles (SAILOR: 12.6 M parameters a layer, fp32, PyTorch's Adam) give 0.385 ns a
/// parameter on a V100 and 0.233 on an A100-40, 346 and 362 bytes at the peak bandwidth, about 300
/// at the share that elementwise kernels reach. A fused step moves 28.
const UNFUSED_ADAM: f64 = 300.0 / 28.0;

/// The kernels of one step over `parameters_per_gpu` parameters whose states are on this card, as
/// Megatron-LM's mixed-precision optimizer runs them, each over all parameters:
///
/// - 16-bit gradients are first copied to fp32;
/// - fp16: the loss scale is taken off and infinities are looked for;
/// - the gradients' norm is taken, and they are clipped to it;
/// - the step reads gradient, parameter and moments and writes parameter and moments, all fp32;
/// - mixed precision: the fp32 parameters are copied to the 16-bit ones;
/// - the gradient buffer is set to zero for the next iteration.
pub fn optimizer_step(training: &Training, parameters_per_gpu: f64) -> Vec<Operator> {
    let buffer = f64::from(training.gradient_bytes);
    let mut step = Vec::new();
    let mut pass = |name, per_parameter: f64| {
        let bytes = Bytes(parameters_per_gpu * per_parameter);
        step.push(Operator::new(name, Work::Optimizer { bytes }));
    };
    if training.gradient_bytes < 4 {
        pass("gradients to fp32", buffer + 4.0);
    }
    if training.precision == Precision::Fp16 {
        pass("unscale gradients", 8.0);
    }
    pass("gradient norm", 4.0);
    pass("clip gradients", 8.0);
    let fused = 4.0 + 8.0 * f64::from(1 + training.optimizer.moments());
    match training.optimizer {
        Optimizer::Adam { fused: true } => pass("adam", fused),
        Optimizer::Adam { fused: false } => pass("adam, unfused", fused * UNFUSED_ADAM),
        Optimizer::Sgd => pass("sgd", fused),
    }
    if training.precision.mixed() {
        pass("parameters to 16 bit", 6.0);
    }
    pass("zero gradients", buffer);
    step
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttentionKernel, ExpertLoad, Holds};

    fn check(precision: Precision, optimizer: Optimizer, gradient_bytes: u32, expected: f64) {
        let training = Training {
            sequence_length: Some(1),
            target_length: None,
            precision,
            fallback: None,
            attention: AttentionKernel::Unfused,
            attention_fallback: false,
            optimizer,
            gradient_bytes,
            fused_gradient_accumulation: true,
            expert_load: ExpertLoad::default(),
            holds: Holds::default(),
            adapters: None,
        };
        let bytes: f64 =
            optimizer_step(&training, 1e6).iter().map(|op| op.work.bytes(4).0).sum::<f64>() / 1e6;
        assert!((bytes - expected).abs() < 1e-9, "{bytes} != {expected}");
    }

    #[test]
    fn bytes_per_parameter() {
        let clip = 4.0 + 8.0;
        check(Precision::Fp32, Optimizer::Adam { fused: true }, 4, clip + 28.0 + 4.0);
        check(Precision::Bf16, Optimizer::Adam { fused: true }, 4, clip + 28.0 + 6.0 + 4.0);
        check(Precision::Fp16, Optimizer::Adam { fused: true }, 4, 8.0 + clip + 28.0 + 6.0 + 4.0);
        check(
            Precision::Fp16,
            Optimizer::Adam { fused: true },
            2,
            6.0 + 8.0 + clip + 28.0 + 6.0 + 2.0,
        );
        check(Precision::Fp32, Optimizer::Adam { fused: false }, 4, clip + 300.0 + 4.0);
        check(Precision::Fp32, Optimizer::Sgd, 4, clip + 20.0 + 4.0);
    }
}

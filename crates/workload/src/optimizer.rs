//! The optimizer step of one rank: passes over parameters, gradients and moments.

use motley_units::Bytes;

use crate::{Operator, Optimizer, Precision, Training, Work};

/// Traffic of an unfused Adam step for each parameter and byte of a fused one.
///
/// Sailor's profiles (SAILOR: 12.6 M parameters a layer, fp32, PyTorch's Adam) give 0.385 ns a
/// parameter on a V100 and 0.233 on an A100-40, 346 and 362 bytes at the peak bandwidth, about 300
/// at the share that elementwise kernels reach. A fused step moves 28.
const UNFUSED_ADAM: f64 = 300.0 / 28.0;

/// The kernels of one step over `parameters_per_gpu` parameters whose states are on this card.
///
/// Mixed precision reads and writes the fp32 master and both moments, reads the gradient and
/// writes the 16-bit parameter. Before that the gradients are read once for their norm (clipping),
/// and for fp16 read and written once more to take off the loss scale and look for infinities.
pub fn optimizer_step(training: &Training, parameters_per_gpu: f64) -> Vec<Operator> {
    let gradient = f64::from(training.gradient_bytes);
    let elementwise = |name, per_parameter: f64| {
        Operator::new(name, Work::Elementwise { bytes: Bytes(parameters_per_gpu * per_parameter) })
    };
    let mut step = Vec::new();
    if training.precision == Precision::Fp16 {
        step.push(elementwise("unscale gradients", 2.0 * gradient));
    }
    step.push(elementwise("gradient norm", gradient));

    let half_copy = if training.precision.mixed() { 2.0 } else { 0.0 };
    let states = 8.0 * f64::from(1 + training.optimizer.moments());
    let fused = states + gradient + half_copy;
    let (name, per_parameter) = match training.optimizer {
        Optimizer::Adam { fused: true } => ("adam", fused),
        Optimizer::Adam { fused: false } => ("adam, unfused", fused * UNFUSED_ADAM),
        Optimizer::Sgd => ("sgd", fused),
    };
    let bytes = Bytes(parameters_per_gpu * per_parameter);
    step.push(Operator::new(name, Work::Optimizer { bytes }));
    step
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AttentionKernel;

    fn check(precision: Precision, optimizer: Optimizer, gradient_bytes: u32, expected: f64) {
        let training = Training {
            sequence_length: 1,
            precision,
            fallback: None,
            attention: AttentionKernel::Unfused,
            attention_fallback: false,
            optimizer,
            gradient_bytes,
        };
        let bytes: f64 =
            optimizer_step(&training, 1e6).iter().map(|op| op.work.bytes(4).0).sum::<f64>() / 1e6;
        assert!((bytes - expected).abs() < 1e-9, "{bytes} != {expected}");
    }

    #[test]
    fn bytes_per_parameter() {
        check(Precision::Fp32, Optimizer::Adam { fused: true }, 4, 24.0 + 4.0 + 4.0);
        check(Precision::Bf16, Optimizer::Adam { fused: true }, 4, 24.0 + 4.0 + 2.0 + 4.0);
        check(Precision::Fp16, Optimizer::Adam { fused: true }, 2, 24.0 + 2.0 + 2.0 + 2.0 + 4.0);
        check(Precision::Fp32, Optimizer::Adam { fused: false }, 4, 300.0 + 4.0);
        check(Precision::Fp32, Optimizer::Sgd, 4, 16.0 + 4.0 + 4.0);
    }
}

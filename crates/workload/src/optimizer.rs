//! The optimizer step of one rank: passes over parameters, gradients and moments.

use motley_units::{Bytes, Seconds};

use crate::{CardPath, MasterWeights, Operator, Optimizer, Precision, Training, Work};

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
/// - the step reads gradient, parameter and moments and writes parameter and moments; the gradient
///   is fp32, the parameter too unless 16-bit ones are trained without fp32 ones beside them;
/// - mixed precision: the fp32 parameters are copied to the 16-bit ones;
/// - `quantised_parameters` of those are quantised, as linear layers of the next iteration multiply
///   them, unless they are frozen;
/// - the gradient buffer is set to zero for the next iteration.
pub fn optimizer_step(
    training: &Training,
    path: &CardPath,
    parameters_per_gpu: f64,
    quantised_parameters: f64,
) -> Vec<Operator> {
    let buffer = f64::from(training.gradient_bytes);
    let element = f64::from(path.precision.element_bytes());
    let mut step = Vec::new();
    let streamed = |name, bytes: f64| Operator::new(name, Work::Optimizer { bytes: Bytes(bytes) });
    let mut pass = |name, per_parameter: f64| {
        step.push(streamed(name, parameters_per_gpu * per_parameter));
    };
    if training.gradient_bytes < 4 {
        pass("gradients to fp32", buffer + 4.0);
    }
    if training.precision == Precision::Fp16 {
        pass("unscale gradients", 8.0);
    }
    pass("gradient norm", 4.0);
    pass("clip gradients", 8.0);
    let copied = training.precision.mixed() && training.master_weights == MasterWeights::Fp32;
    let parameter = if copied { 4.0 } else { element };
    let fused = 4.0 + 2.0 * (parameter + training.optimizer.moment_bytes());
    match training.optimizer {
        Optimizer::Adam { fused: true, .. } => pass("adam", fused),
        Optimizer::Adam { fused: false, .. } => pass("adam, unfused", fused * UNFUSED_ADAM),
        Optimizer::Sgd => pass("sgd", fused),
    }
    if copied {
        pass("parameters to 16 bit", 6.0);
    }
    pass("zero gradients", buffer);
    if let Some(quantisation) = path.quantisation.filter(|_| training.adapters.is_none()) {
        if quantisation.looks_first() {
            step.push(streamed("largest weights", quantised_parameters * element));
        }
        let written = f64::from(quantisation.copies()) * quantisation.operand_bytes();
        step.push(streamed("quantise weights", quantised_parameters * (element + written)));
    }
    step
}

/// Seconds that the processors of a node take for Adam on one parameter.
///
/// DeepSpeed's `DeepSpeedCPUAdam` steps one billion parameters in 0.22 to 0.26 s on the two Xeon
/// Platinum 8168 of a DGX-2 (Ren et al. 2021, arXiv 2101.06840, Table 4, recalled).
const HOST_ADAM: f64 = 0.25e-9;

/// The optimizer step on the processors of a node, over the parameters of all its cards together: they
/// are bound by memory, so SGD, with one moment less, is faster by what it does not move.
pub fn host_optimizer_step(optimizer: Optimizer, parameters_per_node: f64) -> Seconds {
    // Gradients are read, parameters and moments read and written.
    let traffic = |moment_bytes: f64| 4.0 + 2.0 * (4.0 + moment_bytes);
    let relative = traffic(optimizer.moment_bytes()) / traffic(8.0);
    Seconds(HOST_ADAM * relative * parameters_per_node)
}

#[cfg(test)]
mod tests {
    use motley_hardware::MathPath;

    use super::*;
    use crate::{
        AttentionKernel, ExpertDispatch, ExpertLoad, Fp8Recipe, Fusion, Holds, HostLaunch, Moments,
        Quantisation,
    };

    const ADAM: Optimizer = Optimizer::Adam { fused: true, moments: Moments::Fp32 };

    /// Bytes for each parameter, a quarter of which are not quantised.
    fn check(
        precision: Precision,
        optimizer: Optimizer,
        gradient_bytes: u32,
        master_weights: MasterWeights,
        expected: f64,
    ) {
        let training = Training {
            sequence_length: Some(1),
            target_length: None,
            precision,
            fallback: None,
            attention: AttentionKernel::Unfused,
            attention_fallback: false,
            optimizer,
            gradient_bytes,
            reduce_bytes: None,
            master_weights,
            fused_gradient_accumulation: true,
            fusion: Fusion::default(),
            host_launch: HostLaunch::default(),
            flash_version: None,
            expert_load: ExpertLoad::default(),
            expert_dispatch: ExpertDispatch::Stored,
            communication_multiprocessors: 0,
            holds: Holds::default(),
            adapters: None,
        };
        let path = CardPath {
            precision,
            math: MathPath::Fp32,
            quantisation: Quantisation::new(precision, false),
            attention: AttentionKernel::Unfused,
            flash_version: None,
            communication_multiprocessors: 0,
        };
        let step = optimizer_step(&training, &path, 1e6, 0.75e6);
        let bytes: f64 = step.iter().map(|op| op.bytes(&path).0).sum::<f64>() / 1e6;
        assert!((bytes - expected).abs() < 1e-9, "{precision:?}: {bytes} != {expected}");
    }

    #[test]
    fn bytes_per_parameter() {
        use MasterWeights::{Fp32, None};
        let clip = 4.0 + 8.0;
        check(Precision::Fp32, ADAM, 4, Fp32, clip + 28.0 + 4.0);
        check(Precision::Fp32, ADAM, 4, None, clip + 28.0 + 4.0);
        check(Precision::Bf16, ADAM, 4, Fp32, clip + 28.0 + 6.0 + 4.0);
        check(Precision::Fp16, ADAM, 4, Fp32, 8.0 + clip + 28.0 + 6.0 + 4.0);
        check(Precision::Fp16, ADAM, 2, Fp32, 6.0 + 8.0 + clip + 28.0 + 6.0 + 2.0);
        let unfused = Optimizer::Adam { fused: false, moments: Moments::Fp32 };
        check(Precision::Fp32, unfused, 4, Fp32, clip + 300.0 + 4.0);
        check(Precision::Fp32, Optimizer::Sgd, 4, Fp32, clip + 20.0 + 4.0);
        // Gradient in fp32; parameter and moments in 16 bits, read and written.
        let narrow = Optimizer::Adam { fused: true, moments: Moments::Bf16 };
        check(Precision::Bf16, narrow, 4, Fp32, clip + 20.0 + 6.0 + 4.0);
        check(Precision::Bf16, narrow, 4, None, clip + 16.0 + 4.0);
        // Read in bf16, for current scaling twice; written in both orders.
        let step = clip + 28.0 + 6.0 + 4.0;
        let of = |recipe| Precision::Fp8(recipe);
        check(of(Fp8Recipe::Delayed), ADAM, 4, Fp32, step + 0.75 * 4.0);
        check(of(Fp8Recipe::Current), ADAM, 4, Fp32, step + 0.75 * 6.0);
        check(of(Fp8Recipe::Block), ADAM, 4, Fp32, step + 0.75 * (4.0 + 8.0 / 128.0));
        check(Precision::Mxfp8, ADAM, 4, Fp32, step + 0.75 * (4.0 + 2.0 / 32.0));
        check(Precision::Nvfp4, ADAM, 4, Fp32, step + 0.75 * (5.0 + 2.0 / 16.0));
    }
}

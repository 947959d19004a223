//! What a software stack holds in memory beside what the mathematics asks for.
//!
//! Every choice is a mechanism that can be read in the stack's code; none is a fitted number. Stacks
//! whose code was read, in the words of [`Holds`] (what is not named is as in Megatron-LM, the
//! default):
//!
//! | stack | differs in |
//! |---|---|
//! | Megatron-LM | - |
//! | Megatron-Core with Transformer Engine | `placeholder_gradients`, `cross_entropy: Fused` if asked for |
//! | nanotron | `autograd_gradients: UntilPassEnds`, `bucket_copies`, `parameter_copy`, `gather_buffers: 2` |
//! | DeepSpeed | `reduce_buffer: B(1e9)`; its pipelines `stage_outputs: Kept` |
//! | PyTorch DDP | `bucket_copies` |
//! | DeepSeek-V3's (arXiv 2412.19437, section 3.3) | `activation_inputs: Fp8`, `quantised_parameters_only` |
//!
//! What is not fused ([`crate::Fusion`]) keeps what lies between its kernels, too.

use motley_units::Bytes;
use serde::{Deserialize, Serialize};

/// What a software stack holds in memory beside what the mathematics asks for.
#[expect(clippy::struct_excessive_bools, reason = "independent choices of a software stack")]
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Holds {
    /// How long the gradients live that autograd computes, in the width of the parameters, where they
    /// are not added to the gradient buffer at once.
    pub autograd_gradients: AutogradGradients,
    /// Gradients that are averaged over replicas lie in buckets beside the gradient buffer, in the
    /// width of the parameters: PyTorch's `DistributedDataParallel` without
    /// `gradient_as_bucket_view`.
    pub bucket_copies: bool,
    /// A buffer through which gradients that are averaged over replicas are reduced, whose share for
    /// this rank comes out apart from the gradient buffer: DeepSpeed's `reduce_bucket_size`, by
    /// default 5e8 elements, with `contiguous_gradients`.
    pub reduce_buffer: Bytes,
    /// Parameters of which replicas hold the optimizer states in shares are gathered through a flat
    /// copy after the step: `all_gather_coalesced`.
    pub parameter_copy: bool,
    /// Buffers as large as a micro-batch's activations between layers, into which tensor ranks gather
    /// these under sequence parallelism and which stay: one in Megatron-LM (`GlobalMemoryBuffer`),
    /// two where the backward pass has its own.
    pub gather_buffers: u32,
    /// What becomes of what a stage has sent to the next.
    pub stage_outputs: StageOutputs,
    /// The loss over the logits.
    pub cross_entropy: CrossEntropy,
    /// Each tensor rank has the logits of its part of the vocabulary only (Megatron-LM's
    /// `parallel_output`); else they are gathered, and the loss is computed over all of them.
    pub split_logits: bool,
    /// Where weight-gradient products add to the gradient buffer themselves, autograd is still given a
    /// tensor for each weight; one of each shape stays: Transformer Engine's `get_dummy_wgrad`.
    pub placeholder_gradients: bool,
    /// Parameters that linear layers multiply in quantised copies are there in these alone, not as they
    /// are stored beside them: Megatron-Core's `--fp8-param-gather`, DeepSeek-V3.
    pub quantised_parameters_only: bool,
    /// What the activation functions of MLPs and experts read, as it is kept for their backward pass.
    pub activation_inputs: ActivationInputs,
}

impl Default for Holds {
    fn default() -> Self {
        Self {
            autograd_gradients: AutogradGradients::Consumed,
            bucket_copies: false,
            reduce_buffer: Bytes(0.0),
            parameter_copy: false,
            gather_buffers: 1,
            stage_outputs: StageOutputs::Released,
            cross_entropy: CrossEntropy::Unfused,
            split_logits: true,
            placeholder_gradients: false,
            quantised_parameters_only: false,
            activation_inputs: ActivationInputs::Stored,
        }
    }
}

/// How long the gradients live that autograd computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AutogradGradients {
    /// Each is added to the gradient buffer as soon as it is there, by the product itself or by a hook
    /// behind it.
    Consumed,
    /// All of a micro-batch are added to the gradient buffer after its backward pass.
    UntilPassEnds,
}

/// What becomes of what a stage has sent to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StageOutputs {
    /// Its memory is given back (`deallocate_pipeline_outputs`, Megatron-LM since 2021).
    Released,
    /// It is kept until the micro-batch's backward pass.
    Kept,
}

/// Inputs of activation functions, as they are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActivationInputs {
    /// As they are stored.
    Stored,
    /// In fp8, with an fp32 scale for each 128 elements (DeepSeek-V3; without scales Megatron-Core's
    /// `--activation-func-fp8-input-store`). Of fused activation functions.
    Fp8,
}

/// The loss over the logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CrossEntropy {
    /// Kernel by kernel: the logits, their fp32 copy and the exponentials are there at once, as in
    /// Megatron-LM's `VocabParallelCrossEntropy` and in PyTorch.
    Unfused,
    /// The exponentials take the place of the fp32 copy: Megatron-Core's `cross_entropy_loss_fusion`.
    Fused,
    /// One kernel in each pass, which reads the logits as they are stored; these are kept, and nothing in
    /// fp32: apex's and flash-attn's `xentropy`.
    OneKernel,
}

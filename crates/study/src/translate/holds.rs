//! What software holds in memory beside what the mathematics asks for.

use motley_units::Bytes;
use motley_workload::{AutogradGradients, CrossEntropy, Holds, Precision, StageOutputs};

use super::Software;
use crate::runs::Row;

/// Elements of DeepSpeed's `reduce_bucket_size`, by default.
const REDUCE_BUCKET: f64 = 5e8;

/// By software, as its code has it ([`Holds`] says where).
pub(super) fn holds(row: &Row, software: Software, precision: Precision) -> Holds {
    let words = row.parallel.overlap_words();
    let megatron = Holds::default();
    let reduced = Bytes(REDUCE_BUCKET * f64::from(precision.element_bytes()));
    match software {
        // `loss_fn: fused_crossentropy` is the default of github.com/mosaicml/llm-foundry.
        Software::PyTorch if software.is_llm_foundry(row) => {
            Holds { cross_entropy: CrossEntropy::OneKernel, ..megatron }
        }
        Software::EarlyMegatron | Software::Megatron | Software::PyTorch | Software::Other => {
            megatron
        }
        // Its recipes ask for `cross_entropy_loss_fusion`.
        Software::MegatronBridge => {
            Holds { placeholder_gradients: true, cross_entropy: CrossEntropy::Fused, ..megatron }
        }
        Software::MegatronCore => Holds {
            placeholder_gradients: true,
            cross_entropy: if words.contains("cross-entropy fusion on") {
                CrossEntropy::Fused
            } else {
                CrossEntropy::Unfused
            },
            ..megatron
        },
        // Aleph Alpha's scaling gathers logits before the loss.
        Software::Scaling => Holds {
            reduce_buffer: reduced,
            stage_outputs: StageOutputs::Kept,
            split_logits: false,
            ..megatron
        },
        Software::MegatronDeepSpeed | Software::UnfusedMegatron => Holds {
            reduce_buffer: reduced,
            stage_outputs: StageOutputs::Kept,
            autograd_gradients: if precision == Precision::Bf16 {
                AutogradGradients::UntilPassEnds
            } else {
                AutogradGradients::Consumed
            },
            ..megatron
        },
        Software::Nanotron => Holds {
            autograd_gradients: AutogradGradients::UntilPassEnds,
            bucket_copies: true,
            parameter_copy: true,
            gather_buffers: 2,
            ..megatron
        },
    }
}

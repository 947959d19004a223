//! How operands of linear layers are written in 8 or 4 bits, and what that costs.
//!
//! After Transformer Engine (github.com/NVIDIA/TransformerEngine): parameters and activations stay in
//! bf16; the operands of the three products of a linear layer are quantised copies. The input is
//! quantised before the forward product and its copy kept for the weight gradient, the gradient of the
//! output before the backward products. Weights are quantised once an iteration, when the optimizer
//! has stepped, and their copies stay for all micro-batches.
//!
//! | recipe | an operand's element | read | scale |
//! |---|---|---|---|
//! | `Fp8(Delayed)` | 1 | once | of a tensor, from earlier iterations' largest magnitudes |
//! | `Fp8(Current)` | 1 | twice | of a tensor: its largest magnitude is found first |
//! | `Fp8(Block)` | 1 + 4/128 | once | fp32, of 1 x 128 elements (DeepSeek-V3, arXiv 2412.19437, section 3.3) |
//! | `Mxfp8` | 1 + 1/32 | once | 8 bits, of 32 elements (OCP Microscaling) |
//! | `Nvfp4` | 1/2 + 1/16 | twice | 8 bits, of 16 elements, under one of the tensor |
//!
//! A product sums over rows in one pass and over columns in another. Tensor cores of Hopper want fp8
//! operands in the order of the sum, and scales of blocks lie along the sum, so that each tensor is
//! written twice; with one scale a tensor Blackwell takes either order.

use crate::{Fp8Recipe, Precision};

/// Quantised operands, as one card writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quantisation {
    format: Format,
    copies: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Format {
    /// fp8, one scale a tensor that is known beforehand.
    Delayed,
    /// fp8, one scale a tensor.
    Current,
    /// fp8, an fp32 scale for each 128 elements.
    Block,
    /// fp8, an 8-bit scale for each 32 elements.
    Mxfp8,
    /// fp4, an 8-bit scale for each 16 elements.
    Nvfp4,
}

impl Quantisation {
    /// What `precision` asks for, if it quantises. `either_order` says that the card multiplies fp8
    /// operands in whatever order they lie.
    pub fn new(precision: Precision, either_order: bool) -> Option<Self> {
        let format = match precision {
            Precision::Fp32 | Precision::Tf32 | Precision::Fp16 | Precision::Bf16 => return None,
            Precision::Fp8(Fp8Recipe::Delayed) => Format::Delayed,
            Precision::Fp8(Fp8Recipe::Current) => Format::Current,
            Precision::Fp8(Fp8Recipe::Block) => Format::Block,
            Precision::Mxfp8 => Format::Mxfp8,
            Precision::Nvfp4 => Format::Nvfp4,
        };
        let one = either_order && matches!(format, Format::Delayed | Format::Current);
        Some(Self { format, copies: if one { 1 } else { 2 } })
    }

    /// Bytes of an operand's element, with its share of the scales.
    pub fn operand_bytes(self) -> f64 {
        match self.format {
            Format::Delayed | Format::Current => 1.0,
            // An fp32 scale for 128 elements, an 8-bit one for 32.
            Format::Block | Format::Mxfp8 => 1.0 + 1.0 / 32.0,
            Format::Nvfp4 => 0.5 + 1.0 / 16.0,
        }
    }

    /// Copies of a tensor that both kinds of product multiply: 1 or 2.
    pub fn copies(self) -> u32 {
        self.copies
    }

    /// Whether a layer whose input is kept for others, too, keeps no copy of its own and quantises it once
    /// more for its weight gradient (Megatron-Core's `set_save_original_input`; scales that come from
    /// earlier iterations do not allow it).
    pub(crate) fn quantises_again(self) -> bool {
        self.format != Format::Delayed
    }

    /// Whether a kernel of its own finds the largest magnitude before the copies are written.
    pub(crate) fn looks_first(self) -> bool {
        matches!(self.format, Format::Current | Format::Nvfp4)
    }
}

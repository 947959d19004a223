//! The arithmetic paths of a card.

use serde::{Deserialize, Serialize};

/// The unit of a card that a matrix product runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MathPath {
    /// CUDA cores, fp32.
    Fp32,
    /// Tensor cores, fp32 storage, 10-bit mantissa; Ampere and later.
    Tf32,
    /// CUDA cores with fp16 storage and fp32 accumulation: what a card without tensor cores runs
    /// fp16 training on. The rate is fp32's, the bytes are halved.
    Fp16Vector,
    /// Tensor cores, fp16 inputs, fp32 accumulation; Volta and later.
    Fp16Tensor,
    /// Tensor cores, bf16; Ampere and later.
    Bf16Tensor,
    /// Tensor cores, fp8 with one scale a tensor; Ada, Hopper and later.
    Fp8Tensor,
    /// The fp8 tensor cores under scales of blocks that software applies: partial sums of a block
    /// are scaled and added up on CUDA cores (DeepSeek-V3, arXiv 2412.19437, section 3.3.2).
    Fp8BlockTensor,
    /// Tensor cores, fp8 with a scale for each 32 elements in hardware (OCP Microscaling); Blackwell.
    Mxfp8Tensor,
    /// Tensor cores, fp4 with a scale for each 16 elements in hardware; Blackwell.
    Fp4Tensor,
}

/// Who makes a card. Cards of two vendors cannot share an NCCL communicator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Vendor {
    Nvidia,
    Amd,
    Huawei,
    Kunlunxin,
    Cambricon,
    Hygon,
    MooreThreads,
}

impl Vendor {
    /// What it calls the links between its cards.
    pub fn card_links(self) -> &'static str {
        match self {
            Self::Nvidia => "NVLink",
            Self::Amd | Self::Hygon => "xGMI",
            Self::Huawei => "HCCS",
            Self::Kunlunxin => "XPU Link",
            Self::Cambricon => "MLU-Link",
            Self::MooreThreads => "MTLink",
        }
    }
}

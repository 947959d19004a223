//! What the cards of an architecture reach of their printed peaks: the constants of the kernel
//! model, fitted on measured kernels and nothing else.

use std::collections::BTreeMap;

use motley_units::Seconds;
use serde::{Deserialize, Serialize};

use crate::{Cited, Device, MathPath};

/// The kernel constants of one architecture (Pascal, Volta, ...).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// The id that devices refer to, `ampere`.
    pub id: String,
    /// The share of an isolated kernel's rate that a training loop sustains, where heat and the
    /// power limit hold the clock below boost. It scales all arithmetic, not memory. Of a card that
    /// may draw [`Architecture::power`]; see [`Architecture::clock`].
    pub sustained: Cited<f64>,
    /// The power limit for which `sustained` holds, in watts for each TFLOP/s of the 16-bit peak (of
    /// fp32, where there is no other).
    pub power: Cited<f64>,
    /// Matrix products, by arithmetic path.
    pub gemm: BTreeMap<MathPath, GemmEfficiency>,
    /// Kernels that move bytes.
    pub memory: MemoryEfficiency,
    /// FlashAttention; none where no implementation exists, and attention runs unfused.
    pub flash_attention: Option<AttentionEfficiency>,
    /// Its versions before that, for software that has no later one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_flash_attention: Vec<AttentionEfficiency>,
    /// Time between the starts of two empty kernels of one stream.
    pub kernel_gap: Cited<Seconds>,
}

impl Architecture {
    /// The share of its boost clock that a card sustains while it multiplies matrices. Power goes with the
    /// square of the voltage and with the clock, and the voltage with the clock: a card that may draw
    /// less for what it computes runs slower by the cube root. Never above boost. Attention and
    /// grouped products leave their units idle for a third of the time and more, and draw less.
    pub fn clock(&self, device: &Device) -> f64 {
        let paths = [MathPath::Fp16Tensor, MathPath::Bf16Tensor, MathPath::Fp32];
        let peak = paths.into_iter().find_map(|path| device.peak(path));
        let power = peak.map_or(f64::INFINITY, |peak| device.tdp.get().0 / (peak.0 / 1e12));
        (self.sustained.get() * libm::cbrt(power / self.power.get())).min(1.0)
    }

    /// FlashAttention of at most so high a version, the latest if none is given; the earliest where
    /// all are later.
    pub fn flash_attention(&self, newest: Option<u8>) -> Option<&AttentionEfficiency> {
        let latest = self.flash_attention.as_ref()?;
        let newest = newest.unwrap_or(u8::MAX);
        let all = || self.earlier_flash_attention.iter().chain([latest]);
        all()
            .filter(|attention| attention.version <= newest)
            .max_by_key(|attention| attention.version)
            .or_else(|| all().min_by_key(|attention| attention.version))
    }
}

/// How a matrix product of `m x n x k` reaches a share of the peak. The result is cut into tiles
/// of `tm x tn`, run in waves over the SMs; a tile takes
/// `2 tm tn (k + half_k) / (peak / SMs * peak_fraction * rate)`. The fastest tile counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GemmEfficiency {
    /// The share of the peak on large, even shapes, of an isolated kernel.
    pub peak_fraction: Cited<f64>,
    /// The depth at which the pipeline's fill costs half.
    pub half_k: Cited<f64>,
    /// Output tiles that the library chooses from.
    pub tiles: Cited<Vec<Tile>>,
    /// The share of memory bandwidth reached when bytes bound.
    pub memory_fraction: Cited<f64>,
    /// Fixed time of one call.
    pub launch: Cited<Seconds>,
}

/// An output tile of a matrix kernel, computed by one thread block.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tile {
    /// Rows.
    pub m: u32,
    /// Columns.
    pub n: u32,
    /// The share of the best tile's rate that it reaches.
    pub rate: f64,
}

/// Shares of the peak memory bandwidth by kind of kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryEfficiency {
    /// Streaming kernels: activation functions, residual additions, casts.
    pub elementwise: Cited<f64>,
    /// LayerNorm and RMSNorm.
    pub norm: Cited<f64>,
    /// Softmax with mask and scale, fused.
    pub softmax: Cited<f64>,
    /// Gather and scatter of embedding rows.
    pub embedding: Cited<f64>,
    /// Fused optimizer step.
    pub optimizer: Cited<f64>,
}

/// FlashAttention's share of the peak, rising with the tokens that a position sees (`l`: the
/// sequence, or half of it under a causal mask), the width of a head (`d`) and the thread blocks for
/// each SM (`b`, one for 128 tokens of a head):
/// `fraction * l / (l + half_sequence) * d / (d + half_head) * b / (b + half_blocks)`,
/// of the FLOPs that are really done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttentionEfficiency {
    /// 1, 2, 3, or 4 for kernels written for Blackwell.
    pub version: u8,
    /// Forward, where all three terms are near one.
    pub forward_fraction: Cited<f64>,
    /// Backward, where all three terms are near one.
    pub backward_fraction: Cited<f64>,
    /// The visible tokens at which half is reached.
    pub half_sequence: Cited<f64>,
    /// The width of a head at which half is reached.
    pub half_head: Cited<f64>,
    /// The thread blocks for each SM at which half is reached.
    pub half_blocks: Cited<f64>,
}

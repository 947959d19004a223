//! Time of one operator on one card.
//!
//! Every kernel takes a fixed time plus the longer of its arithmetic and its memory traffic, each at
//! the share of the card's peak that measured kernels of the architecture reach. Shapes matter:
//! matrix products through tiles and waves, attention through sequence, head and occupancy.

use motley_hardware::{Architecture, AttentionEfficiency, Device, MathPath};
use motley_units::{BytesPerSec, FlopsPerSec, Seconds};

use crate::gemm::{self, Product, Unit};
use crate::operator::{ConvolutionWork, FlashAttention, GroupedGemm};
use crate::{CardPath, Operands, Operator, Pass, Work};

/// Tokens of a head that one thread block of FlashAttention works on.
const ATTENTION_BLOCK: u64 = 128;

/// The first cards that run the products of all experts in one kernel: CUTLASS's grouped products
/// on tensor cores, and MegaBlocks', want Ampere.
const GROUPED_GEMM: (u8, u8) = (8, 0);

/// Integer instructions of one random number that streaming does not hide.
///
/// Philox 4x32-10 takes ten rounds of some ten instructions for four numbers, and a comparison and a
/// scaling for each: about 28 a number, part of them under the memory traffic. Korthikanti et al.
/// 2022 (arXiv 2205.05198, Table 4) measure 1.3 ms for the attention core of a GPT 22B layer on
/// A100, whose streams alone take 1.08 ms for 134 million numbers: 16 instructions stay visible.
const RANDOM_INSTRUCTIONS: f64 = 16.0;

/// 32-bit integer lanes of a multiprocessor, the same from Pascal to Hopper (CUDA C++ programming
/// guide, arithmetic throughput).
const INTEGER_LANES: f64 = 64.0;

/// The kernels of one card on one arithmetic path.
#[derive(Clone, Debug)]
pub struct KernelModel<'a> {
    device: &'a Device,
    architecture: &'a Architecture,
    path: CardPath,
}

impl<'a> KernelModel<'a> {
    /// The kernels of `device` as `path`, [`crate::card_path`]'s answer for it, runs them.
    pub fn new(device: &'a Device, architecture: &'a Architecture, path: CardPath) -> Self {
        Self { device, architecture, path }
    }

    /// The card.
    pub fn device(&self) -> &'a Device {
        self.device
    }

    /// What the card runs.
    pub fn path(&self) -> &CardPath {
        &self.path
    }

    /// The duration of `op`, alone on the card, from the end of the kernel before it. Work that the
    /// card has no unit for never ends: the duration is infinite.
    pub fn time(&self, op: &Operator) -> Seconds {
        let memory = &self.architecture.memory;
        let bytes = op.bytes(&self.path).0;
        let streamed = |fraction: f64| self.gap() + bytes / (self.bandwidth().0 * fraction);
        Seconds(match op.work {
            Work::Gemm { m, n, k, batch } => {
                let (m, n, k, batch) = (m as f64, n as f64, k as f64, batch as f64);
                self.gemm(op.operands, Product { m, n, k, batch })
            }
            Work::GroupedGemm(product) => self.grouped_gemm(op.operands, product),
            Work::Convolution(convolution) => self.convolution(convolution),
            Work::FlashAttention(attention) => {
                let arithmetic = self.flash_arithmetic(attention);
                self.gap() + arithmetic.max(bytes / (self.bandwidth().0 * memory.elementwise.get()))
            }
            Work::Softmax { .. } => streamed(*memory.softmax.get()),
            Work::Elementwise { .. } => streamed(*memory.elementwise.get()),
            Work::Dropout { drawn, .. } => {
                let rate =
                    f64::from(self.sm_count()) * INTEGER_LANES * self.device.boost_clock.get().0;
                streamed(*memory.elementwise.get()) + drawn * RANDOM_INSTRUCTIONS / rate
            }
            Work::Norm { .. } => streamed(*memory.norm.get()),
            Work::Embedding { .. } => streamed(*memory.embedding.get()),
            Work::Optimizer { .. } => streamed(*memory.optimizer.get()),
        })
    }

    fn gemm(&self, operands: Operands, product: Product) -> f64 {
        self.matrix_unit(operands, self.clock())
            .map_or(f64::INFINITY, |unit| gemm::seconds(unit, product))
    }

    /// One kernel for all experts where there is such, else a kernel for each.
    fn grouped_gemm(&self, operands: Operands, product: GroupedGemm) -> f64 {
        let together =
            self.device.compute_capability.is_none_or(|capability| capability >= GROUPED_GEMM);
        let clock = if together { *self.architecture.sustained.get() } else { self.clock() };
        let Some(unit) = self.matrix_unit(operands, clock) else { return f64::INFINITY };
        if together {
            gemm::grouped_seconds(unit, product)
        } else {
            let GroupedGemm { m, n, k, groups, .. } = product;
            let one = Product { m: m.ceil(), n: n.ceil(), k: k.ceil(), batch: 1.0 };
            let memory = unit.stream(product.bytes(unit.operand, unit.result));
            (groups as f64 * gemm::seconds(unit, one)).max(memory)
        }
    }

    fn convolution(&self, convolution: ConvolutionWork) -> f64 {
        let cuda_cores = matches!(self.path.math, MathPath::Fp32 | MathPath::Fp16Vector);
        self.matrix_unit(Operands::Stored, self.clock())
            .map_or(f64::INFINITY, |unit| gemm::convolution_seconds(unit, convolution, cuda_cores))
    }

    /// The arithmetic of FlashAttention; endless where there is none. Before version 3 values are
    /// padded to the width of keys.
    fn flash_arithmetic(&self, attention: FlashAttention) -> f64 {
        let newest = self.path.flash_version;
        let Some(flash) = self.architecture.flash_attention(newest) else { return f64::INFINITY };
        let padded = if flash.version < 3 { attention.key_dim } else { 0 };
        let done = FlashAttention { value_dim: attention.value_dim.max(padded), ..attention };
        let tiles = done.queries.div_ceil(ATTENTION_BLOCK);
        let blocks = done.batch as f64 * done.heads as f64 * tiles as f64;
        let fraction = attention_fraction(
            flash,
            done.pass,
            done.keys as f64 * done.visible,
            (done.key_dim + done.value_dim) as f64 / 2.0,
            blocks / f64::from(self.sm_count()),
        );
        let peak = self.peak(self.path.stored_math());
        let rate = peak.0 * self.architecture.sustained.get() * fraction;
        done.flops() / rate
    }

    /// What multiplies matrices at this share of the boost clock, if the architecture has constants for it.
    fn matrix_unit(&self, operands: Operands, clock: f64) -> Option<Unit<'a>> {
        let stored = f64::from(self.path.precision.element_bytes());
        let (math, operand) = match (operands, self.path.quantisation) {
            (Operands::Quantised, Some(quantisation)) => {
                (self.path.math, quantisation.operand_bytes())
            }
            _ => (self.path.stored_math(), stored),
        };
        Some(Unit {
            efficiency: self.architecture.gemm.get(&math)?,
            peak: FlopsPerSec(self.peak(math).0 * clock),
            bandwidth: self.bandwidth(),
            sm_count: self.sm_count(),
            operand,
            result: stored,
        })
    }

    /// The share of the boost clock that plain products leave to the card. Kernels that have its units idle for
    /// a third of the time and more, attention and grouped products, run at `sustained`: the power limit of
    /// the card does not reach them.
    fn clock(&self) -> f64 {
        self.architecture.clock(self.device)
    }

    /// The peak of the multiprocessors that kernels run on. Fewer of them still stream at the memory's
    /// full rate.
    fn peak(&self, math: MathPath) -> FlopsPerSec {
        let all = f64::from((*self.device.sm_count.get()).max(1));
        let peak = self.device.peak(math).map_or(0.0, |peak| peak.0);
        FlopsPerSec(peak * (f64::from(self.sm_count()) / all))
    }

    fn bandwidth(&self) -> BytesPerSec {
        *self.device.memory_bandwidth.get()
    }

    fn sm_count(&self) -> u32 {
        self.device.sm_count.get().saturating_sub(self.path.communication_multiprocessors).max(1)
    }

    fn gap(&self) -> f64 {
        self.architecture.kernel_gap.get().0
    }
}

/// FlashAttention's share of the peak.
fn attention_fraction(
    flash: &AttentionEfficiency,
    pass: Pass,
    visible: f64,
    head_dim: f64,
    blocks_per_sm: f64,
) -> f64 {
    let fraction = match pass {
        Pass::Forward => flash.forward_fraction.get(),
        Pass::Backward => flash.backward_fraction.get(),
    };
    let saturation = |amount: f64, half: f64| amount / (amount + half);
    fraction
        * saturation(visible, *flash.half_sequence.get())
        * saturation(head_dim, *flash.half_head.get())
        * saturation(blocks_per_sm, *flash.half_blocks.get())
}

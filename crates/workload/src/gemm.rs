//! Time of a matrix product: tiles, waves, and the memory's floor.
//!
//! The result is cut into tiles, one thread block each; the card runs as many at a time as it has
//! SMs, in waves, and the last wave takes as long as a full one (NVIDIA's matrix multiplication
//! guide, "tile and wave quantisation"). A small result of a deep product is cut along the depth, too
//! (split-K), at the price of adding up the parts. The libraries choose among kernels by measured
//! tables; here every tile and cut is tried and the fastest taken.

use motley_hardware::{GemmEfficiency, Tile};
use motley_units::{BytesPerSec, FlopsPerSec};

use crate::operator::{ConvolutionPass, ConvolutionWork, GroupedGemm};

/// Cuts along the depth that are tried.
const CUTS: [u64; 10] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32];

/// A shallower part takes as long as one of this depth, so that it is not worth cutting further.
const SHALLOWEST_PART: f64 = 128.0;

/// A product `batch` times `m x k x n`. Dimensions may be means.
#[derive(Clone, Copy)]
pub(crate) struct Product {
    pub(crate) m: f64,
    pub(crate) n: f64,
    pub(crate) k: f64,
    pub(crate) batch: f64,
}

impl Product {
    /// Whether there is nothing to do.
    fn is_empty(self) -> bool {
        self.m.min(self.n).min(self.k).min(self.batch) <= 0.0
    }
}

/// The card that runs it.
#[derive(Clone, Copy)]
pub(crate) struct Unit<'a> {
    pub(crate) efficiency: &'a GemmEfficiency,
    pub(crate) peak: FlopsPerSec,
    pub(crate) bandwidth: BytesPerSec,
    pub(crate) sm_count: u32,
    /// Bytes of an element of the operands.
    pub(crate) operand: f64,
    /// Bytes of an element of the result.
    pub(crate) result: f64,
}

impl Unit<'_> {
    /// Seconds that so many bytes take.
    pub(crate) fn stream(&self, bytes: f64) -> f64 {
        bytes / (self.bandwidth.0 * self.efficiency.memory_fraction.get())
    }
}

/// Seconds of `product`, launch included.
pub(crate) fn seconds(unit: Unit, product: Product) -> f64 {
    if product.is_empty() {
        return 0.0;
    }
    let Product { m, n, k, batch } = product;
    let bytes = ((m * k + k * n) * unit.operand + m * n * unit.result) * batch;
    unit.efficiency.launch.get().0 + fastest(unit, product, bytes)
}

/// The share of a plain product's rate that grouped ones reach.
///
/// Of SimuMax's grouped products on an A100 PCIe (github.com/MooreThreads/SimuMax, bf16, 20 and 40
/// experts of 616 and 1232 rows) forward passes and input gradients reach a median of 0.90 of what
/// the tiles say. Weight gradients, whose sums are added in fp32, still come out 11 to 20 % fast.
const GROUPED_SHARE: f64 = 0.9;

/// Seconds of one kernel for the products of several experts, launch included. Their tiles share the
/// waves; the depth is not cut.
pub(crate) fn grouped_seconds(unit: Unit, product: GroupedGemm) -> f64 {
    let GroupedGemm { m, n, k, groups, .. } = product;
    let plain = Product { m, n, k, batch: groups as f64 };
    if plain.is_empty() {
        return 0.0;
    }
    let arithmetic =
        tiles(unit).map(|tile| arithmetic(unit, plain, tile, 1)).fold(f64::INFINITY, f64::min);
    let memory = unit.stream(product.bytes(unit.operand, unit.result));
    unit.efficiency.launch.get().0 + (arithmetic / GROUPED_SHARE).max(memory)
}

/// Products by which Winograd's minimal filtering of 2 x 2 outputs at a time replaces the 36 of a
/// window of 3 x 3 (Lavin and Gray 2016, arXiv 1509.09308, section 4.1).
const WINOGRAD: f64 = 16.0;

/// Seconds of a convolution, launch included: an implicit product (Chetlur et al. 2014, arXiv
/// 1410.0759) whose operands are read as they are, not as a matrix; on CUDA cores also Winograd's
/// minimal filtering, if that is faster. `winograd` says whether the arithmetic is CUDA cores'.
pub(crate) fn convolution_seconds(unit: Unit, convolution: ConvolutionWork, winograd: bool) -> f64 {
    let (input, output, window, outputs) = convolution.sizes();
    let groups = f64::from(convolution.groups.max(1));
    let pixels = output / (outputs * groups);
    let (m, n, k) = match convolution.pass {
        ConvolutionPass::Forward => (pixels, outputs, window),
        // Every input meets as many products as the outputs' windows touch it.
        ConvolutionPass::InputGradient => {
            let inputs = f64::from(convolution.input.0) / groups;
            let touched = input / f64::from(convolution.input.0);
            (touched, inputs, pixels * outputs * window / (touched * inputs))
        }
        ConvolutionPass::WeightGradient => (outputs, window, pixels),
    };
    let direct = Product { m, n, k, batch: groups };
    if direct.is_empty() {
        return 0.0;
    }
    let operands = convolution.bytes(unit.operand);
    let busy = fastest(unit, direct, operands);
    let filtered = winograd && convolution.kernel == (3, 3) && convolution.stride == 1;
    let busy = if filtered {
        // Sixteen products over a quarter of the pixels and without the window.
        let (m, n, k) = match convolution.pass {
            ConvolutionPass::Forward | ConvolutionPass::InputGradient => (m / 4.0, n, k / 9.0),
            ConvolutionPass::WeightGradient => (m, n / 9.0, k / 4.0),
        };
        busy.min(fastest(unit, Product { m, n, k, batch: WINOGRAD * groups }, operands))
    } else {
        busy
    };
    unit.efficiency.launch.get().0 + busy
}

/// The tiles that the library chooses from, both ways round.
fn tiles(unit: Unit) -> impl Iterator<Item = Tile> {
    let tiles = unit.efficiency.tiles.get();
    tiles.iter().flat_map(|tile| [*tile, Tile { m: tile.n, n: tile.m, rate: tile.rate }])
}

/// Seconds with the best of all tiles and cuts, launch excluded; `operands` are the bytes of
/// operands and result.
fn fastest(unit: Unit, product: Product, operands: f64) -> f64 {
    let busy = |tile, cut| {
        let memory = unit.stream(operands + parts(product, cut));
        arithmetic(unit, product, tile, cut).max(memory)
    };
    tiles(unit).flat_map(|tile| CUTS.map(|cut| busy(tile, cut))).fold(f64::INFINITY, f64::min)
}

/// Bytes of the parts of a product that is cut along the depth, written and read again in fp32.
fn parts(product: Product, cut: u64) -> f64 {
    let Product { m, n, batch, .. } = product;
    if cut > 1 { 2.0 * 4.0 * m * n * (batch * cut as f64) } else { 0.0 }
}

/// Seconds of the waves of tiles.
fn arithmetic(unit: Unit, product: Product, tile: Tile, cut: u64) -> f64 {
    let Product { m, n, k, batch } = product;
    let part = k / cut as f64;
    let depth = if cut > 1 { part.max(SHALLOWEST_PART) } else { part };
    let efficiency = unit.efficiency;
    let (tile_m, tile_n) = (f64::from(tile.m.max(1)), f64::from(tile.n.max(1)));
    let copies = batch * cut as f64;
    let sm_count = f64::from(unit.sm_count.max(1));
    let waves = ((m / tile_m).ceil() * (n / tile_n).ceil() * copies / sm_count).ceil();
    let block_flops = 2.0 * tile_m * tile_n * (depth + efficiency.half_k.get());
    let rate = unit.peak.0 / sm_count * efficiency.peak_fraction.get() * tile.rate;
    waves * block_flops / rate
}

//! What hops cost and PCI Express reaches: every constant of this crate.

use motley_units::{BytesPerSec, Seconds};

/// One NVLink between two cards. Simulators that were held against DGX machines use 0.5 us
/// (ASTRA-sim, network configuration of DGX-class nodes).
pub(crate) const NVLINK: Seconds = Seconds(0.5e-6);

/// A card's link to the NVSwitches, or back. The two together are 0.8 us; ASTRA-sim's
/// configuration validated on an HGX-H100 has 0.94 us for the whole path with its end points.
pub(crate) const NVSWITCH_LINK: Seconds = Seconds(0.4e-6);

/// One PCIe hop. A copy between cards below one switch, two hops and the software, is measured at
/// 1.8-2.3 us by CUDA's `p2pBandwidthLatencyTest`.
pub(crate) const PCIE: Seconds = Seconds(0.3e-6);

/// A link between sockets; the order of a remote access through QPI or UPI less a local one.
pub(crate) const SOCKET: Seconds = Seconds(0.5e-6);

/// What a copy between two cards pays on top of its hops where it stops in host memory, because
/// peers reach each other through a socket only. `p2pBandwidthLatencyTest` shows 11-20 us with
/// peer access off and about 2 us with it on.
pub(crate) const HOST_BOUNCE: Seconds = Seconds(9e-6);

/// What a message pays on top of its hops where the NIC cannot read the card's memory: NVIDIA's
/// GPUDirect RDMA guide and vendors' comparisons say 3-12 us; the geometric mean.
pub(crate) const NIC_STAGING: Seconds = Seconds(6e-6);

/// Nominal and achieved rate of `lanes` lanes of PCI Express `generation`, one direction.
///
/// Nominal: 15.75 GB/s for 16 lanes of generation 3 (8 GT/s, 128b/130b), doubling each
/// generation. Achieved: 12 GB/s for the same, NCCL's `PCI_BW`, scaled likewise.
pub fn pcie_rate(generation: u8, lanes: u8) -> (BytesPerSec, BytesPerSec) {
    let scale = f64::from(lanes) / 16.0 * (f64::from(generation) - 3.0).exp2();
    (BytesPerSec(15.75e9 * scale), BytesPerSec(12e9 * scale))
}

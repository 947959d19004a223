//! NICs and the technologies of the fabric between nodes.

use motley_units::{BytesPerSec, Seconds};
use serde::{Deserialize, Serialize};

use crate::Cited;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nic {
    /// The catalogue id, `cx6-hdr`.
    pub id: String,
    /// The vendor's name for it.
    pub name: String,
    /// What it speaks.
    pub technology: FabricTechnology,
    /// Nominal rate of the port in one direction.
    pub rate: Cited<BytesPerSec>,
    /// The share of the nominal rate that large messages reach.
    pub achieved: Cited<f64>,
    /// From the NIC's doorbell to the wire, and again at the receiver.
    pub latency: Cited<Seconds>,
    /// Reads and writes GPU memory without a stop in host memory.
    pub gpu_direct: Cited<bool>,
}

/// What a fabric speaks. One NCCL communicator uses one technology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FabricTechnology {
    /// InfiniBand.
    InfiniBand,
    /// RDMA over converged Ethernet.
    RoCE,
    /// TCP over Ethernet, kernel sockets.
    Ethernet,
    /// AWS Elastic Fabric Adapter.
    Efa,
}

impl FabricTechnology {
    /// What one switch adds to the latency of a message. InfiniBand 0.10-0.13 us and RoCE
    /// 0.4-0.6 us per hop (public switch latency classes); kernel TCP spends its time in the
    /// hosts, counted in [`Nic::latency`].
    pub fn switch_latency(self) -> Seconds {
        Seconds(match self {
            Self::InfiniBand => 0.13e-6,
            Self::RoCE | Self::Ethernet | Self::Efa => 0.5e-6,
        })
    }
}

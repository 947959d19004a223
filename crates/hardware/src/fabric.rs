//! NICs and the fabrics between nodes.

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

/// The network of a known cluster.
///
/// The tiers that are written are those at which a job meets less than the whole rate of its ports,
/// or at which messages choose their way; what does not block below or above them is one switch
/// (see the notes of each entry).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fabric {
    /// The catalogue id, `hpn7`.
    pub id: String,
    /// How its owner calls it.
    pub name: String,
    /// What it speaks.
    pub technology: Cited<FabricTechnology>,
    /// How its switches are wired.
    pub shape: Cited<FabricShape>,
    /// Capacity from a leaf switch down to its NICs over its capacity up to the spines, at least 1.
    pub oversubscription: Cited<f64>,
    /// How messages find their spine.
    pub routing: Cited<Routing>,
    /// The id of the NIC that it is built with, whose rate its ports have.
    pub nic: Cited<String>,
    /// What to know about it.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// How messages find their way from leaf to leaf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Routing {
    /// Each pair of NICs by the spine that its addresses hash to, as equal-cost multipath and the
    /// static tables of InfiniBand do: flows may collide on a trunk while others are idle.
    #[default]
    Ecmp,
    /// Packets spread over all spines (InfiniBand adaptive routing, packet spraying, EFA's SRD): a
    /// leaf's trunks carry as one link.
    Adaptive,
}

/// How the switches of a fabric are wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum FabricShape {
    /// Every NIC on one switch that does not block.
    SingleSwitch,
    /// Two tiers: all NICs of a node on one leaf, each leaf with a link to each spine.
    LeafSpine {
        /// Nodes below one leaf; the last leaf may hold fewer.
        nodes_per_leaf: u32,
        /// Spine switches.
        spines: u32,
    },
    /// Two tiers: NIC `i` of every node of a pod on leaf `i` of that pod, so that equal NICs of
    /// the nodes of a pod meet at one switch.
    RailOptimized {
        /// Nodes of one pod; the last pod may hold fewer.
        nodes_per_pod: u32,
        /// Spine switches, which all leaves of all pods share.
        spines: u32,
    },
}

//! What a cluster is built from: resolved catalogue entries and the fabric's shape.

use motley_hardware::{Device, FabricTechnology, Nic, NodeDesign};
use motley_units::BytesPerSec;
use serde::{Deserialize, Serialize};

/// A cluster to be built.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterSpec {
    /// Nodes, in rank order.
    pub groups: Vec<NodeGroup>,
    /// What joins the nodes. Not looked at in a cluster of one node.
    pub fabric: FabricSpec,
}

/// Equal nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeGroup {
    /// How the scenario calls it; for messages only.
    pub name: String,
    /// The node design.
    pub design: NodeDesign,
    /// The card in it, which need not be the design's own.
    pub device: Device,
    /// The NIC in it, which need not be the design's own.
    pub nic: Nic,
    /// How many nodes, at least one.
    pub count: u32,
}

/// The network between nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct FabricSpec {
    /// How its switches are wired.
    pub shape: FabricShape,
    /// What it speaks; every NIC must speak the same.
    pub technology: FabricTechnology,
    /// Nominal rate of a switch port towards a NIC, one direction; `None` where ports are as fast
    /// as the NICs that they serve.
    pub port: Option<BytesPerSec>,
    /// Capacity from a leaf switch down to its NICs over its capacity up to the spines, at
    /// least 1.
    pub oversubscription: f64,
    /// How messages find their spine.
    pub routing: Routing,
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

//! What a cluster is built from: resolved catalogue entries and the fabric's shape.

use motley_hardware::{Device, FabricShape, FabricTechnology, Nic, NodeDesign, Routing};
use motley_units::BytesPerSec;

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

impl NodeGroup {
    /// Cards of all its nodes.
    pub fn gpus(&self) -> u32 {
        self.count * self.design.gpus
    }
}

impl ClusterSpec {
    /// Cards of all groups.
    pub fn gpus(&self) -> u32 {
        self.groups.iter().map(NodeGroup::gpus).sum()
    }
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

//! The machine in a form to be read.

use motley_hardware::{FabricShape, FabricTechnology, Routing};
use motley_topology::Cluster;
use serde::Serialize;

/// What the cluster is made of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClusterSummary {
    /// All nodes.
    pub node_count: u32,
    /// All cards.
    pub card_count: u32,
    /// Equal nodes.
    pub groups: Vec<NodeGroupSummary>,
    /// What joins the nodes; none in a cluster of one node.
    pub fabric: Option<FabricSummary>,
}

/// Equal nodes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeGroupSummary {
    /// How the scenario calls them.
    pub name: String,
    /// The catalogue id of their design.
    pub design: String,
    /// How many.
    pub node_count: u32,
    /// The catalogue id of their cards.
    pub card: String,
    /// The vendor's name for it.
    pub card_name: String,
    /// Cards of all of them.
    pub card_count: u32,
    /// The catalogue id of their NICs.
    pub nic: String,
    /// NICs of one of them.
    pub nic_count: u32,
}

/// The network between nodes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FabricSummary {
    /// `InfiniBand`, `RoCE`, `Ethernet` or `EFA`.
    pub technology: &'static str,
    /// `single switch`, `leaf-spine` or `rail-optimized`.
    pub shape: &'static str,
    /// Nominal rate of a port towards the fastest NIC.
    pub port_bytes_per_s: f64,
    /// Capacity down to NICs over capacity up to the spines.
    pub oversubscription_ratio: f64,
    /// How messages find their spine: `ecmp` or `adaptive`. Without meaning on a single switch.
    pub routing: &'static str,
}

impl ClusterSummary {
    pub(crate) fn new(cluster: &Cluster) -> Self {
        let spec = cluster.spec();
        let groups = spec.groups.iter().map(|group| NodeGroupSummary {
            name: group.name.clone(),
            design: group.design.id.clone(),
            node_count: group.count,
            card: group.device.id.clone(),
            card_name: group.device.name.clone(),
            card_count: group.gpus(),
            nic: group.nic.id.clone(),
            nic_count: group.design.pcie.get().nics(),
        });
        let fastest = spec.groups.iter().map(|group| group.nic.rate.get().0).fold(0.0, f64::max);
        let fabric = (cluster.node_count() > 1).then(|| FabricSummary {
            technology: match spec.fabric.technology {
                FabricTechnology::InfiniBand => "InfiniBand",
                FabricTechnology::RoCE => "RoCE",
                FabricTechnology::Ethernet => "Ethernet",
                FabricTechnology::Efa => "EFA",
            },
            shape: match spec.fabric.shape {
                FabricShape::SingleSwitch => "single switch",
                FabricShape::LeafSpine { .. } => "leaf-spine",
                FabricShape::RailOptimized { .. } => "rail-optimized",
            },
            port_bytes_per_s: spec.fabric.port.map_or(fastest, |port| port.0.min(fastest)),
            oversubscription_ratio: spec.fabric.oversubscription,
            routing: match spec.fabric.routing {
                Routing::Ecmp => "ecmp",
                Routing::Adaptive => "adaptive",
            },
        });
        Self {
            node_count: cluster.node_count(),
            card_count: cluster.gpu_count(),
            groups: groups.collect(),
            fabric,
        }
    }
}

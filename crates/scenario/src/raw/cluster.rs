//! The machines, by catalogue id.

use motley_hardware::FabricTechnology;
use motley_topology::{FabricShape, Routing};
use motley_units::BytesPerSec;
use serde::{Deserialize, Serialize};

/// Nodes and what joins them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Cluster")]
pub struct RawCluster {
    /// Equal nodes each; ranks follow this order.
    pub groups: Vec<RawGroup>,
    /// The network between nodes; may be left out for a single node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fabric: Option<RawFabric>,
}

/// Equal nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Group")]
pub struct RawGroup {
    /// How messages and reports call it; the design unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The catalogue id of the node design.
    pub design: String,
    /// How many nodes.
    pub count: u32,
    /// The catalogue id of the card; the design's own unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The catalogue id of the NIC; the design's own unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nic: Option<String>,
}

/// The network between nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Fabric")]
pub struct RawFabric {
    /// What it speaks.
    pub technology: FabricTechnology,
    /// How its switches are wired; one switch that does not block, unless given.
    #[serde(default = "single_switch")]
    pub shape: FabricShape,
    /// The rate of a switch port; that of the NICs unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<BytesPerSec>,
    /// Downward over upward capacity of a leaf switch; 1 unless given.
    #[serde(default = "not_oversubscribed")]
    pub oversubscription: f64,
    /// How messages find their spine; `Adaptive` on EFA, else `Ecmp`, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing: Option<Routing>,
}

fn single_switch() -> FabricShape {
    FabricShape::SingleSwitch
}

fn not_oversubscribed() -> f64 {
    1.0
}

//! The machines, by catalogue id.

use motley_hardware::Scale;
use serde::{Deserialize, Serialize};

use super::RawFabric;

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
    /// How many times what its vendor prints the card has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
}

//! The cluster as a graph: cards, NVLinks, PCIe switches, sockets, NICs, fabric switches, and the
//! directed links between them, each with a capacity and a latency; and the routes that traffic
//! between two cards takes.
//!
//! A [`ClusterSpec`] names resolved catalogue entries; [`Cluster::build`] checks that they fit
//! together and lays the graph out. Nodes of one group are copies of one template: the graph of
//! the node and its routes are computed once, and a link of node `i` is the template's link moved
//! by the node's offset. A cluster of a million cards therefore costs no more memory than its
//! groups and leaf switches do.
//!
//! This crate does not know what the traffic is: which routes a collective uses, and what of the
//! shared capacity each transfer gets, is decided elsewhere.

mod cluster;
mod clusters;
mod component;
mod dot;
mod error;
mod fabric;
mod hops;
mod link;
mod plane;
mod route;
mod routing;
mod spec;
mod template;
mod wiring;

pub use cluster::Cluster;
pub use clusters::Clusters;
pub use component::{Component, GpuId, NodeId};
pub use dot::{DotOptions, dot};
pub use error::{RouteError, TopologyError};
pub use hops::pcie_rate;
pub use link::{Link, LinkId, LinkKind};
pub use route::{PathClass, Route};
pub use spec::{ClusterSpec, FabricSpec, NodeGroup};

//! Clusters of built-in designs.
#![allow(dead_code, reason = "each test file uses its part")]

use motley_hardware::{Catalog, FabricShape, FabricTechnology, Routing};
use motley_topology::{
    Cluster, ClusterSpec, Component, FabricSpec, GpuId, LinkId, NodeGroup, Route, TopologyError,
};

pub(crate) fn group(design: &str, count: u32) -> NodeGroup {
    let catalog = Catalog::builtin();
    let design = catalog.node(design).expect(design).clone();
    let device = catalog.device(&design.device).expect("the design's card").clone();
    let nic = catalog.nic(&design.nic).expect("the design's NIC").clone();
    NodeGroup { name: format!("{count} {}", design.id), design, device, nic, count }
}

/// A group with another NIC than its design's.
pub(crate) fn group_with(design: &str, count: u32, nic: &str) -> NodeGroup {
    let nic = Catalog::builtin().nic(nic).expect(nic).clone();
    NodeGroup { nic, ..group(design, count) }
}

pub(crate) fn spec(groups: Vec<NodeGroup>, shape: FabricShape) -> ClusterSpec {
    let technology = groups.first().map_or(FabricTechnology::InfiniBand, |g| g.nic.technology);
    let fabric =
        FabricSpec { shape, technology, port: None, oversubscription: 1.0, routing: Routing::Ecmp };
    ClusterSpec { groups, fabric }
}

pub(crate) fn try_cluster(
    groups: Vec<NodeGroup>,
    shape: FabricShape,
) -> Result<Cluster, TopologyError> {
    Cluster::build(spec(groups, shape))
}

pub(crate) fn cluster(groups: Vec<NodeGroup>, shape: FabricShape) -> Cluster {
    try_cluster(groups, shape).expect("a cluster that fits")
}

pub(crate) fn node(design: &str) -> Cluster {
    cluster(vec![group(design, 1)], FabricShape::SingleSwitch)
}

pub(crate) fn designs() -> impl Iterator<Item = &'static str> {
    Catalog::builtin().nodes.keys().map(String::as_str)
}

pub(crate) fn place(cluster: &Cluster, gpu: GpuId) -> Component {
    Component::Gpu { node: cluster.node_of(gpu), local: cluster.local_index(gpu) }
}

/// The components that a route visits, the start first; checks that its links join.
pub(crate) fn visits(cluster: &Cluster, from: GpuId, to: GpuId, route: &Route) -> Vec<Component> {
    let mut visited = vec![place(cluster, from)];
    for &id in &route.links {
        let link = cluster.link(id);
        assert_eq!(Some(&link.from), visited.last(), "{} -> {}", from.0, to.0);
        visited.push(link.to);
    }
    assert_eq!(visited.last(), Some(&place(cluster, to)));
    visited
}

pub(crate) fn names(cluster: &Cluster, links: &[LinkId]) -> Vec<String> {
    links.iter().map(|&link| cluster.link_name(link)).collect()
}

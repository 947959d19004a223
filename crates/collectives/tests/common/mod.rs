//! Clusters of built-in designs and communicators on them.
#![allow(dead_code, reason = "each test file uses its part")]

use motley_collectives::{CollectiveKind, Group};
use motley_hardware::{Catalog, FabricShape, Routing};
use motley_topology::{Cluster, ClusterSpec, FabricSpec, GpuId, NodeGroup, NodeId};

pub(crate) fn group(design: &str, count: u32) -> NodeGroup {
    let catalog = Catalog::builtin();
    let design = catalog.node(design).expect(design).clone();
    let device = catalog.device(&design.device).expect("the design's card").clone();
    let nic = catalog.nic(&design.nic).expect("the design's NIC").clone();
    NodeGroup { name: design.id.clone(), design, device, nic, count }
}

pub(crate) fn cluster(groups: Vec<NodeGroup>, shape: FabricShape) -> Cluster {
    let technology = groups[0].nic.technology;
    let fabric =
        FabricSpec { shape, technology, port: None, oversubscription: 1.0, routing: Routing::Ecmp };
    Cluster::build(ClusterSpec { groups, fabric }).expect("a cluster that fits")
}

/// On one switch that does not block.
pub(crate) fn nodes(designs: &[(&str, u32)]) -> Cluster {
    let groups = designs.iter().map(|&(design, count)| group(design, count)).collect();
    cluster(groups, FabricShape::SingleSwitch)
}

pub(crate) fn cards(numbers: impl IntoIterator<Item = u32>) -> Vec<GpuId> {
    numbers.into_iter().map(GpuId).collect()
}

/// The first `per_node` cards of each node.
pub(crate) fn members(cluster: &Cluster, per_node: u32) -> Vec<GpuId> {
    let nodes = (0..cluster.node_count()).map(NodeId);
    nodes.flat_map(|node| cards(cluster.node_gpus(node).take(per_node as usize))).collect()
}

pub(crate) fn communicator(cluster: &Cluster, numbers: impl IntoIterator<Item = u32>) -> Group {
    Group::new(cluster, &cards(numbers)).expect("members that can reach each other")
}

pub(crate) fn whole(cluster: &Cluster) -> Group {
    communicator(cluster, 0..cluster.gpu_count())
}

pub(crate) const MIB: f64 = 1_048_576.0;

/// The communicator of all cards for this kind alone.
pub(crate) fn exchanging(cluster: &Cluster, kind: CollectiveKind) -> Group {
    let all: Vec<GpuId> = cluster.gpus().collect();
    Group::of_kinds(cluster, &all, [kind]).expect("members that can reach each other")
}

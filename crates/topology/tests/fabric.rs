//! Between nodes: numbering, leaves, spines, rails, and what does not fit.

mod common;

use std::collections::BTreeSet;

use common::{cluster, designs, group, group_with, names, spec, try_cluster, visits};
use motley_hardware::{Cited, FabricShape, FabricTechnology, Routing};
use motley_topology::{
    Cluster, Component, DotOptions, GpuId, LinkId, LinkKind, NodeId, PathClass, RouteError, dot,
};
use motley_units::BytesPerSec;
use proptest::prelude::*;

const SHAPES: [FabricShape; 3] = [
    FabricShape::SingleSwitch,
    FabricShape::LeafSpine { nodes_per_leaf: 2, spines: 3 },
    FabricShape::RailOptimized { nodes_per_pod: 2, spines: 3 },
];

fn spines(visited: &[Component]) -> Vec<u32> {
    let spine = |c: &Component| match c {
        Component::Spine { index } => Some(*index),
        _ => None,
    };
    visited.iter().filter_map(spine).collect()
}

#[test]
fn cards_are_numbered_group_by_group() {
    let cluster = cluster(
        vec![group("dgx1-v100", 2), group("dgx2", 1), group("dgx1-p100", 1)],
        FabricShape::SingleSwitch,
    );
    assert_eq!((cluster.node_count(), cluster.gpu_count()), (4, 40));
    for gpu in cluster.gpus() {
        let node = cluster.node_of(gpu);
        let gpus = cluster.node_gpus(node);
        assert!(gpus.contains(&gpu.0));
        assert_eq!(cluster.local_index(gpu), gpu.0 - gpus.start);
        assert_eq!(cluster.group_of(gpu), cluster.group_of_node(node));
    }
    assert_eq!(cluster.node_of(GpuId(31)), NodeId(2));
    assert_eq!(cluster.device(GpuId(31)).id, "v100-sxm3-32");
    assert_eq!(cluster.design(NodeId(3)).id, "dgx1-p100");
}

/// Two nodes of every design on every fabric: all routes join, cross one fabric, end at the NICs
/// that the cards use.
#[test]
fn routes_between_nodes_of_every_design() {
    for design in designs() {
        for shape in SHAPES {
            let cluster = cluster(vec![group(design, 3)], shape);
            let gpus = cluster.node_gpus(NodeId(0)).len() as u32;
            for a in 0..gpus {
                for b in [gpus, 2 * gpus - 1, 2 * gpus, 3 * gpus - 1] {
                    let (from, to) = (GpuId(a), GpuId(b));
                    let route = cluster.route(from, to).unwrap();
                    let visited = visits(&cluster, from, to, &route);
                    assert_eq!(route.class, PathClass::Net);
                    let distinct: BTreeSet<_> = visited.iter().collect();
                    let staged = !cluster.nic(NodeId(0)).gpu_direct.get();
                    assert!(staged || distinct.len() == visited.len(), "no loop: {visited:?}");
                    let nic = Component::Nic {
                        node: cluster.node_of(to),
                        index: cluster.nic_of(to).unwrap(),
                    };
                    assert!(visited.contains(&nic), "{visited:?}");
                }
            }
        }
    }
}

#[test]
fn a_nic_without_access_to_the_card_goes_through_the_socket() {
    let mut staged = group("dgx-a100", 2);
    staged.nic.gpu_direct = Cited::Assumed(false, "a test".to_owned());
    let direct = cluster(vec![group("dgx-a100", 2)], FabricShape::SingleSwitch);
    let staged = cluster(vec![staged], FabricShape::SingleSwitch);
    let sockets = |cluster: &Cluster| {
        let route = cluster.route(GpuId(0), GpuId(8)).unwrap();
        let visited = visits(cluster, GpuId(0), GpuId(8), &route);
        (visited.iter().filter(|c| matches!(c, Component::Socket { .. })).count(), route.latency)
    };
    let ((none, fast), (two, slow)) = (sockets(&direct), sockets(&staged));
    assert_eq!((none, two), (0, 2));
    assert!(slow > fast);
}

/// Between vendors everything passes a socket on both sides; among cards of one vendor nothing does.
#[test]
fn what_crosses_between_vendors_is_staged_on_both_sides() {
    let mut foreign = group("dgx-a100", 1);
    foreign.device.vendor = motley_hardware::Vendor::Amd;
    let cluster = cluster(vec![group("dgx-a100", 2), foreign], FabricShape::SingleSwitch);
    let sockets = |from: u32, to: u32| {
        let route = cluster.route(GpuId(from), GpuId(to)).unwrap();
        let visited = visits(&cluster, GpuId(from), GpuId(to), &route);
        visited.iter().filter(|c| matches!(c, Component::Socket { .. })).count()
    };
    assert_eq!(sockets(0, 8), 0);
    assert_eq!(sockets(0, 16), 2);
    assert_eq!(sockets(16, 0), 2);
    let latency = |to: u32| cluster.route(GpuId(0), GpuId(to)).unwrap().latency.0;
    assert!(latency(16) > latency(8));
}

fn uplinks(cluster: &Cluster, leaf: u32) -> Vec<f64> {
    cluster
        .links()
        .filter(|link| link.kind == LinkKind::Trunk && link.from == Component::Leaf { index: leaf })
        .map(|link| link.capacity.0)
        .collect()
}

fn downlinks(cluster: &Cluster, leaf: u32) -> f64 {
    cluster
        .links()
        .filter(|link| link.kind == LinkKind::Port && link.from == Component::Leaf { index: leaf })
        .map(|link| link.capacity.0)
        .sum()
}

fn check_oversubscription(shape: FabricShape, leaves: u32, spine_count: usize, ratio: f64) {
    let mut spec = spec(vec![group("dgx-a100", 4), group_with("dgx1-v100", 3, "edr")], shape);
    spec.fabric.oversubscription = ratio;
    let cluster = Cluster::build(spec).expect("a cluster that fits");
    for leaf in 0..leaves {
        let up = uplinks(&cluster, leaf);
        assert_eq!(up.len(), spine_count);
        let expected = downlinks(&cluster, leaf) / ratio / spine_count as f64;
        for capacity in up {
            assert!((capacity / expected - 1.0).abs() < 1e-12, "leaf {leaf}: {capacity}");
        }
    }
    assert!(uplinks(&cluster, leaves).is_empty());
}

#[test]
fn uplinks_share_the_ports_over_the_ratio() {
    check_oversubscription(FabricShape::LeafSpine { nodes_per_leaf: 2, spines: 3 }, 4, 3, 1.0);
    check_oversubscription(FabricShape::LeafSpine { nodes_per_leaf: 3, spines: 2 }, 3, 2, 4.0);
    // Three pods of 3, 3 and 1 node; the last has DGX-1 only, with 4 NICs.
    let rails = FabricShape::RailOptimized { nodes_per_pod: 3, spines: 5 };
    check_oversubscription(rails, 8 + 8 + 4, 5, 2.0);
}

/// With adaptive routing a leaf has one trunk as wide as all of its uplinks: whatever its NICs send
/// elsewhere meets there, and nowhere else.
#[test]
fn adaptive_routing_makes_one_trunk_of_all() {
    let shape = FabricShape::LeafSpine { nodes_per_leaf: 2, spines: 3 };
    let mut spec = spec(vec![group("dgx-a100", 4)], shape);
    spec.fabric.oversubscription = 2.0;
    let spread = Cluster::build(spec.clone()).expect("a cluster that fits");
    spec.fabric.routing = Routing::Adaptive;
    let cluster = Cluster::build(spec).expect("a cluster that fits");
    for leaf in 0..2 {
        let total: f64 = uplinks(&spread, leaf).into_iter().sum();
        let [up] = uplinks(&cluster, leaf)[..] else { panic!("one trunk") };
        assert!((up / total - 1.0).abs() < 1e-12);
    }
    let trunks = |from: u32, to: u32| -> Vec<LinkId> {
        let route = cluster.route(GpuId(from), GpuId(to)).expect("a route");
        let trunk = |link: &LinkId| cluster.link(*link).kind == LinkKind::Trunk;
        route.links.into_iter().filter(trunk).collect()
    };
    let first = trunks(0, 16);
    assert_eq!(first.len(), 2);
    for (from, to) in [(1, 17), (9, 30), (15, 24)] {
        assert_eq!(trunks(from, to), first, "{from} to {to}");
    }
    assert!(trunks(0, 9).is_empty());
}

fn check_ports(port: Option<f64>, nominal: [f64; 2]) {
    let groups = vec![group("dgx-a100", 1), group("dgx1-v100", 1)];
    let mut spec = spec(groups, FabricShape::SingleSwitch);
    spec.fabric.port = port.map(BytesPerSec);
    let cluster = Cluster::build(spec).expect("a cluster that fits");
    for (node, nominal) in (0..).map(NodeId).zip(nominal) {
        let is_port = |link: &motley_topology::Link| {
            link.kind == LinkKind::Port && [link.from.node(), link.to.node()].contains(&Some(node))
        };
        let achieved = cluster.nic(node).achieved.get();
        for link in cluster.links().filter(is_port) {
            assert_eq!((link.nominal.0, link.capacity.0), (nominal, nominal * achieved));
        }
    }
}

#[test]
fn every_group_has_its_own_rate_and_the_port_caps_it() {
    check_ports(None, [25e9, 12.5e9]);
    check_ports(Some(12.5e9), [12.5e9, 12.5e9]);
    check_ports(Some(5e9), [5e9, 5e9]);
}

#[test]
fn spines_are_chosen_by_the_two_ends_alone() {
    let shape = FabricShape::LeafSpine { nodes_per_leaf: 1, spines: 4 };
    let (one, two) =
        (cluster(vec![group("dgx-a100", 8)], shape), cluster(vec![group("dgx-a100", 8)], shape));
    let mut used = BTreeSet::new();
    for a in 0..64 {
        for b in (0..64).filter(|b| b / 8 != a / 8) {
            let (from, to) = (GpuId(a), GpuId(b));
            let route = one.route(from, to).unwrap();
            assert_eq!(route, two.route(from, to).unwrap());
            let spine = spines(&visits(&one, from, to, &route));
            assert_eq!(spine.len(), 1);
            used.extend(spine);
        }
    }
    assert_eq!(used.len(), 4, "all spines carry something");
}

#[test]
fn below_one_leaf_no_spine_is_crossed() {
    let cluster = cluster(
        vec![group("dgx-a100", 4)],
        FabricShape::LeafSpine { nodes_per_leaf: 2, spines: 2 },
    );
    let crossed = |a, b| {
        let route = cluster.route(GpuId(a), GpuId(b)).unwrap();
        spines(&visits(&cluster, GpuId(a), GpuId(b), &route)).len()
    };
    assert_eq!((crossed(0, 8), crossed(0, 16), crossed(23, 24)), (0, 1, 0));
}

#[test]
fn rails_are_reached_over_nvlink() {
    let rails = FabricShape::RailOptimized { nodes_per_pod: 2, spines: 2 };
    let cluster = cluster(vec![group("dgx-a100", 4)], rails);
    let on_rail = cluster.route(GpuId(3), GpuId(11)).unwrap();
    let across = cluster.route(GpuId(3), GpuId(13)).unwrap();
    let far = cluster.route(GpuId(3), GpuId(16 + 5)).unwrap();
    let visited = |to, route| visits(&cluster, GpuId(3), GpuId(to), route);
    assert!(spines(&visited(11, &on_rail)).is_empty());
    let over = visited(13, &across);
    assert!(spines(&over).is_empty(), "{over:?}");
    let node = NodeId(0);
    assert!(over.contains(&Component::Gpu { node, local: 5 }), "through the rail's card: {over:?}");
    assert!(over.contains(&Component::Nic { node, index: 5 }));
    assert_eq!(spines(&visited(21, &far)).len(), 1);
    assert!(
        names(&cluster, &across.links).contains(&"node 0 (dgx-a100) NIC 5 -> leaf 5".to_owned()),
        "{:?}",
        names(&cluster, &across.links)
    );
}

#[test]
fn without_nvlink_another_rail_is_across_a_spine() {
    let rails = FabricShape::RailOptimized { nodes_per_pod: 2, spines: 2 };
    let mut plain = group("dgx-a100", 2);
    plain.design.scale_up = Cited::Assumed(motley_hardware::ScaleUp::None, "a test".to_owned());
    let cluster = cluster(vec![plain], rails);
    let route = cluster.route(GpuId(3), GpuId(13)).unwrap();
    let visited = visits(&cluster, GpuId(3), GpuId(13), &route);
    assert_eq!(spines(&visited).len(), 1);
    assert!(visited.contains(&Component::Nic { node: NodeId(0), index: 3 }));
}

#[test]
fn a_card_without_nic_cannot_leave_but_can_stay() {
    let mut island = group("dgx1-v100", 1);
    let mut layout = island.design.pcie.get().clone();
    for switch in &mut layout.switches {
        switch.nics.clear();
    }
    island.design.pcie = Cited::Assumed(layout, "a test".to_owned());
    let cluster = cluster(vec![group("dgx1-v100", 1), island], FabricShape::SingleSwitch);
    let refused = RouteError::NoNic { gpu: 9, node: 1, design: "dgx1-v100".to_owned() };
    assert_eq!(cluster.route(GpuId(0), GpuId(9)), Err(refused.clone()));
    assert_eq!(cluster.route(GpuId(9), GpuId(0)), Err(refused));
    assert!(cluster.route(GpuId(8), GpuId(9)).is_ok());
}

fn check_refused(edit: impl FnOnce(&mut motley_topology::ClusterSpec), expected: &str) {
    let shape = FabricShape::LeafSpine { nodes_per_leaf: 1, spines: 1 };
    let mut spec = spec(vec![group("dgx-a100", 2)], shape);
    edit(&mut spec);
    let message = Cluster::build(spec).expect_err("a flaw").to_string();
    assert!(message.contains(expected), "{message}");
}

#[test]
fn fabrics_that_cannot_be_wired_are_refused() {
    check_refused(|s| s.groups.clear(), "no nodes");
    check_refused(|s| s.fabric.oversubscription = 0.5, "oversubscription is 0.5");
    check_refused(|s| s.fabric.oversubscription = f64::NAN, "oversubscription is NaN");
    check_refused(|s| s.fabric.port = Some(BytesPerSec(0.0)), "port rate");
    check_refused(
        |s| s.fabric.technology = FabricTechnology::RoCE,
        "speaks InfiniBand, the fabric RoCE",
    );
    check_refused(|s| s.groups.push(group("p3.16xlarge", 1)), "`eth-25` speaks Ethernet");
    let spines = |shape| move |s: &mut motley_topology::ClusterSpec| s.fabric.shape = shape;
    check_refused(
        spines(FabricShape::LeafSpine { nodes_per_leaf: 0, spines: 1 }),
        "nodes_per_leaf is 0",
    );
    check_refused(spines(FabricShape::LeafSpine { nodes_per_leaf: 1, spines: 0 }), "spines is 0");
    check_refused(
        spines(FabricShape::RailOptimized { nodes_per_pod: 0, spines: 1 }),
        "nodes_per_pod is 0",
    );
    check_refused(|s| s.groups[0].count = u32::MAX, "more than 4,294,967,295");
}

#[test]
fn one_node_needs_no_fabric() {
    let mut alone = spec(vec![group("dgx-a100", 1)], FabricShape::SingleSwitch);
    alone.fabric.technology = FabricTechnology::RoCE;
    alone.fabric.oversubscription = 0.0;
    let cluster = Cluster::build(alone).unwrap();
    assert!(cluster.links().all(|link| !matches!(link.kind, LinkKind::Port | LinkKind::Trunk)));
}

#[test]
fn a_million_cards() {
    let shape = FabricShape::RailOptimized { nodes_per_pod: 128, spines: 64 };
    let cluster = cluster(vec![group("dgx-h100", 131_072)], shape);
    assert_eq!(cluster.gpu_count(), 1_048_576);
    let (from, to) = (GpuId(5), GpuId(1_048_570));
    let route = cluster.route(from, to).unwrap();
    visits(&cluster, from, to, &route);
    let last = LinkId(cluster.link_count() - 1);
    assert_eq!(cluster.link(last).kind, LinkKind::Trunk);
}

#[test]
fn drawings_show_every_node_or_a_note() {
    let cluster = cluster(vec![group("dgx1-v100", 3), group("dgx-a100", 64)], SHAPES[1]);
    let all = dot(&cluster, DotOptions::default());
    assert_eq!(all.matches("subgraph").count(), 67);
    assert_eq!(all.matches(" -- ").count(), cluster.link_count() as usize / 2);
    let short = dot(&cluster, DotOptions { nodes_per_group: Some(2) });
    assert_eq!(short.matches("subgraph").count(), 4);
    assert!(short.contains("… 1 more") && short.contains("… 62 more"), "{short}");
}

proptest! {
    /// Mixed groups on any fabric: every link is found under its own number, its ends are in the
    /// graph, routes join, and the same cluster is built twice the same.
    #[test]
    fn any_mix_holds_together(
        counts in proptest::collection::vec((0usize..4, 1u32..4), 1..4),
        shape in 0usize..3,
        pairs in proptest::collection::vec((0u32..1000, 0u32..1000), 8),
    ) {
        let kinds = ["dgx1-p100", "dgx1-v100", "dgx-a100", "pcie8-v100"];
        let groups: Vec<_> = counts.iter().map(|&(kind, count)| group(kinds[kind], count)).collect();
        let cluster = try_cluster(groups.clone(), SHAPES[shape]).unwrap();
        let again = try_cluster(groups, SHAPES[shape]).unwrap();
        let graph = cluster.graph();
        prop_assert_eq!(graph.edge_count(), cluster.link_count() as usize);
        let mut ends = BTreeSet::new();
        for link in cluster.links() {
            prop_assert!(ends.insert((link.from, link.to)), "one link for each pair: {:?}", link);
        }
        for (a, b) in pairs {
            let (a, b) = (GpuId(a % cluster.gpu_count()), GpuId(b % cluster.gpu_count()));
            let route = cluster.route(a, b).unwrap();
            visits(&cluster, a, b, &route);
            prop_assert_eq!(&route, &again.route(a, b).unwrap());
            let hops: f64 = route.links.iter().map(|&l| cluster.link(l).latency.0).sum();
            prop_assert!(route.latency.0 >= hops - 1e-12);
        }
    }
}

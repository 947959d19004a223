//! Which links communicators cross, and how often.

#![expect(clippy::float_cmp, reason = "counts, and the same arithmetic on both sides")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{MIB, cards, cluster, communicator, group, members, nodes, whole};
use motley_collectives::{Algorithm, CollectiveKind, Group, Layouts, Protocol, transfer};
use motley_hardware::{Catalog, Cited, FabricShape};
use motley_job::Footprint;
use motley_topology::{Cluster, Component, GpuId, LinkId, LinkKind, NodeId, PathClass, RouteError};

/// `rings` link-disjoint rings, each at the rate of one NVLink of the card.
fn check_rings(design: &str, numbers: impl IntoIterator<Item = u32>, rings: u32) {
    let cluster = nodes(&[(design, 1)]);
    let group = communicator(&cluster, numbers);
    let nvlink = cluster.device(GpuId(0)).nvlink.as_ref().expect("NVLink");
    let expected = f64::from(rings) * nvlink.per_link.get().0 * nvlink.achieved.get();
    let found = group.ring_bandwidth();
    assert!((found / expected - 1.0).abs() < 1e-9, "{design}: {found} != {expected}");
}

/// As many as NCCL finds: 6 on a DGX-1 of V100, 4 of P100; on switches all links, 12 on A100, 8
/// on A800. The smaller sets of a DGX-1 are those whose all-reduce vTrain's tables have at 22.6,
/// 45, 85, 37, 46, 87 and 134 GB/s for the first 2 to 8 cards: 1, 2, 4, 2, 2, 4 and 6 rings.
#[test]
fn rings_use_all_the_links_that_the_members_have() {
    check_rings("dgx1-v100", 0..8, 6);
    check_rings("dgx1-p100", 0..8, 4);
    check_rings("dgx-a100", 0..8, 12);
    check_rings("hgx-a800", 0..8, 8);
    check_rings("dgx-h100", 0..8, 18);
    check_rings("dgx2", 0..16, 6);
    for (size, rings) in (2..=8).zip([1, 2, 4, 2, 2, 4, 6]) {
        check_rings("dgx1-v100", 0..size, rings);
    }
    check_rings("dgx1-v100", [0, 3], 2);
    check_rings("dgx1-v100", [4, 6, 5, 7], 4);
    check_rings("dgx-a100", [6, 1], 12);
}

#[test]
fn without_nvlink_the_slowest_stretch_binds() {
    let bandwidth = |numbers: std::ops::Range<u32>| {
        communicator(&nodes(&[("pcie8-v100", 1)]), numbers).ring_bandwidth()
    };
    let socket = Catalog::builtin().node("pcie8-v100").unwrap().pcie.get().socket_link.0;
    assert_eq!(bandwidth(0..2), 12e9);
    assert_eq!(bandwidth(0..8), socket.min(12e9));
}

/// Up and down between a card and the switches once each.
#[test]
fn a_ring_over_switches_crosses_each_card_once() {
    let cluster = nodes(&[("dgx-a100", 1)]);
    let group = communicator(&cluster, [5, 2, 7]);
    let crossed: Vec<f64> = group.footprints()[0].links.iter().map(|&(_, n)| n).collect();
    assert_eq!(crossed, vec![1.0; 6]);
}

fn port(cluster: &Cluster, footprint: &Footprint, node: NodeId, nic: u32) -> f64 {
    let from = Component::Nic { node, index: nic };
    let out = |id: LinkId| {
        let link = cluster.link(id);
        link.kind == LinkKind::Port && link.from == from
    };
    footprint.links.iter().filter(|&&(id, _)| out(LinkId(id.0))).map(|&(_, n)| n).sum()
}

/// Eight gradient rings of tensor-parallel ranks leave through one NIC: each crosses it, so that
/// together they have it eight times.
#[test]
fn groups_of_one_card_a_node_share_the_nic() {
    let cluster = nodes(&[("p3.16xlarge", 2)]);
    let total: f64 = (0..8)
        .map(|i| communicator(&cluster, [i, 8 + i]))
        .map(|group| port(&cluster, &group.footprints()[0], NodeId(0), 0))
        .sum();
    assert_eq!(total, 8.0);
    let alone = whole(&cluster);
    assert_eq!(port(&cluster, &alone.footprints()[0], NodeId(0), 0), 1.0);
}

/// Every NIC of every node carries as many channels out as any other.
#[test]
fn channels_spread_over_the_nics() {
    for (design, nics) in [("dgx-a100", 8), ("dgx-h100", 8), ("dgx1-v100", 4), ("dgx1-p100", 4)] {
        for shape in
            [FabricShape::SingleSwitch, FabricShape::RailOptimized { nodes_per_pod: 4, spines: 4 }]
        {
            let cluster = cluster(vec![group(design, 3)], shape);
            let group = whole(&cluster);
            for node in (0..3).map(NodeId) {
                for nic in 0..nics {
                    let ring = port(&cluster, &group.footprints()[0], node, nic);
                    assert_eq!(ring, 1.0, "{design} {shape:?} {node:?} NIC {nic}");
                }
            }
        }
    }
}

/// Rings over rails stay on them: NVLink to the neighbour on the rail, no spine inside a pod.
#[test]
fn rings_keep_to_their_rails() {
    let rails = FabricShape::RailOptimized { nodes_per_pod: 4, spines: 4 };
    let cluster = cluster(vec![group("dgx-h100", 4)], rails);
    let group = whole(&cluster);
    let kinds: BTreeSet<LinkKind> = group.footprints()[0]
        .links
        .iter()
        .map(|&(id, _)| cluster.link(LinkId(id.0)).kind)
        .collect();
    assert!(!kinds.contains(&LinkKind::Trunk), "{kinds:?}");
}

/// In a two-node tree each half of the message crosses each way once: half as much as in a ring
/// of many ranks.
#[test]
fn a_tree_of_two_nodes_moves_the_message_once() {
    let cluster = nodes(&[("dgx-a100", 2)]);
    let group = whole(&cluster);
    let bytes = 64.0 * MIB;
    let moved = |algorithm, footprint: usize| {
        let call =
            group.call_with(CollectiveKind::AllReduce, bytes, algorithm, Protocol::Simple).unwrap();
        assert_eq!(usize::from(call.call.footprint), footprint);
        let footprint = &group.footprints()[footprint];
        (0..8).map(|nic| port(&cluster, footprint, NodeId(1), nic)).sum::<f64>() * call.call.bytes
    };
    assert_eq!(moved(Algorithm::Tree, 1), bytes);
    assert_eq!(moved(Algorithm::Ring, 0), 2.0 * 15.0 / 16.0 * bytes);
}

fn mixes() -> Vec<Cluster> {
    let spine = FabricShape::LeafSpine { nodes_per_leaf: 2, spines: 2 };
    let rails = FabricShape::RailOptimized { nodes_per_pod: 2, spines: 2 };
    let mut all: Vec<Cluster> =
        Catalog::builtin().nodes.keys().map(|design| nodes(&[(design, 1)])).collect();
    all.extend(Catalog::builtin().nodes.keys().map(|design| nodes(&[(design, 3)])));
    for shape in [FabricShape::SingleSwitch, spine, rails] {
        all.push(cluster(vec![group("dgx1-p100", 2), group("dgx1-v100", 3)], shape));
        all.push(cluster(vec![group("dgx-a100", 1), group("pcie8-v100", 2)], shape));
        all.push(cluster(vec![group("dgx-h100", 3), group("dgx-a100", 2)], shape));
    }
    all
}

/// On every design and on mixes: every footprint is ascending, crosses only links that are on a
/// route between members, and never asks for a link that does not exist.
#[test]
fn footprints_lie_on_routes_between_members() {
    for cluster in mixes() {
        for per_node in [1, 2, 3, 8] {
            let members = members(&cluster, per_node);
            let mut on_routes = BTreeSet::new();
            for &a in &members {
                for &b in &members {
                    on_routes.extend(cluster.route(a, b).unwrap().links);
                }
            }
            let group = Group::new(&cluster, &members).unwrap();
            for footprint in group.footprints() {
                assert!(footprint.links.is_sorted_by(|a, b| a.0 < b.0));
                for &(link, count) in &footprint.links {
                    assert!(count > 0.0);
                    assert!(
                        on_routes.contains(&LinkId(link.0)),
                        "{}",
                        cluster.link_name(LinkId(link.0))
                    );
                }
            }
        }
    }
}

/// The sum of connections, link by link.
fn sum(connections: &[Footprint]) -> Footprint {
    Footprint::from_crossings(connections.iter().flat_map(|each| each.links.iter().copied()))
}

/// The connections of a footprint are its parts. Those of rings and trees are whole routes between
/// members, each link once; those of switches that reduce are single links.
#[test]
fn connections_make_up_the_footprint() {
    for cluster in mixes() {
        for per_node in [1, 3, 8] {
            let members = members(&cluster, per_node);
            let mut routes = BTreeSet::new();
            for &a in &members {
                for &b in &members {
                    let mut links = cluster.route(a, b).unwrap().links;
                    links.sort_unstable();
                    routes.insert(links);
                }
            }
            let group = Group::new(&cluster, &members).unwrap();
            for (f, footprint) in (0..).zip(group.footprints()) {
                let connections = group.connections(f);
                assert_eq!(sum(&connections).links, footprint.links);
                for Footprint { links } in connections {
                    let route: Vec<LinkId> = links.iter().map(|&(id, _)| LinkId(id.0)).collect();
                    let whole = routes.contains(&route) && links.iter().all(|&(_, n)| n == 1.0);
                    assert!(whole || links.len() == 1, "{links:?}");
                }
            }
        }
    }
}

/// How many connections each algorithm has.
fn check_counts(design: &str, nodes_count: u32, expected: &[(Algorithm, usize)]) {
    let cluster = nodes(&[(design, nodes_count)]);
    let group = whole(&cluster);
    for &(algorithm, count) in expected {
        let call = group.call_with(CollectiveKind::AllReduce, MIB, algorithm, Protocol::Simple);
        let connections = group.connections(call.expect("the members can run it").call.footprint);
        assert_eq!(connections.len(), count, "{nodes_count} x {design} {algorithm:?}");
    }
}

/// An edge for each member of each ring; in each of two trees both ways of every edge; with switches
/// that reduce both ways of every card's link.
#[test]
fn every_edge_is_a_connection() {
    use Algorithm::{Nvls, NvlsTree, Ring, Tree};
    check_counts("dgx-a100", 1, &[(Ring, 8)]);
    check_counts("dgx1-v100", 1, &[(Ring, 6 * 8)]);
    check_counts("dgx-h100", 1, &[(Ring, 8), (Nvls, 2 * 8)]);
    check_counts("dgx-a100", 3, &[(Ring, 8 * 24), (Tree, 8 * (3 * 7 * 4 + 2 * 2 * 2))]);
    check_counts("dgx-h100", 3, &[(NvlsTree, 3 * 8 * 2 + 8 * 2 * 2 * 2)]);
}

/// A call's bandwidth on its own footprint is what `uncontended` has: the definition of a call.
#[test]
fn uncontended_times_follow_from_call_and_footprint() {
    for cluster in mixes() {
        let group = whole(&cluster);
        for kind in
            [CollectiveKind::AllReduce, CollectiveKind::AllGather, CollectiveKind::Broadcast]
        {
            let call = group.call(kind, 32.0 * MIB);
            let footprint = &group.footprints()[usize::from(call.call.footprint)];
            let rate = footprint
                .links
                .iter()
                .map(|&(link, n)| cluster.capacity(LinkId(link.0)).0 / n)
                .fold(call.call.rate_cap, f64::min);
            let expected = call.call.latency.as_secs_f64() + call.call.bytes / rate;
            let found = group.uncontended(&call).0;
            assert!((found / expected - 1.0).abs() < 1e-9, "{found} != {expected}");
        }
    }
}

/// The multiplicities by kind of link and the times do not depend on which of equal nodes come
/// first.
#[test]
fn equal_nodes_can_change_places() {
    for design in ["dgx1-v100", "dgx-a100", "pcie8-v100"] {
        let cluster = nodes(&[(design, 4)]);
        let of = |order: [u32; 4]| {
            let numbers = order.into_iter().flat_map(|node| cluster.node_gpus(NodeId(node)));
            let group = communicator(&cluster, numbers);
            let mut shape: BTreeMap<String, u32> = BTreeMap::new();
            for (link, n) in &group.footprints()[0].links {
                let kind = cluster.link(LinkId(link.0)).kind;
                *shape.entry(format!("{kind} x {n}")).or_default() += 1;
            }
            let call = group.call(CollectiveKind::AllReduce, 100.0 * MIB);
            (shape, group.uncontended(&call))
        };
        assert_eq!(of([0, 1, 2, 3]), of([2, 0, 3, 1]));
    }
}

fn check_refused(cluster: &Cluster, numbers: &[u32], expected: &RouteError) {
    let members = cards(numbers.iter().copied());
    assert_eq!(Group::new(cluster, &members).err().as_ref(), Some(expected));
}

#[test]
fn communicators_that_no_library_offers_are_refused() {
    let cluster = nodes(&[("dgx-a100", 1)]);
    check_refused(&cluster, &[], &RouteError::NoMembers);
    check_refused(&cluster, &[1, 2, 1], &RouteError::RepeatedMember { gpu: 1 });
    check_refused(&cluster, &[1, 9], &RouteError::UnknownGpu { gpu: 9, count: 8 });
    let mut foreign = group("dgx-a100", 1);
    foreign.device.vendor = motley_hardware::Vendor::Amd;
    let cluster = common::cluster(vec![group("dgx-a100", 1), foreign], FabricShape::SingleSwitch);
    let refused = RouteError::MixedVendors {
        first: 0,
        first_vendor: motley_hardware::Vendor::Nvidia,
        other: 8,
        other_vendor: motley_hardware::Vendor::Amd,
    };
    check_refused(&cluster, &[0, 1, 8], &refused);
    // A few bytes go by way of the hosts.
    let agreed = Layouts::new(false).agreement(&cluster, &cards([0, 1, 8]), 8.0);
    assert!(agreed.unwrap() > motley_units::Time::ZERO);
    let mut island = group("dgx1-v100", 1);
    let mut layout = island.design.pcie.get().clone();
    for switch in &mut layout.switches {
        switch.nics.clear();
    }
    island.design.pcie = Cited::Assumed(layout, "a test".to_owned());
    let cluster = common::cluster(vec![island, group("dgx1-v100", 1)], FabricShape::SingleSwitch);
    let refused = RouteError::NoNic { gpu: 2, node: 0, design: "dgx1-v100".to_owned() };
    check_refused(&cluster, &[2, 8], &refused);
}

#[test]
fn a_communicator_of_one_does_nothing() {
    let group = communicator(&nodes(&[("dgx-a100", 1)]), [3]);
    assert_eq!(group.footprints(), [Footprint::default()]);
    assert_eq!(group.connections(0), []);
    for kind in [CollectiveKind::AllReduce, CollectiveKind::Broadcast] {
        let call = group.call(kind, 1e9);
        assert_eq!((call.call.bytes, group.uncontended(&call).0), (0.0, 0.0));
    }
}

#[test]
fn transfers_bundle_their_routes() {
    let cluster = nodes(&[("p3.16xlarge", 2)]);
    let pairs: Vec<_> = (0..4).map(|i| (GpuId(i), GpuId(8 + i))).collect();
    let bundle = transfer(&cluster, &pairs, 5e6).unwrap();
    assert_eq!(port(&cluster, &bundle.footprint, NodeId(0), 0), 4.0);
    assert_eq!(bundle.call.bytes, 5e6);
    assert_eq!(bundle.connections().len(), 4);
    assert_eq!(sum(&bundle.connections()), bundle.footprint);
    let single = transfer(&cluster, &pairs[..1], 5e6).unwrap();
    assert_eq!(single.connections(), std::slice::from_ref(&single.footprint));
    assert_eq!(port(&cluster, &single.footprint, NodeId(0), 0), 1.0);
    assert!(single.call.latency <= bundle.call.latency);
    let nothing = transfer(&cluster, &[(GpuId(1), GpuId(1))], 5e6).unwrap();
    assert_eq!((nothing.footprint.links.len(), nothing.call.bytes), (0, 0.0));
    assert_eq!(nothing.call.latency.as_picos(), 0);
    let half = transfer(&cluster, &[(GpuId(1), GpuId(1)), pairs[0]], 5e6).unwrap();
    assert_eq!(half.connections(), single.connections());
    let near = transfer(&cluster, &[(GpuId(0), GpuId(1))], 5e6).unwrap();
    assert!(near.call.latency < single.call.latency);
    assert_eq!(cluster.route(GpuId(0), GpuId(1)).unwrap().class, PathClass::Nvl);
    assert!(transfer(&cluster, &[(GpuId(0), GpuId(99))], 1.0).is_err());
}

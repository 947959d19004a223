//! All-to-all, shift, dispatch and combine: closed forms, conservation, symmetry, published rates.

mod common;

use std::collections::BTreeMap;

use common::{MIB, cards, cluster, exchanging, group, members, nodes};
use motley_collectives::Fidelity::{Bundled, Pairwise};
use motley_collectives::{Algorithm, CollectiveKind, Crossing, Group, Layouts, Protocol};
use motley_hardware::FabricShape;
use motley_job::Footprint;
use motley_topology::{Cluster, Component, GpuId, LinkId, LinkKind};
use proptest::prelude::*;

fn kinds() -> [CollectiveKind; 5] {
    [
        CollectiveKind::AllToAll,
        CollectiveKind::Shift,
        CollectiveKind::Dispatch(Crossing::new(0.3)),
        CollectiveKind::Dispatch(Crossing::ALL),
        CollectiveKind::Combine(Crossing::new(0.3)),
    ]
}

fn mixes() -> Vec<Cluster> {
    let spine = FabricShape::LeafSpine { nodes_per_leaf: 2, spines: 2 };
    let rails = FabricShape::RailOptimized { nodes_per_pod: 2, spines: 2 };
    let mut all = vec![nodes(&[("dgx1-v100", 1)]), nodes(&[("pcie8-v100", 1)])];
    for shape in [FabricShape::SingleSwitch, spine, rails] {
        all.push(cluster(vec![group("dgx1-p100", 2), group("dgx1-v100", 2)], shape));
        all.push(cluster(vec![group("dgx-a100", 1), group("pcie8-v100", 2)], shape));
        all.push(cluster(vec![group("dgx-h100", 2), group("dgx1-v100", 2)], shape));
    }
    all
}

fn near(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((found / expected - 1.0).abs() <= tolerance, "{what}: {found} is not {expected}");
}

/// The crossings of all links that `counted` accepts.
fn crossings(
    cluster: &Cluster,
    footprint: &Footprint,
    counted: impl Fn(LinkKind, Component, Component) -> bool,
) -> f64 {
    let of = |&&(id, _): &&(motley_job::LinkId, f64)| {
        let link = cluster.link(LinkId(id.0));
        counted(link.kind, link.from, link.to)
    };
    footprint.links.iter().filter(of).map(|&(_, count)| count).sum()
}

/// How often cards' own links and nodes' ports are crossed outwards.
fn sent(cluster: &Cluster, footprint: &Footprint) -> (f64, f64) {
    let cards = crossings(cluster, footprint, |kind, from, _| {
        kind == LinkKind::NvLink && matches!(from, Component::Gpu { .. })
    });
    let ports = crossings(cluster, footprint, |kind, from, _| {
        kind == LinkKind::Port && matches!(from, Component::Nic { .. })
    });
    (cards, ports)
}

/// `g` cards in each of `count` nodes behind NVSwitches, a NIC for each.
fn check_closed_form(design: &str, count: u32, fabric: FabricShape) {
    let cluster = cluster(vec![group(design, count)], fabric);
    let (n, g) = (f64::from(cluster.gpu_count()), 8.0);
    let rails = matches!(fabric, FabricShape::RailOptimized { .. });
    let all_to_all = exchanging(&cluster, CollectiveKind::AllToAll);
    let (cards, ports) = sent(&cluster, &all_to_all.footprints()[0]);
    // With rails 7 of 8 messages to other nodes change cards before they leave.
    let changed = if rails { (n - g) * (g - 1.0) / g } else { 0.0 };
    near(cards, n * (g - 1.0 + changed), 1e-12, "messages on NVLink");
    if count > 1 {
        near(ports, n * (n - g), 1e-12, "messages on ports");
    }
    let rate = |kind: LinkKind| {
        let link = cluster.links().find(|link| link.kind == kind);
        link.map_or(f64::INFINITY, |link| link.capacity.0)
    };
    let (nvlink, nic) =
        (0.9 * rate(LinkKind::NvLink), rate(LinkKind::Port).min(rate(LinkKind::Pcie)));
    let call =
        |bytes: f64| all_to_all.uncontended(&all_to_all.call(CollectiveKind::AllToAll, bytes)).0;
    // The slope for large messages is free of latencies; the own part is copied besides.
    let (small, large) = (1e11, 2e11);
    let per_byte = (call(large) - call(small)) / (large - small);
    let memory = cluster.device(GpuId(0)).memory_bandwidth.get().0;
    let copied = 1.0 / n / (memory * if design == "dgx-a100" { 0.4 } else { 1.0 });
    let expected = ((g - 1.0 + changed) / n / nvlink).max((n - g) / n / nic) + copied;
    near(per_byte, expected, 1e-3, &format!("{count} {design} {fabric:?}"));
}

#[test]
fn an_all_to_all_takes_what_the_tighter_of_links_and_ports_takes() {
    for fabric in [
        FabricShape::SingleSwitch,
        FabricShape::LeafSpine { nodes_per_leaf: 8, spines: 2 },
        FabricShape::RailOptimized { nodes_per_pod: 8, spines: 2 },
    ] {
        for count in [1, 2, 5] {
            check_closed_form("dgx-a100", count, fabric);
            check_closed_form("dgx-h100", count, fabric);
        }
    }
}

/// Every member sends and receives as many messages as there are others, wherever they sit.
#[test]
fn nothing_is_lost_or_doubled() {
    for cluster in mixes() {
        for per_node in [2, 3, 8] {
            let members = members(&cluster, per_node);
            let node = |gpu: GpuId| cluster.node_of(gpu);
            let between = members
                .iter()
                .flat_map(|&a| members.iter().map(move |&b| (a, b)))
                .filter(|&(a, b)| node(a) != node(b))
                .count() as f64;
            for (kind, expected) in [
                (CollectiveKind::AllToAll, between),
                (CollectiveKind::Dispatch(Crossing::ALL), between),
                (CollectiveKind::Combine(Crossing::new(0.25)), between / 4.0),
            ] {
                let group = Group::of_kinds(&cluster, &members, [kind]).unwrap();
                let ports = |out: bool| {
                    crossings(&cluster, &group.footprints()[0], |kind, from, _| {
                        let nic = matches!(from, Component::Nic { .. });
                        kind == LinkKind::Port && nic == out
                    })
                };
                if expected > 0.0 {
                    near(ports(true), expected, 1e-12, &format!("{kind:?} sent"));
                    near(ports(false), expected, 1e-12, &format!("{kind:?} received"));
                }
            }
        }
    }
}

/// Tokens that nothing is sent once for take NVLink as often as those that are: what is forwarded
/// reaches every card but the one where it entered.
#[test]
fn what_crosses_once_is_forwarded_to_all() {
    let cluster = nodes(&[("dgx-h100", 4)]);
    for share in [0.2, 0.5, 1.0] {
        let group = exchanging(&cluster, CollectiveKind::Dispatch(Crossing::new(share)));
        let (cards, ports) = sent(&cluster, &group.footprints()[0]);
        near(cards, 32.0 * 32.0 * 7.0 / 8.0, 1e-9, "on NVLink");
        near(ports, share * 32.0 * 24.0, 1e-8, "on ports");
    }
}

/// A combine crosses every link the other way.
#[test]
fn a_combine_is_a_dispatch_backwards() {
    let shape = FabricShape::LeafSpine { nodes_per_leaf: 4, spines: 1 };
    let cluster = cluster(vec![group("dgx-h100", 2), group("dgx-a100", 1)], shape);
    let footprint = |kind| -> BTreeMap<u32, f64> {
        let group = exchanging(&cluster, kind);
        group.footprints()[0].links.iter().map(|&(id, count)| (id.0, count)).collect()
    };
    let crossing = Crossing::new(0.4);
    let there = footprint(CollectiveKind::Dispatch(crossing));
    let back = footprint(CollectiveKind::Combine(crossing));
    let reversed: BTreeMap<u32, f64> =
        there.iter().map(|(&id, &n)| (LinkId(id).reverse().0, n)).collect();
    assert_eq!(reversed.len(), back.len());
    for (id, count) in reversed {
        near(back[&id], count, 1e-12, &cluster.link_name(LinkId(id)));
    }
}

/// The max-min fair rate of each connection, all moving apart: the link that fills first settles the
/// rates of those that cross it.
fn rates(cluster: &Cluster, connections: &[Footprint]) -> Vec<f64> {
    let mut rates = vec![0.0; connections.len()];
    let mut open: Vec<usize> = (0..connections.len()).collect();
    let mut left: BTreeMap<motley_job::LinkId, f64> = connections
        .iter()
        .flat_map(|each| &each.links)
        .map(|&(id, _)| (id, cluster.capacity(LinkId(id.0)).0))
        .collect();
    while !open.is_empty() {
        let mut demand: BTreeMap<motley_job::LinkId, f64> = BTreeMap::new();
        for &(id, count) in open.iter().flat_map(|&each| &connections[each].links) {
            *demand.entry(id).or_default() += count;
        }
        let fair = |(id, demand): (&motley_job::LinkId, &f64)| (left[id] / demand, *id);
        let (rate, first) =
            demand.iter().map(fair).min_by(|a, b| a.0.total_cmp(&b.0)).expect("a link");
        let crosses = |each: &usize| connections[*each].links.iter().any(|&(id, _)| id == first);
        let (settled, others): (Vec<usize>, Vec<usize>) =
            open.iter().partition(|&each| crosses(each));
        for each in settled {
            rates[each] = rate;
            for (id, count) in &connections[each].links {
                *left.get_mut(id).expect("a link") -= rate * count;
            }
        }
        open = others;
    }
    rates
}

/// The sum of connections is the footprint, and alone the slowest of those that move apart is as fast
/// as the bundle.
#[test]
fn connections_make_up_the_exchange() {
    for cluster in mixes() {
        for per_node in [2, 3] {
            let members = members(&cluster, per_node);
            for kind in kinds() {
                let group = Group::of_kinds(&cluster, &members, [kind]).unwrap();
                let footprint = &group.footprints()[0];
                let connections = group.connections(0);
                let sum = Footprint::from_crossings(
                    connections.iter().flat_map(|each| each.links.iter().copied()),
                );
                assert_eq!(sum.links.len(), footprint.links.len());
                let mut idle = f64::INFINITY;
                for (found, &(id, count)) in sum.links.iter().zip(&footprint.links) {
                    assert_eq!(found.0, id);
                    near(found.1, count, 1e-9, "crossings");
                    idle = idle.min(cluster.capacity(LinkId(id.0)).0 / count);
                }
                let rates = rates(&cluster, &connections);
                let slowest = rates.into_iter().fold(f64::INFINITY, f64::min);
                near(slowest, idle, 1e-9, &format!("{kind:?}"));
            }
        }
    }
}

/// One card more or less on a node, or an old node among new ones, is no hindrance.
#[test]
fn unequal_shares_of_nodes_are_laid() {
    let cluster = nodes(&[("dgx-h100", 1), ("dgx-a100", 1), ("pcie8-v100", 1)]);
    let members = cards([0, 1, 2, 5, 8, 9, 17]);
    for kind in kinds() {
        let group = Group::of_kinds(&cluster, &members, [kind]).unwrap();
        let fast = Group::of_kinds(&cluster, &members[..4], [kind]).unwrap();
        let time = |group: &Group| group.uncontended(&group.call(kind, 1e9)).0;
        assert!(time(&group) > 1.5 * time(&fast), "{kind:?}");
    }
}

/// A group that is only to exchange has one footprint, and it knows nothing else.
#[test]
fn a_group_is_laid_for_what_it_is_to_run() {
    let cluster = nodes(&[("dgx-a100", 2)]);
    let all: Vec<GpuId> = cluster.gpus().collect();
    let exchange = exchanging(&cluster, CollectiveKind::AllToAll);
    assert_eq!(exchange.footprints().len(), 1);
    let refused =
        exchange.call_with(CollectiveKind::AllGather, 1e6, Algorithm::Ring, Protocol::Simple);
    assert_eq!(refused, None);
    let kinds = [CollectiveKind::AllReduce, CollectiveKind::AllToAll, CollectiveKind::Shift];
    let both = Group::of_kinds(&cluster, &all, kinds).unwrap();
    assert_eq!(both.footprints().len(), 4, "ring, tree, all-to-all, shift");
    let call = both.call(CollectiveKind::AllToAll, 1e8).call;
    let alone = exchange.call(CollectiveKind::AllToAll, 1e8).call;
    assert_eq!(
        (call.bytes, call.latency, call.rate_cap),
        (alone.bytes, alone.latency, alone.rate_cap)
    );
    assert_eq!(both.footprints()[usize::from(call.footprint)], exchange.footprints()[0]);
    let one = Group::of_kinds(&cluster, &all[..1], kinds).unwrap();
    assert_eq!(one.call(CollectiveKind::AllToAll, 1e9).call.bytes.to_bits(), 0);
}

/// In every node of a group what was laid in the first is moved.
#[test]
fn known_exchanges_are_what_would_be_laid_afresh() {
    let cluster = nodes(&[("dgx1-v100", 3), ("dgx1-p100", 2)]);
    let mut layouts = Layouts::new(true);
    for members in [cards(0..8), cards(16..24), cards([25, 26, 31]), cards([3, 9, 30])] {
        for kind in kinds() {
            let laid = Group::of_kinds(&cluster, &members, [kind]).unwrap();
            for fidelity in [Bundled, Pairwise, Bundled] {
                let placed = layouts.group(&cluster, &members, [kind], fidelity).unwrap();
                let call = placed.call(kind, 3.0 * MIB);
                assert_eq!(call, laid.call(kind, 3.0 * MIB).call);
                assert_eq!(placed.footprint(0), laid.footprints()[0]);
                let expected = if fidelity == Pairwise { laid.connections(0) } else { Vec::new() };
                assert_eq!(placed.connections(0), expected);
            }
        }
    }
}

/// Each card's links carry one block out and one in.
#[test]
fn a_shift_crosses_each_card_once() {
    let cluster = nodes(&[("dgx-a100", 2)]);
    let group = exchanging(&cluster, CollectiveKind::Shift);
    let (cards, ports) = sent(&cluster, &group.footprints()[0]);
    near(cards, 14.0, 1e-12, "on NVLink");
    near(ports, 2.0, 1e-12, "on ports");
    assert_eq!(group.connections(0).len(), 16);
    near(group.call(CollectiveKind::Shift, 1e9).call.bytes, 1e9, 0.0, "a block");
}

/// The mean number of different places among `places` at which the 8 experts of a token are, of
/// `experts` spread evenly.
fn met(places: u32, experts: u32) -> f64 {
    let elsewhere = experts - experts / places;
    let missed: f64 = (0..8).map(|i| f64::from(elsewhere - i) / f64::from(experts - i)).product();
    f64::from(places) * (1.0 - missed)
}

/// GB/s as DeepEP's tests count them: what goes to other cards or nodes, and what stays.
fn logical(design: &str, count: u32, tokens: f64, combine: bool) -> f64 {
    let cluster = nodes(&[(design, count)]);
    // 256 experts, of which a token goes to 8 on 4 nodes at most.
    let reached = count.min(4);
    let ranks = met(8 * reached, 256 * reached / count);
    let on_nodes = if reached == 1 { 1.0 } else { met(reached, 256 * reached / count) };
    let token = 7168.0 * if combine { 2.0 } else { 1.0 + 4.0 / 128.0 };
    let crossing = Crossing::new(on_nodes / ranks);
    let kind = if combine {
        CollectiveKind::Combine(crossing)
    } else {
        CollectiveKind::Dispatch(crossing)
    };
    let group = exchanging(&cluster, kind);
    let time = group.uncontended(&group.call(kind, tokens * token * ranks)).0;
    let counted = if count == 1 { ranks } else { on_nodes };
    tokens * token * counted / time / 1e9
}

fn check_deepep(design: &str, count: u32, tokens: f64, published: [f64; 2], tolerance: f64) {
    for (combine, published) in [false, true].into_iter().zip(published) {
        let found = logical(design, count, tokens, combine);
        near(found, published, tolerance, &format!("{count} {design}, combine: {combine}"));
    }
}

/// DeepEP's documentation, first version on H800: 1, 4 and 8 nodes, to which the shares of links
/// are fitted, and 2 nodes, where forwarding binds; second version, 2 and 4 nodes of Hopper with CX7.
#[test]
fn dispatch_and_combine_reach_what_deepep_publishes() {
    check_deepep("hgx-h800", 1, 4096.0, [153.0, 158.0], 0.10);
    check_deepep("hgx-h800", 4, 4096.0, [58.0, 57.0], 0.10);
    check_deepep("hgx-h800", 8, 4096.0, [51.0, 50.0], 0.10);
    check_deepep("hgx-h800", 2, 4096.0, [43.0, 43.0], 0.15);
    check_deepep("dgx-h100", 2, 8192.0, [90.0, 81.0], 0.12);
    check_deepep("dgx-h100", 4, 8192.0, [61.0, 61.0], 0.10);
}

proptest! {
    /// More bytes, and a larger share that crosses, never take less time.
    #[test]
    fn more_is_never_faster(
        design in 0usize..5,
        count in 1u32..4,
        kind in 0usize..5,
        bytes in 1.0f64..1e9,
        more in 1.0f64..3.0,
        (share, wider) in (0.0f64..1.0, 0.0f64..1.0),
    ) {
        let design = ["dgx1-p100", "dgx1-v100", "dgx-a100", "dgx-h100", "pcie8-v100"][design];
        let cluster = nodes(&[(design, count)]);
        let time = |kind: CollectiveKind, bytes: f64| {
            let group = exchanging(&cluster, kind);
            group.uncontended(&group.call(kind, bytes)).0
        };
        let kind = kinds()[kind];
        prop_assert!(time(kind, bytes * more) >= time(kind, bytes));
        let dispatch = |share: f64| time(CollectiveKind::Dispatch(Crossing::new(share)), bytes);
        prop_assert!(dispatch(share.max(wider)) >= dispatch(share.min(wider)));
    }
}

//! How long collectives take: closed forms, order, choice of protocol.

#![expect(clippy::float_cmp, reason = "counts, and the same arithmetic on both sides")]

mod common;

use common::{MIB, cluster, communicator, group, nodes, whole};
use motley_collectives::{Algorithm, CollectiveKind, Group, Protocol};
use motley_hardware::FabricShape;
use proptest::prelude::*;

const KINDS: [CollectiveKind; 4] = [
    CollectiveKind::AllReduce,
    CollectiveKind::AllGather,
    CollectiveKind::ReduceScatter,
    CollectiveKind::Broadcast,
];

fn time(group: &Group, kind: CollectiveKind, bytes: f64) -> f64 {
    group.uncontended(&group.call(kind, bytes)).0
}

/// The bytes of all connections of a ring at one place: 2 (n - 1) / n S for an all-reduce, half
/// for its two halves, S for a broadcast.
#[test]
fn rings_move_what_the_closed_forms_say() {
    for (design, count, rings) in
        [("dgx1-v100", 1, 6.0), ("dgx-a100", 1, 1.0), ("dgx1-p100", 2, 4.0), ("dgx-h100", 4, 8.0)]
    {
        let cluster = nodes(&[(design, count)]);
        let group = whole(&cluster);
        let n = f64::from(cluster.gpu_count());
        let volumes = [2.0 * (n - 1.0) / n, (n - 1.0) / n, (n - 1.0) / n, 1.0];
        for (kind, volume) in KINDS.into_iter().zip(volumes) {
            let call = group.call_with(kind, 1e9, Algorithm::Ring, Protocol::Simple).unwrap();
            assert!(
                (call.call.bytes * rings / (volume * 1e9) - 1.0).abs() < 1e-12,
                "{design} {kind:?}"
            );
        }
    }
}

/// S / B (n - 1) / n, as the size grows; the card's own copy costs a few per cent of it.
#[test]
fn large_messages_approach_the_bandwidth_of_the_links() {
    for design in ["dgx1-p100", "dgx1-v100", "dgx-a100", "hgx-a800", "pcie8-v100"] {
        let cluster = nodes(&[(design, 1)]);
        let group = whole(&cluster);
        let n = f64::from(cluster.gpu_count());
        for (kind, volume) in [
            (CollectiveKind::AllReduce, 2.0 * (n - 1.0) / n),
            (CollectiveKind::AllGather, (n - 1.0) / n),
        ] {
            let bytes = 65_536.0 * MIB;
            let reached = volume * bytes / time(&group, kind, bytes) / group.ring_bandwidth();
            assert!((0.93..1.0).contains(&reached), "{design} {kind:?}: {reached}");
        }
    }
}

/// Switches that reduce: S (1 + 1/n) over 0.85 of a card's links.
#[test]
fn switches_reduce_faster_than_rings_where_they_can() {
    let bus = |design: &str, size: u32| {
        let cluster = nodes(&[(design, 1)]);
        let group = communicator(&cluster, 0..size);
        let bytes = 16_384.0 * MIB;
        let call = group.call(CollectiveKind::AllReduce, bytes);
        let n = f64::from(size);
        (call.algorithm, 2.0 * (n - 1.0) / n * bytes / group.uncontended(&call).0 / 1e9)
    };
    let (algorithm, eight) = bus("dgx-h100", 8);
    assert_eq!(algorithm, Algorithm::Nvls);
    // ml-engineering and nccl-tests 272: 473 to 482.
    assert!((460.0..500.0).contains(&eight), "{eight}");
    let (algorithm, eight) = bus("hgx-h800", 8);
    assert_eq!(algorithm, Algorithm::Nvls);
    // nccl issue 1374: 215.
    assert!((200.0..225.0).contains(&eight), "{eight}");
    assert_eq!(bus("dgx-h100", 2).0, Algorithm::Ring);
    assert_eq!(bus("dgx-a100", 8).0, Algorithm::Ring);
    let two = whole(&nodes(&[("dgx-h100", 2)]));
    assert_eq!(two.call(CollectiveKind::AllReduce, 1e10).algorithm, Algorithm::NvlsTree);
    assert_eq!(two.call(CollectiveKind::AllGather, 1e10).algorithm, Algorithm::Ring);
}

#[test]
fn the_choice_is_the_least_of_all_that_are_enabled() {
    for cluster in
        [nodes(&[("dgx-a100", 4)]), nodes(&[("dgx-h100", 1)]), nodes(&[("dgx1-p100", 1)])]
    {
        let group = whole(&cluster);
        for kind in KINDS {
            for exponent in 8..34 {
                let bytes = f64::from(exponent).exp2();
                let least = Algorithm::ALL
                    .into_iter()
                    .flat_map(|algorithm| Protocol::ALL.map(|protocol| (algorithm, protocol)))
                    .filter_map(|(a, p)| group.call_with(kind, bytes, a, p))
                    .map(|call| group.uncontended(&call).0)
                    .fold(f64::INFINITY, f64::min);
                assert_eq!(time(&group, kind, bytes), least);
            }
        }
    }
}

#[test]
fn protocols_are_those_that_cards_and_nics_allow() {
    let ll128 = |group: &Group| {
        group.call_with(CollectiveKind::AllReduce, 1e6, Algorithm::Ring, Protocol::Ll128).is_some()
    };
    assert!(ll128(&whole(&nodes(&[("dgx-a100", 2)]))));
    assert!(!ll128(&whole(&nodes(&[("dgx1-p100", 1)]))), "Pascal");
    assert!(!ll128(&whole(&nodes(&[("pcie8-v100", 1)]))), "PCIe");
    assert!(!ll128(&whole(&nodes(&[("dgx-a100", 1), ("dgx1-v100", 1)]))), "unequal before Hopper");
    let efa = whole(&nodes(&[("p4d.24xlarge", 2)]));
    let chosen = efa.call(CollectiveKind::AllReduce, 1e3);
    assert_eq!(chosen.protocol, Protocol::Simple, "no flags over EFA before p5");
    let small = whole(&nodes(&[("dgx-a100", 1)]));
    assert_eq!(small.call(CollectiveKind::AllReduce, 1e4).protocol, Protocol::Ll);
    assert_eq!(small.call(CollectiveKind::AllReduce, 1e9).protocol, Protocol::Simple);
}

/// A slow node holds all others up: the mix is slower than its fast half with as many nodes, and
/// its rings are no faster than those of its slow half.
#[test]
fn one_slow_node_slows_the_group() {
    for (fast, slow) in
        [("dgx-a100", "dgx1-v100"), ("dgx-h100", "dgx-a100"), ("dgx-a100", "pcie8-v100")]
    {
        let two = |a: &str, b: &str| whole(&nodes(&[(a, 1), (b, 1)]));
        let (both_fast, mixed, both_slow) = (two(fast, fast), two(fast, slow), two(slow, slow));
        assert!(mixed.ring_bandwidth() <= both_slow.ring_bandwidth() * (1.0 + 1e-12));
        for kind in KINDS {
            let (quick, mix) = (time(&both_fast, kind, 1e9), time(&mixed, kind, 1e9));
            assert!(mix > 1.2 * quick, "{fast} + {slow} {kind:?}: {mix} {quick}");
        }
    }
}

#[test]
fn an_oversubscribed_fabric_slows_whom_it_carries() {
    let shape = FabricShape::LeafSpine { nodes_per_leaf: 2, spines: 1 };
    let with = |ratio: f64| {
        let mut spec = cluster(vec![group("dgx-a100", 4)], shape).spec().clone();
        spec.fabric.oversubscription = ratio;
        whole(&motley_topology::Cluster::build(spec).unwrap())
    };
    let gather = |group: &Group| time(group, CollectiveKind::AllGather, 1e9);
    let (free, four, eight) = (with(1.0), with(4.0), with(8.0));
    // A ring crosses each leaf's uplink once per channel: half of the ports' capacity.
    assert!(gather(&four) > 1.5 * gather(&free));
    assert!(gather(&eight) > 1.8 * gather(&four));
}

proptest! {
    /// More bytes never take less time, whatever the protocols chosen.
    #[test]
    fn larger_is_never_faster(
        design in 0usize..6,
        count in 1u32..5,
        kind in 0usize..4,
        bytes in 1.0f64..1e9,
        more in 1.0f64..3.0,
    ) {
        let design =
            ["dgx1-p100", "dgx1-v100", "dgx-a100", "dgx-h100", "pcie8-v100", "p4d.24xlarge"][design];
        let group = whole(&nodes(&[(design, count)]));
        let (less, more) = (time(&group, KINDS[kind], bytes), time(&group, KINDS[kind], bytes * more));
        prop_assert!(more >= less, "{} < {}", more, less);
    }

    /// An all-reduce is no faster than the reduce-scatter or the all-gather that it contains.
    #[test]
    fn an_all_reduce_contains_its_halves(design in 0usize..3, count in 1u32..4, bytes in 1e5f64..1e9) {
        let design = ["dgx1-v100", "dgx-a100", "pcie8-v100"][design];
        let group = whole(&nodes(&[(design, count)]));
        for protocol in Protocol::ALL {
            let ring = |kind| {
                let call = group.call_with(kind, bytes, Algorithm::Ring, protocol)?;
                Some(group.uncontended(&call).0)
            };
            prop_assert!(ring(CollectiveKind::AllReduce) >= ring(CollectiveKind::ReduceScatter));
        }
    }
}

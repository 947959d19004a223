//! What is remembered or moved is what would be laid afresh.

mod common;

use common::{MIB, cards, group, nodes};
use motley_collectives::Fidelity::{Bundled, Pairwise};
use motley_collectives::{CollectiveKind, Group, Layouts, transfer};
use motley_hardware::FabricShape;
use motley_topology::{Cluster, GpuId};
use proptest::prelude::*;

/// Nodes of two designs on several leaves.
fn mixed() -> Cluster {
    let shape = FabricShape::LeafSpine { nodes_per_leaf: 2, spines: 3 };
    common::cluster(vec![group("dgx1-v100", 3), group("dgx1-p100", 3)], shape)
}

fn check(cluster: &Cluster, layouts: &mut Layouts, members: &[GpuId], kind: CollectiveKind) {
    let laid = Group::new(cluster, members).expect("can be laid");
    // The second time it is known.
    for _ in 0..2 {
        let placed = layouts.group(cluster, members, [kind], Bundled).expect("can be laid");
        let apart = layouts.group(cluster, members, [kind], Pairwise).expect("can be laid");
        for bytes in [8.0, MIB, 300.0 * MIB] {
            let expected = laid.call(kind, bytes).call;
            let call = placed.call(kind, bytes);
            assert_eq!(call, expected, "{kind:?} of {bytes} among {members:?}");
            let links = &laid.footprints()[usize::from(expected.footprint)];
            assert_eq!(placed.footprint(call.footprint), *links, "{kind:?} among {members:?}");
            assert_eq!(placed.connections(call.footprint), [], "moving as one");
            assert_eq!(apart.footprint(call.footprint), *links, "{kind:?} among {members:?}");
            let connections = laid.connections(expected.footprint);
            assert_eq!(apart.connections(call.footprint), connections, "among {members:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn known_communicators_are_what_they_were(
        remember in any::<bool>(),
        groups in prop::collection::vec(prop::collection::btree_set(0u32..48, 2..9), 1..6),
        inside in prop::collection::vec((0u32..6, prop::collection::btree_set(0u32..8, 1..9)), 1..6),
    ) {
        let cluster = mixed();
        let mut layouts = Layouts::new(remember);
        let across = groups.into_iter().map(cards);
        let inside = inside
            .into_iter()
            .map(|(node, members)| cards(members.into_iter().map(|card| 8 * node + card)));
        for members in across.chain(inside) {
            for kind in [CollectiveKind::AllReduce, CollectiveKind::AllGather] {
                check(&cluster, &mut layouts, &members, kind);
            }
        }
    }
}

#[test]
fn known_sends_carry_what_is_asked() {
    let cluster = mixed();
    let mut layouts = Layouts::new(true);
    let slices = [(GpuId(0), GpuId(9)), (GpuId(1), GpuId(10)), (GpuId(2), GpuId(2))];
    for bytes in [5e6, 0.0, 7.0] {
        for slices in [&slices[..], &slices[2..]] {
            let afresh = transfer(&cluster, slices, bytes).unwrap();
            let apart = layouts.send(&cluster, slices, bytes, Pairwise).unwrap();
            assert_eq!(apart, afresh);
            let sent = layouts.send(&cluster, slices, bytes, Bundled).unwrap();
            assert_eq!((sent.call, &sent.footprint), (afresh.call, &afresh.footprint));
            assert_eq!(sent.connections(), []);
        }
    }
}

/// A few bytes take one channel, so the time is that of the whole communicator but for what its
/// other channels would add.
#[test]
fn an_agreement_takes_the_time_of_a_few_bytes() {
    for (design, count) in [("dgx1-v100", 1), ("dgx-a100", 4)] {
        let cluster = nodes(&[(design, count)]);
        let members: Vec<GpuId> = cluster.gpus().collect();
        let agreed = Layouts::new(true).agreement(&cluster, &members, 8.0).unwrap();
        let whole = Group::new(&cluster, &members).unwrap();
        let few = whole.uncontended(&whole.call(CollectiveKind::AllReduce, 8.0)).0;
        assert!((agreed.as_secs_f64() / few - 1.0).abs() < 1e-3, "{agreed} is not {few}");
    }
}

#[test]
fn mistakes_are_told_as_ever() {
    let cluster = mixed();
    let mut layouts = Layouts::new(true);
    for members in [&[][..], &[GpuId(1), GpuId(1)], &[GpuId(3), GpuId(99)]] {
        let expected = Group::new(&cluster, members).err();
        let kinds = [CollectiveKind::AllReduce];
        assert!(expected.is_some());
        assert_eq!(layouts.group(&cluster, members, kinds, Bundled).err(), expected);
        assert_eq!(layouts.agreement(&cluster, members, 8.0).err(), expected);
    }
}

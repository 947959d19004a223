//! Calls that take as long as was measured.

mod common;

use common::{MIB, nodes, whole};
use motley_collectives::CollectiveKind;
use motley_units::{Seconds, Time};
use proptest::prelude::*;

/// As predicted it is the same call, to the bit; else what it waits for and what it moves keep their
/// proportion, and it crosses the same links at no other rate.
#[test]
fn latency_and_bytes_are_stretched_alike() {
    let clusters =
        [nodes(&[("dgx-a100", 1)]), nodes(&[("dgx-h100", 4)]), nodes(&[("dgx1-v100", 2)])];
    let groups: Vec<_> = clusters.iter().map(whole).collect();
    let which = (0..groups.len(), 3.0_f64..34.0, -3.0_f64..3.0);
    proptest!(|((group, size, stretch) in which)| {
        let group = &groups[group];
        let call = group.call(CollectiveKind::AllReduce, size.exp2());
        let predicted = group.uncontended(&call);
        prop_assert_eq!(group.lasting(call.call, predicted), call.call);
        let measured = Seconds(predicted.0 * stretch.exp2());
        let lasting = group.lasting(call.call, measured);
        let found = group.uncontended(&motley_collectives::CollectiveCall { call: lasting, ..call });
        prop_assert!((found.0 - measured.0).abs() < 1e-12, "{:?} {:?}", found, measured);
        let bytes = lasting.bytes / call.call.bytes;
        prop_assert!((bytes / stretch.exp2() - 1.0).abs() < 1e-9);
        prop_assert_eq!(lasting.footprint, call.call.footprint);
        prop_assert!(lasting.rate_cap.to_bits() == call.call.rate_cap.to_bits());
    });
}

#[test]
fn what_takes_no_time_is_left_alone() {
    let cluster = nodes(&[("dgx-a100", 1)]);
    let alone = common::communicator(&cluster, [3]);
    let call = alone.call(CollectiveKind::AllReduce, MIB).call;
    let lasting = alone.lasting(call, Seconds(1.0));
    assert_eq!((lasting, lasting.latency), (call, Time::ZERO));
}

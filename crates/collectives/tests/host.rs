//! Copies between cards and the memory of their hosts.

mod common;

use common::{cards, nodes};
use motley_collectives::Fidelity::{Bundled, Pairwise};
use motley_collectives::{HostCopy, Layouts, host_copies};
use motley_topology::{Cluster, GpuId, LinkId};

/// Bytes per second of each of these cards when all copy at once.
fn rate(cluster: &Cluster, numbers: impl IntoIterator<Item = u32>, direction: HostCopy) -> f64 {
    let cards = cards(numbers);
    let time = |bytes: f64| {
        let copies = host_copies(cluster, &cards, direction, bytes).expect("cards");
        copies.uncontended(cluster).0
    };
    1e9 / (time(2e9) - time(1e9))
}

/// Of one card, of two that the design has behind one switch or on one socket, and of all.
fn check(design: &str, alone: f64, pair: f64, all: f64) {
    let cluster = nodes(&[(design, 2)]);
    for direction in [HostCopy::ToHost, HostCopy::ToCard] {
        for (numbers, expected) in [(0..1, alone), (0..2, pair), (0..8, all), (0..16, all)] {
            let found = rate(&cluster, numbers.clone(), direction) / 1e9;
            assert!((found / expected - 1.0).abs() < 1e-6, "{design} {numbers:?}: {found} GB/s");
        }
    }
}

/// Two cards of a DGX-1 or a DGX A100 share an uplink, each of a DGX H100 has its own.
#[test]
fn cards_behind_one_switch_share_its_uplink() {
    check("dgx1-v100", 12.0, 6.0, 6.0);
    check("dgx-a100", 24.0, 12.0, 12.0);
    check("dgx-h100", 48.0, 48.0, 48.0);
}

/// Pinned memory, as ml-engineering has measured it.
#[test]
fn a_copy_alone_reaches_what_is_measured() {
    for (design, measured) in [("dgx-a100", 26.1), ("dgx-h100", 55.4)] {
        let found = rate(&nodes(&[(design, 1)]), 0..1, HostCopy::ToCard) / 1e9;
        assert!((found / measured - 1.0).abs() < 0.15, "{design}: {found} GB/s, not {measured}");
    }
}

/// The ways to and fro are the two directions of the same links; connections add up to the whole.
#[test]
fn directions_do_not_meet() {
    let cluster = nodes(&[("dgx1-v100", 2)]);
    let all: Vec<GpuId> = cluster.gpus().collect();
    let mut layouts = Layouts::new(false);
    let mut copies = |direction, fidelity| {
        layouts.host(&cluster, &all, direction, 1e6, fidelity).expect("cards")
    };
    let there = copies(HostCopy::ToHost, Bundled);
    let back = copies(HostCopy::ToCard, Bundled);
    let mut reversed: Vec<(u32, f64)> =
        there.footprint.links.iter().map(|&(id, n)| (LinkId(id.0).reverse().0, n)).collect();
    reversed.sort_by_key(|&(id, _)| id);
    let found: Vec<(u32, f64)> = back.footprint.links.iter().map(|&(id, n)| (id.0, n)).collect();
    assert_eq!(found, reversed);
    assert_eq!(there.connections(), []);
    let apart = copies(HostCopy::ToHost, Pairwise);
    assert_eq!(apart.footprint, there.footprint);
    assert_eq!(apart.connections().len(), all.len());
}

#[test]
fn an_unknown_card_is_told() {
    let cluster = nodes(&[("dgx1-v100", 1)]);
    let found = host_copies(&cluster, &cards([3, 8]), HostCopy::ToHost, 1.0).unwrap_err();
    assert_eq!(found.to_string(), cluster.host_route(GpuId(8)).unwrap_err().to_string());
}

use motley_units::Time;
use proptest::prelude::*;

use super::exact::{self, Fraction};
use super::fabric::Hop;
use super::textbook::{Flow, textbook, violation};
use super::{Fabric, Network};
use crate::prepare::Numbers;
use crate::queue::Queue;

/// A step of a script: which of the possible flows starts if it is idle, or ends if it is not, and
/// whether the instant ends with it.
type Step = (usize, bool);

/// Runs a script of starts and ends and checks the rates after each instant.
fn check_script(capacities: &[f64], flows: &[Flow], script: &[Step], patience: u32) {
    let fabric = Fabric::from_paths(
        capacities.to_vec(),
        Numbers::bundled(),
        flows.iter().map(|(cap, hops)| (*cap, hops.clone())),
        (0..flows.len() as u32).map(|f| [f]),
    );
    let mut network = Network::new(&fabric);
    network.patience = patience;
    let mut queue = Queue::new(flows.len(), flows.len(), 0);
    let mut now = Time::ZERO;
    let mut active = vec![false; flows.len()];
    for &(pick, solve) in script {
        let f = pick % flows.len();
        active[f] = !active[f];
        if active[f] {
            network.start(f as u32, f as u32, 1e30, f64::INFINITY, now);
        } else {
            network.end(f as u32);
        }
        if !solve {
            continue;
        }
        network.solve(now, &mut queue);
        now += Time::from_picos(1000);
        let indices: Vec<usize> = (0..flows.len()).filter(|&f| active[f]).collect();
        let present: Vec<Flow> = indices.iter().map(|&f| flows[f].clone()).collect();
        let rates: Vec<f64> = indices.iter().map(|&f| network.rate(f as u32)).collect();
        assert_eq!(violation(capacities, &present, &rates, 1e-9), None);
        for (rate, expected) in rates.iter().zip(textbook(capacities, &present)) {
            assert!((rate - expected).abs() <= 1e-9 * expected, "{rate} is not {expected}");
        }
    }
}

fn hops(
    links: usize,
    multiplicities: impl Strategy<Value = f64>,
) -> impl Strategy<Value = Vec<Hop>> {
    prop::collection::btree_map(0..links as u32, multiplicities, 1..=links.min(6)).prop_map(|map| {
        map.into_iter().map(|(link, multiplicity)| Hop { link, multiplicity }).collect()
    })
}

/// Networks of both kinds that matter: round numbers, where ties abound, and arbitrary ones.
fn networks() -> impl Strategy<Value = (Vec<f64>, Vec<Flow>)> {
    let round = (1usize..10).prop_flat_map(|links| {
        let capacities = prop::collection::vec((1u32..5).prop_map(f64::from), links);
        let cap = prop_oneof![Just(f64::MAX), (1u32..4).prop_map(f64::from)];
        let flow = (cap, hops(links, (1u32..4).prop_map(f64::from)));
        (capacities, prop::collection::vec(flow, 1..24))
    });
    let arbitrary = (1usize..10).prop_flat_map(|links| {
        let capacities = prop::collection::vec(0.01f64..100.0, links);
        let cap = prop_oneof![Just(f64::MAX), 0.001f64..10.0];
        (capacities, prop::collection::vec((cap, hops(links, 0.1f64..16.0)), 1..24))
    });
    prop_oneof![round, arbitrary]
}

fn scripts() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0usize..24, prop::bool::weighted(0.6)), 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn ripple_is_the_textbook((capacities, flows) in networks(), script in scripts()) {
        check_script(&capacities, &flows, &script, 1000);
    }

    #[test]
    fn filling_is_the_textbook((capacities, flows) in networks(), script in scripts()) {
        check_script(&capacities, &flows, &script, 0);
    }

    /// Where propagation gives up midway, what it leaves behind does no harm.
    #[test]
    fn both_in_turn_are_the_textbook((capacities, flows) in networks(), script in scripts()) {
        check_script(&capacities, &flows, &script, 1);
    }

    #[test]
    fn tiny_networks_are_exact(
        capacities in prop::collection::vec(1i128..7, 3),
        flows in prop::collection::vec(
            (1i128..9, prop::collection::btree_map(0usize..3, 1i128..4, 1..=3)),
            1..5,
        ),
    ) {
        let flows: Vec<exact::Flow> =
            flows.into_iter().map(|(cap, hops)| (cap, hops.into_iter().collect())).collect();
        let exact = exact::allocations(&capacities, &flows);
        prop_assert_eq!(exact.len(), 1, "the fair allocation is unique");
        let floats: Vec<Flow> = flows
            .iter()
            .map(|(cap, hops)| {
                let hop = |&(link, m): &(usize, i128)| Hop { link: link as u32, multiplicity: m as f64 };
                (*cap as f64, hops.iter().map(hop).collect())
            })
            .collect();
        let links: Vec<f64> = capacities.iter().map(|&c| c as f64).collect();
        let script: Vec<Step> = (0..flows.len()).map(|f| (f, f + 1 == flows.len())).collect();
        check_script(&links, &floats, &script, 4);
        for (rate, expected) in textbook(&links, &floats).iter().zip(&exact[0]) {
            prop_assert!((rate - expected.to_f64()).abs() <= 1e-12 * expected.to_f64());
        }
    }
}

#[test]
fn fractions_reduce() {
    assert_eq!(Fraction::new(6, -4), Fraction::new(-3, 2));
    assert_eq!(Fraction::new(0, 7), Fraction::whole(0));
}

/// A flow that crosses two links with unequal company: each link's others share what it leaves.
#[test]
fn the_classic_example() {
    let hop = |link| Hop { link, multiplicity: 1.0 };
    let flows = [
        (f64::MAX, vec![hop(0), hop(1)]),
        (f64::MAX, vec![hop(0)]),
        (f64::MAX, vec![hop(1)]),
        (f64::MAX, vec![hop(1)]),
    ];
    let rates = textbook(&[10.0, 9.0], &flows);
    assert!(
        rates.iter().zip([3.0, 7.0, 3.0, 3.0]).all(|(r, e)| (r - e).abs() < 1e-12),
        "{rates:?}"
    );
    check_script(&[10.0, 9.0], &flows, &[(0, false), (1, false), (2, false), (3, true)], 4);
}

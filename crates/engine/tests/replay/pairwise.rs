//! Connections that move apart: against closed forms, an oracle, and the bundle.

use motley_job::{Call, Job};
use motley_units::Time;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::fluid::{Transfer, arrivals};
use crate::jobs::{Crossed, Hand, check, collective, compute, moves, ns, run, run_unreduced};
use crate::random::{Links, scripts};

const GB: f64 = 1e9;

/// A bundle leaves what its slowest connection does not use; connections that move apart take their
/// share of every link first, and leave all of it when they are done.
#[test]
fn apart_and_as_one_share_unlike() {
    let job = |apart| {
        let mut hand = Hand::new(&[GB, GB]);
        let connections = vec![vec![(0, 1.0)], vec![(1, 1.0)]];
        let ring = hand.comm_over(&[0], &[Crossed { connections, apart }], &[moves(1000.0)]);
        let others = [(1, 0), (2, 0), (3, 1)]
            .map(|(rank, link)| hand.comm(&[rank], &[(link, 1.0)], &[moves(1000.0)]));
        let comms = std::iter::once(ring).chain(others);
        hand.job(comms.map(|comm| vec![collective(comm, 0)]).collect())
    };
    // As one: a third of link 0 for each of three, the rest of link 1 for its other flow.
    assert_eq!(check(&job(false), &[3000, 3000, 3000, 1500].map(ns)).flows, 4);
    // Apart: a third of link 0, half of link 1.
    assert_eq!(check(&job(true), &[3000, 3000, 3000, 2000].map(ns)).flows, 5);
}

/// Connections end one by one; what they leave goes to those that still move.
#[test]
fn connections_end_one_by_one() {
    let mut hand = Hand::new(&[3.0 * GB, 2.0 * GB]);
    // 1, 1 and 2 bytes per ns: the last ends first.
    let fan = [&[(0, 1.0), (1, 1.0)][..], &[(0, 1.0), (1, 1.0)], &[(0, 0.5)]];
    let fan = hand.comm_apart(&[0], &fan, &[Call { latency: ns(7), ..moves(600.0) }]);
    let other = hand.comm(&[1], &[(0, 1.0)], &[moves(1200.0)]);
    let job =
        hand.job(vec![vec![collective(fan, 0)], vec![compute(7 + 600), collective(other, 0)]]);
    check(&job, &[ns(7 + 600), ns(7 + 600 + 400)]);
}

/// A network, one communicator on it, and its call.
#[derive(Clone, Debug)]
struct Alone {
    capacities: Vec<f64>,
    connections: Vec<Vec<(u32, f64)>>,
    call: Call,
}

impl Alone {
    fn job(&self, apart: bool) -> Job {
        let mut hand = Hand::new(&self.capacities);
        let crossed = Crossed { connections: self.connections.clone(), apart };
        let comm = hand.comm_over(&[0], &[crossed], &[self.call]);
        hand.job(vec![vec![collective(comm, 0)]])
    }
}

/// Up to a dozen connections across up to eight links, in round numbers, where ties abound, or in
/// arbitrary ones.
fn alone() -> impl Strategy<Value = Alone> {
    let strategy =
        |capacity: BoxedStrategy<f64>, weight: BoxedStrategy<f64>, cap: BoxedStrategy<f64>| {
            let connection = btree_map(0u32..8, weight, 1..6)
                .prop_map(|links| links.into_iter().collect::<Vec<_>>());
            (vec(capacity, 8), vec(connection, 1..12), 0u32..3, 1e3..1e8f64, cap).prop_map(
                |(capacities, connections, latency, bytes, rate_cap)| Alone {
                    capacities,
                    connections,
                    call: Call {
                        bytes,
                        latency: ns(latency.into()),
                        rate_cap,
                        footprint: 0,
                        processors: 0.0,
                    },
                },
            )
        };
    let whole = |range: std::ops::Range<u32>| range.prop_map(f64::from);
    prop_oneof![
        strategy(
            whole(1..5).prop_map(|c| c * GB).boxed(),
            whole(1..4).boxed(),
            prop_oneof![Just(f64::INFINITY), Just(GB)].boxed()
        ),
        strategy(
            (0.01f64..100.0).prop_map(|c| c * GB).boxed(),
            (0.1f64..16.0).boxed(),
            prop_oneof![Just(f64::INFINITY), 1e6..1e10f64].boxed()
        ),
    ]
}

/// The rounding of one transfer: a picosecond up, and the relative precision of rates.
fn rounding(time: Time) -> u64 {
    1 + (time.as_picos() as f64 * 1e-12) as u64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// On an idle network an instance takes as long apart as it takes as one: by the solver, with
    /// an event for each connection, and by the closed form.
    #[test]
    fn alone_it_makes_no_difference(alone in alone()) {
        let (bundle, apart) = (alone.job(false), alone.job(true));
        let expected = run(&bundle).end;
        let solved = run_unreduced(&apart);
        prop_assert_eq!(solved.flows as usize, alone.connections.len());
        prop_assert!(solved.end.as_picos().abs_diff(expected.as_picos()) <= rounding(expected));
        let reduced = run(&apart);
        prop_assert_eq!((reduced.end, reduced.flows), (expected, 0));
    }

    /// One communicator after the other, they never meet: nor does it make a difference.
    #[test]
    fn in_turns_it_makes_no_difference(script in scripts(Links::Shared, false)) {
        let mut script = script;
        // Rank 0 is a member of all and stands in each.
        for comm in &mut script.comms {
            comm.members.retain(|&member| member != 0);
            comm.members.insert(0, 0);
            comm.lanes[0] = 0;
        }
        let apart = run(&script.plain());
        prop_assert_eq!(apart.flows, 0);
        prop_assert_eq!(apart.finish, run(&script.bundled().plain()).finish);
    }

    /// No link moves more than it can, in either way.
    #[test]
    fn links_obey_their_capacity(script in scripts(Links::Shared, true)) {
        let moved = script.moved();
        for job in [script.plain(), script.clone().bundled().plain()] {
            let outcome = run(&job);
            let seconds = outcome.end.as_secs_f64();
            for (link, &moved) in job.links.iter().zip(&moved) {
                prop_assert!(moved <= link.capacity * seconds * (1.0 + 1e-9));
            }
        }
    }

    /// Several communicators at once, some apart and some as one, against a fluid that is worked
    /// out from one arrival to the next by textbook filling.
    #[test]
    fn many_at_once_are_the_fluid(
        capacities in vec((1u32..9).prop_map(|c| f64::from(c) * GB), 5),
        transfers in vec(transfer(), 1..7),
    ) {
        let mut hand = Hand::new(&capacities);
        let mut programs = Vec::new();
        for (rank, transfer) in (0u32..).zip(&transfers) {
            let Transfer { start, bytes, rate_cap, ref connections } = *transfer;
            let apart = connections.len() > 1;
            let crossed = Crossed { connections: connections.clone(), apart };
            let call = Call { rate_cap, ..moves(bytes) };
            let comm = hand.comm_over(&[rank], &[crossed], &[call]);
            programs.push(vec![compute(start), collective(comm, 0)]);
        }
        let job = hand.job(programs);
        let expected = arrivals(&capacities, &transfers);
        for outcome in [run(&job), run_unreduced(&job)] {
            for (finish, expected) in outcome.finish.iter().zip(&expected) {
                let error = (finish.as_picos() as f64 - expected * 1e12).abs();
                // Each arrival before it was rounded up.
                prop_assert!(error <= 40.0, "{finish} is not {expected} s");
            }
        }
    }
}

/// A transfer that starts within the first microseconds.
fn transfer() -> impl Strategy<Value = Transfer> {
    let connection = btree_map(0u32..5, (1u32..4).prop_map(f64::from), 1..4)
        .prop_map(|links| links.into_iter().collect::<Vec<_>>());
    let cap = prop_oneof![Just(f64::INFINITY), (1u32..30).prop_map(|cap| f64::from(cap) * 1e8)];
    (0u64..4, 1u32..9, cap, vec(connection, 1..6)).prop_map(
        |(start, bytes, rate_cap, connections)| Transfer {
            start: start * 700,
            bytes: f64::from(bytes) * 997.0,
            rate_cap,
            connections,
        },
    )
}

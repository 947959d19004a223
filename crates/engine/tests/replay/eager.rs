//! Communicators whose instances end without an event behave as if each end were one.

use motley_engine::{Engine, Jitter, Law, Options, Silent, replay};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::jobs::{
    Hand, TwoStages, collective, compute, issue, moves_on, run, run_unreduced, wait_for,
};

/// One phase of every member's program, with the compute times of each member.
#[derive(Clone, Debug)]
enum Phase {
    /// Compute, then a blocking call.
    Blocking(Vec<u64>),
    /// A call behind compute.
    Hidden(Vec<u64>),
    /// Two calls behind compute, the second issued before the first is awaited.
    Nested(Vec<u64>),
}

fn phase() -> impl Strategy<Value = Phase> {
    let times = || vec(0u64..50, 8);
    prop_oneof![
        times().prop_map(Phase::Blocking),
        times().prop_map(Phase::Hidden),
        times().prop_map(Phase::Nested),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn settling_at_once_is_exact(
        ranks in 2u32..5,
        phases in vec(phase(), 1..12),
        sizes in vec(1.0f64..80.0, 2),
        taken in prop_oneof![Just(0.0), 0.1f64..7.9],
    ) {
        let mut hand = Hand::new(&[1e9, 1e9]);
        let members: Vec<u32> = (0..ranks).collect();
        // Two groups, so that events of others fall between; each with a link of its own.
        let calls = [moves_on(taken, sizes[0]), moves_on(taken / 3.0, sizes[1])];
        let group = hand.comm(&members, &[(0, 1.0)], &calls);
        let sent = hand.comm(&[0], &[(1, 1.0)], &calls);
        let mut programs = Vec::new();
        for rank in 0..ranks {
            let time = |times: &[u64], nth: usize| compute(times[(rank as usize + 4 * nth) % 8]);
            let (mut ops, mut called) = (Vec::new(), 0);
            for (nth, phase) in phases.iter().enumerate() {
                match phase {
                    Phase::Blocking(times) => {
                        ops.extend([time(times, 0), collective(group, (nth % 2) as u16)]);
                        called += 1;
                    }
                    Phase::Hidden(times) => {
                        ops.extend([issue(group, 0, 0), time(times, 0), wait_for(group, called)]);
                        called += 1;
                    }
                    Phase::Nested(times) => {
                        ops.extend([
                            issue(group, 0, 0),
                            time(times, 0),
                            issue(group, 1, 0),
                            wait_for(group, called),
                            time(times, 1),
                            wait_for(group, called + 1),
                        ]);
                        called += 2;
                    }
                }
                // The first rank sends, the last receives: a queue event in between.
                if rank == 0 {
                    ops.push(issue(sent, 0, 1));
                }
                if rank + 1 == ranks {
                    ops.push(wait_for(sent, nth as u32));
                }
            }
            programs.push(ops);
        }
        let job = hand.job(programs);
        let (fast, slow) = (run(&job), run_unreduced(&job));
        prop_assert_eq!(&fast.finish, &slow.finish);
        prop_assert_eq!(fast.digest, slow.digest);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Two tensor-parallel groups, one behind the other, each of one program and unlike cards: their
    /// members are taken through it together, and no time differs from taking them one by one.
    #[test]
    fn walking_side_by_side_is_exact(
        slow in vec(0.5f64..2.0, 2..9),
        phases in vec(phase(), 1..8),
        sizes in vec(1.0f64..80.0, 3),
        taken in prop_oneof![Just(0.0), 0.1f64..7.9],
        jitter in any::<bool>(),
    ) {
        let stages = TwoStages::new(&slow, &sizes, taken);
        let TwoStages { groups, down, up, all, .. } = stages;
        let program = |stage: usize| {
            let (group, mut ops, mut called) = (groups[stage], Vec::new(), 0);
            for (nth, phase) in phases.iter().enumerate() {
                if stage == 1 {
                    ops.push(wait_for(down, nth as u32));
                }
                let (Phase::Blocking(times) | Phase::Hidden(times) | Phase::Nested(times)) = phase;
                match phase {
                    Phase::Blocking(_) => {
                        ops.extend([compute(times[stage]), collective(group, 0)]);
                        called += 1;
                    }
                    Phase::Hidden(_) => {
                        ops.extend([issue(group, 1, 0), compute(times[stage]), wait_for(group, called)]);
                        called += 1;
                    }
                    Phase::Nested(_) => {
                        ops.extend([
                            issue(group, 0, 0),
                            compute(times[stage]),
                            issue(group, 1, 0),
                            wait_for(group, called),
                            compute(times[stage + 2]),
                            wait_for(group, called + 1),
                        ]);
                        called += 2;
                    }
                }
                ops.push(issue([down, up][stage], 0, 1));
            }
            if stage == 0 {
                ops.extend((0..phases.len() as u32).map(|nth| wait_for(up, nth)));
            }
            ops.extend([collective(all, 0), compute(3), collective(group, 1)]);
            ops
        };
        let job = stages.job(program);
        let jitter = jitter.then_some(Jitter { relative_deviation: 0.3, law: Law::default() });
        let options = Options { jitter, ..Options::default() };
        let outcome = |engine: &Engine| replay(engine, &options, &mut Silent).unwrap();
        let fast = outcome(&Engine::new(&job).unwrap());
        let slow = outcome(&Engine::unreduced(&job).unwrap());
        prop_assert_eq!(&fast.finish, &slow.finish);
        prop_assert_eq!(fast.digest, slow.digest);
        prop_assert_eq!(fast.instances, slow.instances);
    }
}

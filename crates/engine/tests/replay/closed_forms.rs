//! Jobs whose times can be written down.

use crate::jobs::{Hand, check, collective, compute, engine, issue, moves, ns, run, wait_for};
use motley_engine::Engine;
use motley_job::{Call, JobError, Op};
use motley_units::Time;

/// One byte per nanosecond.
const GB: f64 = 1e9;

/// 1F1B of `stages` stages and `batches` micro-batches, transfers free: each stage is idle for
/// (P - 1) of (m + P - 1) forward and backward times (Narayanan et al. 2021, section 2.2).
fn check_pipeline(stages: usize, batches: usize, forward: u64, backward: u64) {
    let mut hand = Hand::new(&[]);
    let free = [moves(0.0)];
    let down: Vec<_> = (1..stages).map(|s| hand.comm(&[s as u32 - 1], &[], &free)).collect();
    let up: Vec<_> = (1..stages).map(|s| hand.comm(&[s as u32], &[], &free)).collect();
    let programs = (0..stages).map(|stage| {
        let mut ops = Vec::new();
        let push_forward = |ops: &mut Vec<Op>, batch: usize| {
            if stage > 0 {
                ops.push(wait_for(down[stage - 1], batch as u32));
            }
            ops.push(compute(forward));
            if stage + 1 < stages {
                ops.push(issue(down[stage], 0, 0));
            }
        };
        let push_backward = |ops: &mut Vec<Op>, batch: usize| {
            if stage + 1 < stages {
                ops.push(wait_for(up[stage], batch as u32));
            }
            ops.push(compute(backward));
            if stage > 0 {
                ops.push(issue(up[stage - 1], 0, 1));
            }
        };
        let warm = (stages - stage - 1).min(batches);
        (0..warm).for_each(|batch| push_forward(&mut ops, batch));
        for batch in 0..batches - warm {
            push_forward(&mut ops, warm + batch);
            push_backward(&mut ops, batch);
        }
        (batches - warm..batches).for_each(|batch| push_backward(&mut ops, batch));
        ops
    });
    let job = hand.job(programs.collect());
    let outcome = run(&job);
    let work = ns((forward + backward) * batches as u64);
    assert_eq!(outcome.end, ns((forward + backward) * (batches + stages - 1) as u64));
    let idle = (outcome.end - work).as_picos() as f64 / outcome.end.as_picos() as f64;
    let bubble = (stages - 1) as f64 / (batches + stages - 1) as f64;
    assert!((idle - bubble).abs() < 1e-12);
    assert_eq!(outcome.instances as usize, 2 * (stages - 1) * batches);
}

#[test]
fn pipeline_bubble() {
    for (stages, batches) in [(1, 1), (1, 5), (2, 1), (4, 4), (4, 9), (8, 32), (5, 3)] {
        check_pipeline(stages, batches, 100, 200);
        check_pipeline(stages, batches, 70, 70);
    }
}

/// A ring of n ranks moves 2 (n - 1) / n of the buffer over each of its links.
#[test]
fn ring_all_reduce() {
    for n in [2u32, 4, 8] {
        let mut hand = Hand::new(&vec![10.0 * GB; n as usize]);
        let links: Vec<(u32, f64)> = (0..n).map(|link| (link, 1.0)).collect();
        let members: Vec<u32> = (0..n).collect();
        let latency = ns(u64::from(2 * (n - 1)) * 5);
        let bytes = 80_000.0 * 2.0 * f64::from(n - 1) / f64::from(n);
        let ring = hand.comm(&members, &links, &[Call { latency, ..moves(bytes) }]);
        let job =
            hand.job((0..n).map(|r| vec![compute(u64::from(r)), collective(ring, 0)]).collect());
        let end = ns(u64::from(n - 1)) + latency + ns((bytes / 10.0) as u64);
        check(&job, &vec![end; n as usize]);
    }
}

/// Two ranks send over one link; each flow has half of it while both are there.
#[test]
fn flows_share_a_link_and_free_it() {
    for (first, second, late, expected) in [
        (1000.0, 1000.0, 0, [2000, 2000]),
        (1000.0, 3000.0, 0, [2000, 4000]),
        (1000.0, 1000.0, 500, [1500, 2000]),
        (1000.0, 1000.0, 1000, [1000, 2000]),
        (1000.0, 1000.0, 5000, [1000, 6000]),
    ] {
        let mut hand = Hand::new(&[GB]);
        let a = hand.comm(&[0], &[(0, 1.0)], &[moves(first)]);
        let b = hand.comm(&[1], &[(0, 1.0)], &[moves(second)]);
        let job = hand.job(vec![vec![collective(a, 0)], vec![compute(late), collective(b, 0)]]);
        let outcome = check(&job, &expected.map(ns));
        assert_eq!(outcome.flows, 2);
    }
}

#[test]
fn multiplicities_caps_and_latencies() {
    let mut hand = Hand::new(&[8.0 * GB, 2.0 * GB]);
    let slow = Call { rate_cap: 0.5 * GB, latency: ns(7), ..moves(1000.0) };
    let wide = hand.comm(&[0], &[(0, 4.0), (1, 2.0)], &[moves(1000.0), slow]);
    let other = hand.comm(&[1], &[(1, 1.0)], &[moves(1000.0)]);
    let job = hand.job(vec![
        vec![collective(wide, 0), collective(wide, 1)],
        vec![compute(9000), collective(other, 0)],
    ]);
    // Alone: min(8 / 4, 2 / 2) = 1 byte per ns; then the cap of one half.
    check(&job, &[ns(1000 + 7 + 2000), ns(9000 + 500)]);

    let mut hand = Hand::new(&[3.0 * GB]);
    let wide = hand.comm(&[0], &[(0, 2.0)], &[moves(1000.0)]);
    let other = hand.comm(&[1], &[(0, 1.0)], &[moves(1000.0)]);
    let job = hand.job(vec![vec![collective(wide, 0)], vec![collective(other, 0)]]);
    // Two connections of one and one of the other, all at one byte per ns.
    check(&job, &[ns(1000), ns(1000)]);
}

#[test]
fn issued_calls_overlap_compute() {
    let mut hand = Hand::new(&[GB]);
    let comm = hand.comm(&[0], &[(0, 1.0)], &[moves(600.0)]);
    let overlapped = |work| vec![issue(comm, 0, 0), compute(work), wait_for(comm, 0), compute(10)];
    let longer = hand.job(vec![overlapped(1000)]);
    check(&longer, &[ns(1010)]);
    let mut hand = Hand::new(&[GB]);
    let comm = hand.comm(&[0], &[(0, 1.0)], &[moves(600.0)]);
    let shorter =
        hand.job(vec![vec![issue(comm, 0, 0), compute(100), wait_for(comm, 0), compute(10)]]);
    check(&shorter, &[ns(610)]);
}

/// Calls on one stream follow one another; calls on two streams run side by side.
#[test]
fn streams_are_in_order_and_independent() {
    for (stream, expected) in [(0, 1300), (1, 1000)] {
        let mut hand = Hand::new(&[GB, GB]);
        let a = hand.comm(&[0, 1], &[(0, 1.0)], &[moves(300.0)]);
        let b = hand.comm(&[0], &[(1, 1.0)], &[moves(1000.0)]);
        let job = hand.job(vec![
            vec![issue(b, 0, 0), issue(a, 0, stream), wait_for(a, 0), wait_for(b, 0)],
            vec![issue(a, 0, 0), compute(5), wait_for(a, 0)],
        ]);
        let second = if stream == 0 { expected } else { 300 };
        check(&job, &[ns(expected), ns(second)]);
    }
}

/// A rank that has run ahead of the clock does not go back when what it awaits ends before.
#[test]
fn awaiting_the_past_is_free() {
    let mut hand = Hand::new(&[GB]);
    let comm = hand.comm(&[0], &[(0, 1.0)], &[moves(100.0)]);
    let job = hand.job(vec![
        vec![collective(comm, 0), collective(comm, 0), collective(comm, 0)],
        vec![compute(250), wait_for(comm, 1), wait_for(comm, 0), wait_for(comm, 2), compute(1)],
    ]);
    check(&job, &[ns(300), ns(301)]);
}

/// A rank that calls one communicator from two streams keeps the order of its program.
#[test]
fn calls_of_a_communicator_keep_their_order() {
    let mut hand = Hand::new(&[GB]);
    let comm = hand.comm(&[0, 1], &[(0, 1.0)], &[moves(100.0), moves(1.0)]);
    let job = hand.job(vec![
        vec![issue(comm, 0, 0), issue(comm, 1, 1), collective(comm, 0)],
        vec![compute(50), collective(comm, 0), collective(comm, 1), collective(comm, 0)],
    ]);
    check(&job, &[ns(251), ns(251)]);
}

#[test]
fn empty_jobs_end_at_zero() {
    let job = Hand::new(&[]).job(vec![Vec::new(), Vec::new()]);
    assert_eq!(check(&job, &[Time::ZERO; 2]).operations, 0);
    assert_eq!(run(&Hand::new(&[]).job(Vec::new())).end, Time::ZERO);
}

/// Times saturate at the far end instead of wrapping around.
#[test]
fn absurd_durations_saturate() {
    let mut hand = Hand::new(&[1e-3]);
    let comm = hand.comm(&[0], &[(0, 1.0)], &[moves(1e300)]);
    let forever = Op::Compute { tag: crate::jobs::TAG, kernels: 0, duration: Time::MAX };
    let job = hand.job(vec![vec![forever, forever, collective(comm, 0), compute(1)]]);
    check(&job, &[Time::MAX]);
}

/// The links that a job's solver sees.
fn solved(hand: Hand, programs: Vec<Vec<Op>>) -> usize {
    engine(&hand.job(programs)).solved_links()
}

#[test]
fn only_links_that_can_bind_are_solved() {
    let two = |hand: &mut Hand, a: &[(u32, f64)], b: &[(u32, f64)]| {
        (hand.comm(&[0, 1], a, &[moves(1.0)]), hand.comm(&[0, 2], b, &[moves(1.0)]))
    };
    let apart = |a, b| {
        vec![vec![issue(a, 0, 0), issue(b, 0, 1)], vec![collective(a, 0)], vec![collective(b, 0)]]
    };
    let same_lane = |a, b| {
        vec![vec![issue(a, 0, 0), issue(b, 0, 0)], vec![collective(a, 0)], vec![collective(b, 0)]]
    };
    let blocking = |a, b| {
        vec![
            vec![collective(a, 0), collective(b, 0)],
            vec![collective(a, 0)],
            vec![collective(b, 0)],
        ]
    };

    let mut hand = Hand::new(&[GB]);
    let (a, b) = two(&mut hand, &[(0, 1.0)], &[(0, 1.0)]);
    assert_eq!(solved(hand, apart(a, b)), 1, "both streams at once");
    let mut hand = Hand::new(&[GB]);
    let (a, b) = two(&mut hand, &[(0, 1.0)], &[(0, 1.0)]);
    assert_eq!(solved(hand, same_lane(a, b)), 0, "one stream, one at a time");
    let mut hand = Hand::new(&[GB]);
    let (a, b) = two(&mut hand, &[(0, 1.0)], &[(0, 1.0)]);
    assert_eq!(solved(hand, blocking(a, b)), 0, "rank 0 stands in one at a time");

    let mut hand = Hand::new(&[GB, GB, 2.0 * GB]);
    let (a, b) = two(&mut hand, &[(0, 1.0), (2, 1.0)], &[(1, 1.0), (2, 1.0)]);
    assert_eq!(solved(hand, apart(a, b)), 0, "no oversubscription");
    let mut hand = Hand::new(&[GB, GB, 1.9 * GB]);
    let (a, b) = two(&mut hand, &[(0, 1.0), (2, 1.0)], &[(1, 1.0), (2, 1.0)]);
    assert_eq!(solved(hand, apart(a, b)), 1, "oversubscribed");

    let mut hand = Hand::new(&[2.0 * GB, GB, 3.0 * GB]);
    let (a, b) = two(&mut hand, &[(0, 1.0), (1, 1.0), (2, 2.0)], &[(0, 3.0), (1, 2.0), (2, 6.0)]);
    assert_eq!(solved(hand, apart(a, b)), 2, "links 0 and 2 constrain alike");
}

/// A rank that calls a communicator through two slots would call twice as often as the others.
#[test]
fn aliased_slots_are_refused() {
    let mut hand = Hand::new(&[]);
    let comm = hand.comm(&[0, 1], &[], &[moves(0.0)]);
    let mut job = hand.job(vec![vec![collective(comm, 0)], vec![]]);
    job.programs[0].ops.push(Op::Collective {
        tag: crate::jobs::TAG,
        slot: motley_job::Slot(1),
        call: 0,
    });
    job.ranks[0].slots.push(comm);
    job.ranks[1].slots.clear();
    assert!(matches!(Engine::new(&job), Err(JobError::Mismatched { rank: 0, .. })));
}

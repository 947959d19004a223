//! Jobs that cannot end, and how that is said.

use crate::jobs::{Hand, collective, compute, engine, issue, moves, ns, wait_for};
use motley_engine::{Deadlock, Options, Silent, replay};
use motley_job::{CommId, Job, Op};

fn deadlock(job: &Job) -> Deadlock {
    replay(&engine(job), &Options::default(), &mut Silent).expect_err("stuck")
}

/// A job over these communicators that move nothing.
fn job(members: &[&[u32]], programs: Vec<Vec<Op>>) -> Job {
    let mut hand = Hand::new(&[]);
    for members in members {
        hand.comm(members, &[], &[moves(0.0)]);
    }
    hand.job(programs)
}

const A: CommId = CommId(0);
const B: CommId = CommId(1);
const C: CommId = CommId(2);

fn check(job: &Job, message: &str) -> Deadlock {
    let deadlock = deadlock(job);
    assert_eq!(deadlock.to_string(), message);
    deadlock
}

#[test]
fn collectives_in_opposite_order() {
    let job = job(
        &[&[0, 1], &[0, 1]],
        vec![
            vec![compute(5), collective(A, 0), collective(B, 0)],
            vec![collective(B, 0), collective(A, 0)],
        ],
    );
    let found = check(
        &job,
        "deadlock at 0 ns: rank 0 (op 1, `op`) waits for instance 0 of communicator 0, \
         which rank 1 has not joined; rank 1 (op 0, `op`) waits for instance 0 of communicator 1, \
         which rank 0 has not joined; in a circle: rank 0 waits for rank 1 waits for rank 0",
    );
    assert_eq!((found.stuck, found.waiting.len(), found.cycle.len()), (2, 2, 2));
}

#[test]
fn a_circle_of_three_behind_a_bystander() {
    let job = job(
        &[&[0, 1], &[1, 2], &[1, 3], &[2, 3]],
        vec![
            vec![collective(A, 0)],
            vec![compute(2), collective(B, 0), collective(C, 0), collective(A, 0)],
            vec![collective(CommId(3), 0), collective(B, 0)],
            vec![collective(C, 0), collective(CommId(3), 0)],
        ],
    );
    let found = deadlock(&job);
    let circle: Vec<u32> = found.cycle.iter().map(|waiting| waiting.rank.0).collect();
    assert_eq!(circle, [1, 2, 3]);
    assert_eq!(found.stuck, 4);
}

/// Streams can block each other although no compute stream waits.
#[test]
fn streams_in_opposite_order() {
    let job = job(
        &[&[0, 1], &[0, 1]],
        vec![
            vec![issue(A, 0, 2), issue(B, 0, 2)],
            vec![issue(B, 0, 0), issue(A, 0, 0), compute(9)],
        ],
    );
    let found = check(
        &job,
        "deadlock at 0 ns: rank 0, stream 2 (op 0, `op`) waits for instance 0 of communicator 0, \
         which rank 1 has not joined; rank 1, stream 0 (op 0, `op`) waits for instance 0 of \
         communicator 1, which rank 0 has not joined; \
         in a circle: rank 0 waits for rank 1 waits for rank 0",
    );
    assert_eq!(found.at, ns(0));
}

#[test]
fn an_instance_that_nobody_makes() {
    let job =
        job(&[&[0]], vec![vec![collective(A, 0), compute(3)], vec![compute(1), wait_for(A, 1)]]);
    let found = check(
        &job,
        "deadlock at 0 ns: rank 1 (op 1, `op`) waits for instance 1 of communicator 0, \
         which rank 0 has not joined",
    );
    assert!(found.cycle.is_empty());
}

#[test]
fn many_are_summed_up() {
    let members: Vec<u32> = (0..40).collect();
    let mut programs = vec![vec![collective(A, 0)]; 40];
    programs[39] = vec![wait_for(B, 0), collective(A, 0)];
    let found = deadlock(&job(&[&members, &[0]], programs));
    assert_eq!((found.stuck, found.waiting.len()), (40, 16));
    assert!(found.to_string().ends_with(", which rank 39 has not joined; and 36 more"), "{found}");
}

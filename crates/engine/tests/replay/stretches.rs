//! What is passed over because it is known comes out as if it were walked through.

use motley_engine::{Engine, Observer, Options, Outcome, replay};
use motley_job::{CommId, Job, Op, RankId, Tag};
use motley_units::Time;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::jobs::{Hand, TwoStages, collective, compute, issue, moves, wait_for};

/// Adds up what ranks and communicators do.
#[derive(Debug, PartialEq, Eq)]
struct Sums {
    takes_summaries: bool,
    times: u64,
    passed: u64,
    computed: Vec<u64>,
    slowed: Vec<u64>,
    /// Standing still before the transfer began, and while it ran.
    waited: Vec<[u64; 2]>,
    transferred: Vec<(u64, u64)>,
}

impl Sums {
    fn new(job: &Job, takes_summaries: bool) -> Self {
        Self {
            takes_summaries,
            times: 1,
            passed: 0,
            computed: vec![0; job.ranks.len()],
            slowed: vec![0; job.ranks.len()],
            waited: vec![[0; 2]; job.ranks.len()],
            transferred: vec![(0, 0); job.communicators.len()],
        }
    }
}

impl Observer for Sums {
    fn compute(&mut self, rank: RankId, _: Tag, start: Time, end: Time) {
        self.computed[rank.0 as usize] += self.times * (end - start).as_picos();
    }

    fn slow_down(&mut self, rank: RankId, _: Tag, by: Time) {
        assert!(by > Time::ZERO);
        self.slowed[rank.0 as usize] += self.times * by.as_picos();
    }

    fn wait(
        &mut self,
        rank: RankId,
        _: CommId,
        _: u16,
        _: Tag,
        from: Time,
        start: Time,
        end: Time,
    ) {
        let begun = start.clamp(from, end);
        let [before, during] = &mut self.waited[rank.0 as usize];
        *before += self.times * (begun - from).as_picos();
        *during += self.times * (end - begun).as_picos();
    }

    fn transfer(&mut self, comm: CommId, _: u16, _: u32, start: Time, end: Time) {
        let (count, spent) = &mut self.transferred[comm.0 as usize];
        *count += self.times;
        *spent += self.times * (end - start).as_picos();
    }

    fn summarises(&self, _: CommId) -> bool {
        self.takes_summaries
    }

    fn pass_over(&mut self, operations: u64) {
        self.passed += operations;
    }

    fn repeat(&mut self, times: u64) {
        self.times = times;
    }
}

/// One layer of a pass: compute times before, beside and behind, and how the group meets in it.
type Layer = (u8, u64, u64);

/// Layers, some of them several times in a row.
fn layers() -> impl Strategy<Value = Vec<Layer>> {
    let part = (vec((0u8..4, 0u64..60, 0u64..60), 1..4), 1usize..4);
    vec(part.prop_map(|(layers, times)| layers.repeat(times)), 1..3)
        .prop_map(|parts| parts.concat())
}

fn observe(job: &Job, unreduced: bool, takes_summaries: bool) -> (Outcome, Sums) {
    let engine =
        if unreduced { Engine::unreduced(job) } else { Engine::new(job) }.expect("well-formed");
    let mut sums = Sums::new(job, takes_summaries);
    let outcome = replay(&engine, &Options::default(), &mut sums).expect("no circle");
    (outcome, sums)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Two groups of unlike cards, one behind the other, send micro-batches down and up.
    #[test]
    fn passing_over_is_exact(
        slow in vec(0.5f64..2.0, 2..9),
        forward in layers(),
        backward in layers(),
        micro_batches in 1u32..7,
        sizes in vec(1.0f64..80.0, 3),
        taken in prop_oneof![Just(0.0), 0.1f64..7.9],
        bucket in prop::option::of(0u32..7),
    ) {
        let stages = TwoStages::new(&slow, &sizes, taken);
        let TwoStages { groups, down, up, all, .. } = stages;
        let pass = |ops: &mut Vec<Op>, called: &mut u32, group, layers: &[Layer]| {
            for &(kind, before, beside) in layers {
                ops.push(compute(before));
                match kind {
                    0 => ops.push(collective(group, 0)),
                    1 => ops.extend([issue(group, 1, 0), compute(beside), wait_for(group, *called)]),
                    2 => ops.extend([
                        issue(group, 0, 0),
                        compute(beside),
                        issue(group, 1, 0),
                        wait_for(group, *called),
                        compute(before),
                        wait_for(group, *called + 1),
                    ]),
                    _ => {}
                }
                *called += [1, 1, 2, 0][usize::from(kind)];
            }
        };
        let program = |stage: usize| {
            let (group, mut ops, mut called) = (groups[stage], Vec::new(), 0);
            for micro_batch in 0..micro_batches {
                // From here on all cards move something beside what else they do.
                if bucket == Some(micro_batch) {
                    ops.push(issue(all, 1, 2));
                }
                if stage == 1 {
                    ops.push(wait_for(down, micro_batch));
                    pass(&mut ops, &mut called, group, &forward);
                    pass(&mut ops, &mut called, group, &backward);
                    ops.push(issue(up, 0, 1));
                } else {
                    pass(&mut ops, &mut called, group, &forward);
                    ops.push(issue(down, 0, 1));
                    if let Some(back) = micro_batch.checked_sub(1) {
                        ops.push(wait_for(up, back));
                        pass(&mut ops, &mut called, group, &backward);
                    }
                }
            }
            ops.push(collective(all, 0));
            ops
        };
        let job = stages.job(program);
        let (outcome, mut sums) = observe(&job, false, true);
        let (walked, all_told) = observe(&job, false, false);
        prop_assert_eq!(&outcome, &walked);
        prop_assert_eq!(sums.times, 1);
        (sums.takes_summaries, sums.passed) = (false, 0);
        prop_assert_eq!(&sums, &all_told);

        let plain = job.without_segments();
        prop_assert!(plain.segments.is_empty());
        prop_assert_eq!(&observe(&plain, false, true).0, &outcome);
        let (slow, slow_sums) = observe(&plain, true, true);
        prop_assert_eq!(&slow.finish, &outcome.finish);
        prop_assert_eq!(slow.digest, outcome.digest);
        prop_assert_eq!(&slow_sums.computed, &all_told.computed);
        prop_assert_eq!(&slow_sums.slowed, &all_told.slowed);
        prop_assert_eq!(&slow_sums.waited, &all_told.waited);
        prop_assert_eq!(&slow_sums.transferred, &all_told.transferred);
    }
}

/// Of eight equal passes the first two are walked through: the second begins with the members apart.
/// Of the others only what comes before they meet is.
#[test]
fn equal_passes_are_passed_over() {
    let mut hand = Hand::new(&[1e9, 1e9]);
    let group = hand.comm(&[0, 1], &[(0, 1.0)], &[moves(10.0)]);
    let sent = hand.comm(&[0, 1], &[(1, 1.0)], &[moves(10.0)]);
    let pass = [compute(5), collective(group, 0), compute(7), collective(group, 0), compute(9)];
    let ops = (0..8).flat_map(|_| pass.into_iter().chain([issue(sent, 0, 1)])).collect();
    let job = hand.job_of_groups(vec![(ops, vec![1.0, 1.5])]);
    let (outcome, sums) = observe(&job, false, true);
    assert_eq!((outcome.operations, sums.passed), (2 * 8 * 6, 2 * 6 * 3));
    assert_eq!(sums.computed, [8 * 21_000, 8 * 31_500]);
}

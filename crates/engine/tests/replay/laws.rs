//! What holds of every job: checked on random ones.

use std::collections::BTreeMap;

use crate::jobs::{
    Hand, collective, compute, engine, issue, moves, ns, observe, run, run_unreduced, wait_for,
};
use crate::random::{self, Links, scripts};
use crate::reference;
use motley_engine::{Jitter, Law, Observer, Options, Silent, replay};
use motley_job::{CommId, Job, ProgramId, RankId, Tag};
use motley_units::Time;
use proptest::prelude::*;

/// Checks that what is told of each rank leaves no gap, and what is told of each communicator is
/// in order.
#[derive(Default)]
struct Ledger {
    local: BTreeMap<RankId, Time>,
    done: BTreeMap<CommId, (u32, Time)>,
    finished: Vec<RankId>,
}

impl Observer for Ledger {
    fn compute(&mut self, rank: RankId, _: Tag, start: Time, end: Time) {
        assert_eq!(self.local.insert(rank, end).unwrap_or_default(), start);
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
        assert_eq!(self.local.insert(rank, end).unwrap_or_default(), from);
        assert!(from < end && start <= end);
    }
    fn transfer(&mut self, comm: CommId, _: u16, sequence: u32, start: Time, end: Time) {
        let (next, last) = self.done.get(&comm).copied().unwrap_or_default();
        assert_eq!(sequence, next);
        assert!(last <= start && start <= end);
        self.done.insert(comm, (next + 1, end));
    }
    fn finish(&mut self, rank: RankId, at: Time) {
        assert_eq!(self.local.get(&rank).copied().unwrap_or_default(), at);
        self.finished.push(rank);
    }
}

/// Scripts in which ranks may, or may not, call a communicator from several lanes.
fn mixed_or_not(links: Links) -> impl Strategy<Value = random::Script> {
    any::<bool>().prop_flat_map(move |mixed| scripts(links, mixed))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Without sharing, a replay is a longest path.
    #[test]
    fn uncontended_is_the_longest_path(script in mixed_or_not(Links::Own)) {
        let job = script.plain();
        prop_assert_eq!(&run(&job).finish, &script.longest_paths());
    }

    /// What preparation leaves out of the solver changes nothing, to the picosecond.
    #[test]
    fn reduction_is_exact(script in mixed_or_not(Links::Shared)) {
        let job = script.plain();
        let (reduced, full) = (run(&job), run_unreduced(&job));
        prop_assert_eq!(&reduced.finish, &full.finish);
        prop_assert_eq!(reduced.digest, full.digest);
    }

    /// With links shared, compute slowed by calls beside it and calls delayed by compute, all comes
    /// out as when it is worked out the plain way.
    #[test]
    fn replays_agree_with_the_reference(script in mixed_or_not(Links::Shared)) {
        let job = script.plain();
        for (finish, expected) in run(&job).finish.iter().zip(reference::finish(&job)) {
            let off = (finish.as_picos() as f64 - expected).abs();
            // Whole picoseconds at each event, and what comes of that where rates are shared.
            prop_assert!(off <= 300.0, "{finish:?} and {expected}");
        }
    }

    /// A rank's spans leave no gap, a communicator's instances follow one another, and an observer
    /// changes nothing.
    #[test]
    fn every_moment_is_told_once(script in scripts(Links::Shared, true)) {
        let job = script.plain();
        let mut both = (Ledger::default(), Ledger::default());
        let outcome = observe(&job, &mut both);
        prop_assert_eq!(both.0.finished.len(), job.ranks.len());
        let transfers: u32 = both.0.done.values().map(|&(count, _)| count).sum();
        prop_assert_eq!(u64::from(transfers), outcome.instances);
        prop_assert_eq!(both.0.local, both.1.local);
        prop_assert_eq!(outcome, run(&job));
    }

    /// To begin later is to compute for so long before.
    #[test]
    fn a_start_is_a_computation_before(
        script in scripts(Links::Shared, true),
        nanos in prop::collection::vec(0..3000u64, 6),
    ) {
        let job = script.plain();
        let starts: Vec<Time> =
            nanos.iter().take(job.ranks.len()).map(|&nanos| ns(nanos)).collect();
        let options = Options { starts: Some(&starts), ..Options::default() };
        // Slowness would stretch the computation, too.
        let even: Vec<f64> = vec![1.0; job.ranks.len()];
        let options = Options { slowness: Some(&even), ..options };
        let mut before = job.clone();
        for (rank, &nanos) in before.ranks.iter_mut().zip(&nanos) {
            let mut program = before.programs[rank.program.0 as usize].clone();
            program.ops.insert(0, compute(nanos));
            before.programs.push(program);
            rank.program = ProgramId(before.programs.len() as u32 - 1);
            rank.slowness = 1.0;
        }
        let later = replay(&engine(&job), &options, &mut Silent).unwrap();
        prop_assert_eq!(&later.finish, &run(&before).finish);
        prop_assert_eq!(later.digest, run(&before).digest);
    }

    /// Ranks have no order: renamed ranks finish when they did.
    #[test]
    fn relabelling_changes_nothing(
        script in scripts(Links::Shared, true),
        label in Just((0..6u32).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut order: Vec<u32> = label.into_iter().filter(|&l| l < script.ranks).collect();
        order.truncate(script.ranks as usize);
        let before = run(&script.plain()).finish;
        let after = run(&script.job(&order)).finish;
        for (rank, &label) in order.iter().enumerate() {
            prop_assert_eq!(before[rank], after[label as usize]);
        }
    }

    /// Links twice as fast move everything in half the time.
    #[test]
    fn capacity_scales_communication(script in scripts(Links::Shared, false)) {
        let mut slow = script;
        slow.steps.retain(|step| !matches!(step, random::Step::Compute { .. }));
        for call in slow.comms.iter_mut().flat_map(|comm| &mut comm.calls) {
            call.latency = Time::ZERO;
        }
        let mut fast = slow.clone();
        fast.capacities.iter_mut().for_each(|capacity| *capacity *= 2.0);
        for call in fast.comms.iter_mut().flat_map(|comm| &mut comm.calls) {
            call.rate_cap *= 2.0;
        }
        let (slow, fast) = (run(&slow.plain()), run(&fast.plain()));
        let doubled = 2.0 * fast.end.as_picos() as f64;
        // Each completion rounds up once, and so does each flow.
        let slack = 4.0 * ((slow.instances + slow.flows) as f64 + 1.0);
        prop_assert!((slow.end.as_picos() as f64 - doubled).abs() <= slack);
    }
}

/// A job with all kinds of operations, shared links and private ones.
fn everything() -> Job {
    let mut hand = Hand::new(&[1e9, 2e9, 3e9]);
    let group = hand.comm(&[0, 1], &[(1, 1.0)], &[moves(500.0)]);
    let down = hand.comm(&[0], &[(0, 1.0)], &[moves(700.0)]);
    let up = hand.comm(&[2], &[(0, 1.0), (2, 2.0)], &[moves(900.0)]);
    let first = vec![
        compute(300),
        collective(group, 0),
        issue(down, 0, 0),
        compute(300),
        wait_for(up, 0),
        collective(group, 0),
    ];
    let second = vec![compute(500), collective(group, 0), compute(40), collective(group, 0)];
    let third = vec![compute(700), issue(up, 0, 1), wait_for(down, 0), compute(5)];
    hand.job(vec![first, second, third])
}

#[test]
fn the_digest_is_pinned_and_repeats() {
    let job = everything();
    let engine = engine(&job);
    let outcome = |options| replay(&engine, &options, &mut Silent).unwrap();
    let plain = outcome(Options::default());
    assert_eq!(plain, outcome(Options { seed: 5, iteration: 9, ..Options::default() }));
    assert_eq!(plain.digest, 2_515_247_831_975_877_938);
    let jitter = Some(Jitter { relative_deviation: 0.1, law: Law::LogNormal });
    let noisy = outcome(Options { seed: 5, jitter, ..Options::default() });
    assert_eq!(noisy, outcome(Options { seed: 5, jitter, ..Options::default() }));
    assert_eq!(noisy.digest, 666_953_262_349_864_832);
    for other in [
        Options { seed: 6, jitter, ..Options::default() },
        Options { seed: 5, iteration: 1, jitter, ..Options::default() },
    ] {
        assert_ne!(noisy.digest, outcome(other).digest);
    }
}

#[test]
fn slowness_and_jitter_multiply_compute() {
    let job =
        Hand::new(&[]).job_of_unlike(vec![(vec![compute(100); 3], 1.5), (vec![compute(100)], 2.0)]);
    let prepared = engine(&job);
    let finish = |options| replay(&prepared, &options, &mut Silent).unwrap().finish;
    assert_eq!(finish(Options::default()), [ns(450), ns(200)]);
    let shorter = Options { slowness: Some(&[1.25]), ..Options::default() };
    assert_eq!(finish(shorter), [ns(375), ns(200)]);
    let jitter = |relative_deviation| Some(Jitter { relative_deviation, law: Law::LogNormal });
    let still = Options { jitter: jitter(0.0), ..Options::default() };
    assert_eq!(finish(still), [ns(450), ns(200)]);
    let noisy = Options { jitter: jitter(0.1), ..Options::default() };
    let [first, second] = finish(noisy)[..] else { unreachable!() };
    assert!(first != ns(450) && second != ns(200));

    // Another rank on the same cluster does not change the draws of these.
    let job = Hand::new(&[]).job_of_unlike(vec![
        (vec![compute(100); 3], 1.5),
        (vec![compute(100)], 2.0),
        (vec![compute(100); 7], 1.0),
    ]);
    let more = replay(&engine(&job), &noisy, &mut Silent).unwrap().finish;
    assert_eq!(more[..2], [first, second]);
}

//! Known waits go where they belong, and parts sum to the whole exactly.

use motley_engine::{Jitter, Law, Options};
use motley_job::{RankId, Tag};
use motley_report::{ComputeKind, Report, ReportError, Run, balanced_slowness, text};
use motley_scheduler::Traffic;
use motley_units::Time;

use crate::fixture::{DATA, Fixture, Hand, Stages, mixed, plan, run};

const MICRO: u64 = 1_000_000;

/// Nothing moves in context- and expert-parallel groups, or to hosts, and nobody waits for launches.
fn micros([compute, slowed, tensor, pipeline, data, bubble, straggling]: [u64; 7]) -> [Time; 11] {
    // Doubled, because the mean of two ranks may end in half a microsecond.
    [compute, slowed, tensor, 0, 0, pipeline, data, 0, 0, bubble, straggling]
        .map(|half| Time::from_picos(half * MICRO / 2))
}

/// Expected parts in half microseconds: compute, overlap slow-down, exposed TP, PP, DP, bubble, straggler wait.
fn check(fixture: &Fixture, balanced: Option<&Run>, expected: [u64; 7]) {
    let run = fixture.run();
    let report = Report::new(&fixture.subject(), std::slice::from_ref(&run), balanced).unwrap();
    assert_eq!(report.breakdown.parts(), micros(expected));
    assert_eq!(report.breakdown.total(), run.outcome.end);
}

fn two_stages(job: motley_job::Job) -> Fixture {
    Fixture::new(plan(&[(1, &[(&[0], 6), (&[1], 6)])]), job, vec![1e9, 1e9])
}

fn two_pipelines(job: motley_job::Job) -> Fixture {
    let pipelines: [(u32, Stages); 2] = [(1, &[(&[0], 12)]), (1, &[(&[2], 12)])];
    Fixture::new(plan(&pipelines), job, vec![1e9, 1e9])
}

/// Stage 0 computes 10, sends 4; stage 1 computes 5.
fn hand_over() -> Fixture {
    let mut hand = Hand::new();
    let send = hand.communicator(Traffic::PipelineParallel, &[0], 4);
    let ops =
        vec![hand.compute("forward", 0, 10), hand.issue("send", 0, send, motley_job::Stream(1))];
    hand.rank(ops);
    let ops = vec![hand.wait("receive", 0, send, 0), hand.compute("forward", 0, 5)];
    hand.rank(ops);
    two_stages(hand.finish())
}

#[test]
fn a_stage_waits_for_the_one_before() {
    // Rank 0: 10 compute, 9 idle at the end. Rank 1: 10 waiting, 4 transfer, 5 compute.
    check(&hand_over(), None, [15, 0, 0, 4, 0, 19, 0]);
}

#[test]
fn dependency_waits_beyond_those_of_balanced_compute_are_straggling() {
    let fixture = hand_over();
    let slowness = balanced_slowness(&fixture.lowered);
    // Both take 2 / (1 / 10 + 1 / 5) = 6 2/3.
    assert!((slowness[0] - 2.0 / 3.0).abs() < 1e-12 && (slowness[1] - 4.0 / 3.0).abs() < 1e-12);
    let balanced =
        run(&fixture.lowered, &Options { slowness: Some(&slowness), ..Options::default() });
    // Balanced: 6.67 waiting, 4 transfer, 6.67 compute; idle 10.67. Dependency waits 17.33 of 19.
    let one = fixture.run();
    let report = Report::new(&fixture.subject(), &[one], Some(&balanced)).unwrap();
    let bubble = report.breakdown.bubble.as_secs_f64() * 1e6;
    let straggler = report.breakdown.straggler_wait.as_secs_f64() * 1e6;
    assert!((bubble - 26.0 / 3.0).abs() < 1e-5, "{bubble}");
    assert!((straggler - 5.0 / 6.0).abs() < 1e-5, "{straggler}");
    let imbalance = report.imbalance.unwrap();
    assert!((imbalance.loss_ratio - (1.0 - 52.0 / 57.0)).abs() < 1e-6, "{}", imbalance.loss_ratio);
    assert_eq!(imbalance.kind, "stage imbalance");
}

#[test]
fn members_wait_for_the_slowest_at_collectives() {
    for (class, part) in [(Traffic::TensorParallel, 2), (Traffic::DataParallel, 4)] {
        let mut hand = Hand::new();
        let comm = hand.communicator(class, &[0, 1], 2);
        for duration in [3, 5] {
            let ops = vec![hand.compute("forward", 0, duration), hand.collective("x", comm)];
            hand.rank(ops);
        }
        // Rank 0 waits 2, then both 2 for the transfer.
        let mut expected = [8, 0, 0, 0, 0, 0, 2];
        expected[part] = 4;
        check(&two_pipelines(hand.finish()), None, expected);
    }
}

#[test]
fn the_gradient_norm_is_a_dependency_and_its_transfer_data_parallel() {
    let mut hand = Hand::new();
    let comm = hand.communicator(Traffic::GradientNorm, &[0, 1], 2);
    for duration in [3, 5] {
        let ops =
            vec![hand.compute("forward", 0, duration), hand.collective("gradient norm", comm)];
        hand.rank(ops);
    }
    check(&two_stages(hand.finish()), None, [8, 0, 0, 0, 4, 2, 0]);
}

#[test]
fn earlier_buckets_in_the_queue_are_transfer() {
    let mut hand = Hand::new();
    // Two communicators on one stream, three instances: 4 + 3 + 4.
    let first = hand.communicator(Traffic::DataParallel, &[0, 1], 4);
    let second = hand.communicator(Traffic::DataParallel, &[0, 1], 3);
    for duration in [10, 20] {
        let mut ops = vec![hand.compute("backward", 0, duration)];
        for comm in [first, second, first] {
            ops.push(hand.issue("gradient all-reduce", Tag::NO_INDEX, comm, DATA));
        }
        ops.push(hand.wait("gradient all-reduce", Tag::NO_INDEX, first, 1));
        ops.push(hand.wait("gradient all-reduce", Tag::NO_INDEX, second, 0));
        hand.rank(ops);
    }
    // The awaited instance starts at 27, but the rank's gradients move from 20 on.
    check(&two_pipelines(hand.finish()), None, [30, 0, 0, 0, 22, 0, 10]);
}

#[test]
fn hidden_transfer_costs_nothing() {
    let mut hand = Hand::new();
    let comm = hand.communicator(Traffic::DataParallel, &[0, 1], 4);
    for _ in 0..2 {
        let ops = vec![
            hand.compute("backward", 0, 10),
            hand.issue("gradient all-reduce", Tag::NO_INDEX, comm, DATA),
            hand.compute("backward", 1, 7),
            hand.wait("gradient all-reduce", Tag::NO_INDEX, comm, 0),
        ];
        hand.rank(ops);
    }
    check(&two_pipelines(hand.finish()), None, [34, 0, 0, 0, 0, 0, 0]);
}

/// A call that takes half of the processors, for 6 of the 10 that the kernels behind it need.
#[test]
fn what_calls_take_from_kernels_is_told_apart() {
    let mut hand = Hand::new();
    let comm = hand.communicator(Traffic::DataParallel, &[0, 1], 6);
    for _ in 0..2 {
        let ops = vec![
            hand.compute("backward", 0, 4),
            hand.issue("gradient all-reduce", Tag::NO_INDEX, comm, DATA),
            hand.compute("backward", 1, 10),
            hand.wait("gradient all-reduce", Tag::NO_INDEX, comm, 0),
        ];
        hand.rank(ops);
    }
    let mut job = hand.finish();
    job.call_sets[0].calls[0].processors = 16.0;
    job.ranks.iter_mut().for_each(|rank| rank.processors = 32.0);
    let fixture = two_pipelines(job);
    check(&fixture, None, [28, 6, 0, 0, 0, 0, 0]);
    let account = fixture.run().account;
    let micros = |micros| Time::from_picos(micros * MICRO);
    for rank in (0..2).map(RankId) {
        assert_eq!(account.compute_of(rank, ComputeKind::Backward), micros(14));
        assert_eq!((account.slowed(rank), account.computing(rank)), (micros(3), micros(17)));
    }
    let run = fixture.run();
    let report = Report::new(&fixture.subject(), &[run], None).unwrap();
    let page = text(&report);
    assert!(page.contains("+ overlap slow-down 17.6 %"), "{page}");
}

#[test]
fn sums_are_exact_under_jitter() {
    let fixture = mixed();
    let jitter = Some(Jitter { relative_deviation: 0.1, law: Law::LogNormal });
    let runs: Vec<Run> = (0..5)
        .map(|iteration| {
            run(&fixture.lowered, &Options { seed: 3, iteration, jitter, ..Options::default() })
        })
        .collect();
    for run in &runs {
        for rank in (0..4).map(RankId) {
            let account = &run.account;
            let waits: Time = Traffic::ALL
                .into_iter()
                .map(|class| account.exposed(rank, class) + account.waiting(rank, class))
                .sum();
            assert_eq!(account.computing(rank) + waits, account.finish_of(rank));
        }
    }
    let slowness = balanced_slowness(&fixture.lowered);
    let balanced =
        run(&fixture.lowered, &Options { slowness: Some(&slowness), ..Options::default() });
    for balanced in [None, Some(&balanced)] {
        for runs in [&runs[..1], &runs[..]] {
            let report = Report::new(&fixture.subject(), runs, balanced).unwrap();
            let breakdown = report.breakdown;
            assert_eq!(breakdown.total(), report.iteration_time.mean);
            let computed = breakdown.computed;
            let kinds = [computed.forward, computed.backward, computed.recompute, computed.other];
            assert_eq!(kinds.into_iter().sum::<Time>(), breakdown.compute);
            for card in report.card_types.iter().filter_map(|card| card.used.as_ref()) {
                let sum = card.compute_ratio + card.exposed_ratio + card.wait_ratio;
                assert!((sum - 1.0).abs() < 1e-12, "{sum}");
            }
        }
    }
}

#[test]
fn balanced_compute_is_equal_and_as_fast_as_all_cards_together() {
    let fixture = mixed();
    let before = fixture.run();
    let slowness = balanced_slowness(&fixture.lowered);
    let after = run(&fixture.lowered, &Options { slowness: Some(&slowness), ..Options::default() });
    let seconds = |run: &Run, rank| run.account.computing(RankId(rank)).as_secs_f64();
    let flops = &fixture.lowered.model_flops;
    let work: f64 = flops.iter().sum();
    let rate: f64 = (0..4).map(|r| flops[r as usize] / seconds(&before, r)).sum();
    for rank in 0..4 {
        assert!((seconds(&after, rank) * rate / work - 1.0).abs() < 1e-9);
    }
}

#[test]
fn the_interval_is_students() {
    let fixture = two_pipelines({
        let mut hand = Hand::new();
        for duration in [10, 10] {
            let ops = vec![hand.compute("forward", 0, duration)];
            hand.rank(ops);
        }
        hand.finish()
    });
    // Iterations of 10, 20 and 30 us: deviation 10, t = 4.3027 for two degrees of freedom.
    let runs: Vec<Run> = [1.0, 2.0, 3.0]
        .map(|factor| {
            let slowness = [factor, 1.0];
            run(&fixture.lowered, &Options { slowness: Some(&slowness), ..Options::default() })
        })
        .into();
    let time = Report::new(&fixture.subject(), &runs, None).unwrap().iteration_time;
    assert_eq!(time.mean, Time::from_picos(20 * MICRO));
    assert_eq!((time.min, time.max), (Time::from_picos(10 * MICRO), Time::from_picos(30 * MICRO)));
    let half_width = time.ci95_half_width_s.unwrap() * 1e6;
    assert!((half_width - 4.302_7 * 10.0 / 3f64.sqrt()).abs() < 1e-3, "{half_width}");
}

#[test]
fn replays_of_another_job_are_refused() {
    let (small, large) = (hand_over(), mixed());
    assert_eq!(Report::new(&small.subject(), &[], None), Err(ReportError::NoRuns));
    let found = Report::new(&small.subject(), &[small.run(), large.run()], None);
    assert_eq!(found, Err(ReportError::OtherJob { run: 1, found: 4, expected: 2 }));
}

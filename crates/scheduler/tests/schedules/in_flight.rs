//! What stages hold at their fullest moments.

use motley_scheduler::Schedule;
use motley_scheduler::schedule::{InFlight, peak_in_flight};

use crate::setup::{H1, H2, automatic, equal, played, zb_v, zero_bubble};

/// The fullest moment of each stage, in micro-batches of a whole stage; a micro-batch that waits
/// for its weight gradients holds `deferred` of it.
fn peaks(schedule: Schedule, chunks: u32, stages: u32, micro_batches: u32) -> Vec<(f64, InFlight)> {
    let placement = schedule.placement(stages, chunks);
    let limit = match schedule.activation_limit() {
        Some(motley_scheduler::ActivationLimit::Stages(factor)) => factor,
        _ => f64::INFINITY,
    };
    let costs = equal(&placement, [1.0, 1.0, 1.0], limit);
    let (orders, _) = played(schedule, &placement, micro_batches, &costs);
    let of_stage = |(stage, order): (usize, &Vec<_>)| {
        let chunks = &costs.stages[stage].chunks;
        let kept: Vec<f64> = chunks.iter().map(|chunk| chunk.kept).collect();
        let deferred: Vec<f64> = chunks.iter().map(|chunk| chunk.deferred).collect();
        peak_in_flight(order, &kept, &deferred)
    };
    orders.iter().enumerate().map(of_stage).collect()
}

fn check(schedule: Schedule, chunks: u32, stages: u32, micro_batches: u32, expected: &[f64]) {
    let found: Vec<f64> =
        peaks(schedule, chunks, stages, micro_batches).into_iter().map(|(held, _)| held).collect();
    let what = format!("{}, {stages} stages, {micro_batches}", schedule.name());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{what}: {found} is not {expected}");
    }
    assert_eq!(found.len(), expected.len(), "{what}");
}

#[test]
fn whole_backward_passes() {
    for (stages, micro_batches) in [(4u32, 8u32), (4, 2), (8, 8), (2, 64)] {
        let by_stage = |held: &dyn Fn(u32) -> u32| -> Vec<f64> {
            (0..stages).map(|stage| f64::from(held(stage))).collect()
        };
        check(Schedule::GPipe, 1, stages, micro_batches, &by_stage(&|_| micro_batches));
        let one = by_stage(&|stage| (stages - stage).min(micro_batches));
        check(Schedule::OneFOneB, 1, stages, micro_batches, &one);
        if micro_batches.is_multiple_of(stages) {
            let expected: Vec<f64> = by_stage(&|stage| {
                (2 * (stages - stage - 1) + 2 * stages + 1).min(3 * micro_batches)
            })
            .iter()
            .map(|chunks| chunks / 3.0)
            .collect();
            check(Schedule::Interleaved, 3, stages, micro_batches, &expected);
            // One chunk more, as long as there is another micro-batch.
            let paired: Vec<f64> = by_stage(&|stage| {
                (2 * (stages - stage - 1) + 2 * stages + 2).min(3 * micro_batches)
            })
            .iter()
            .map(|chunks| chunks / 3.0)
            .collect();
            check(Schedule::Paired, 3, stages, micro_batches, &paired);
        }
    }
}

/// Qi et al. 2024 (arXiv 2401.10241), section 2.3, with worker `i` counted from one:
/// `(p - i + 1) M_B + (i - 1) M_W` under ZB-H1, `(2 p - 2 i + 1) M_B + (2 i - 2) M_W` under ZB-H2.
#[test]
fn handcrafted_zero_bubble() {
    let deferred = 0.6;
    for (stages, micro_batches) in [(2u32, 8u32), (4, 12), (8, 32)] {
        let expected = |whole: &dyn Fn(f64) -> f64, waiting: &dyn Fn(f64) -> f64| -> Vec<f64> {
            let worker = |stage: u32| f64::from(stage + 1);
            (0..stages).map(|s| whole(worker(s)) + deferred * waiting(worker(s))).collect()
        };
        let p = f64::from(stages);
        let h1 = expected(&|i| p - i + 1.0, &|i| i - 1.0);
        check(zero_bubble(H1), 1, stages, micro_batches, &h1);
        let h2 = expected(&|i| 2.0 * p - 2.0 * i + 1.0, &|i| 2.0 * i - 2.0);
        check(zero_bubble(H2), 1, stages, micro_batches, &h2);
    }
}

/// The fullest stage of ZB-1p holds what that of 1F1B holds, that of ZB-2p about twice as much; all
/// stages of ZB-V hold as much as the fullest of 1F1B.
#[test]
fn automatic_zero_bubble() {
    let fullest = |schedule, chunks, stages, micro_batches| {
        let peaks = peaks(schedule, chunks, stages, micro_batches);
        peaks.iter().map(|&(held, _)| held).fold(0.0, f64::max)
    };
    for stages in [2u32, 4, 8, 16] {
        let p = f64::from(stages);
        for micro_batches in [2 * stages, 4 * stages] {
            let one = fullest(Schedule::OneFOneB, 1, stages, micro_batches);
            assert!((one - p).abs() < 1e-6);
            assert!((fullest(automatic(1.0), 1, stages, micro_batches) - p).abs() < 1e-6);
            let two = fullest(automatic(2.0), 1, stages, micro_batches);
            assert!(two > 2.0 * p - 1.0 - 1e-6 && two <= 2.0 * p + 1e-6, "{stages}: {two}");
            for (stage, (held, _)) in
                peaks(zb_v(), 2, stages, micro_batches).into_iter().enumerate()
            {
                assert!((held - p).abs() <= 0.5 + 1e-6, "stage {stage} of {stages}: {held}");
                assert!(held <= p + 1e-6, "stage {stage} of {stages}: {held}");
            }
        }
    }
}

/// `p + 1` on every stage (DeepSeek-V3, Table 2), of which a stage of DualPipe holds two copies of
/// the parameters; DualPipeV on half of the stages as many chunks.
#[test]
fn dualpipe() {
    for (stages, extra) in [(2u32, 0u32), (4, 4), (8, 0), (8, 6)] {
        let expected = vec![f64::from(stages + 1); stages as usize];
        check(Schedule::DualPipe, 2, stages, 2 * stages + extra, &expected);
        let half = vec![f64::from(stages + 1) / 2.0; stages as usize / 2];
        check(Schedule::DualPipeV, 2, stages / 2, stages + extra, &half);
    }
}

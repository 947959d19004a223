//! Bubbles of equal stages with free transfers against their closed forms.

use motley_scheduler::Schedule;

use crate::setup::{H1, H2, automatic, equal, in_units, played, units, zb_v, zero_bubble};

/// Times of F, B, W of a whole stage: equal ones, and what transformers have, T_W <= T_F <= T_B.
const TIMES: [[f64; 3]; 4] = [[1.0, 1.0, 1.0], [1.0, 1.0, 0.6], [2.0, 2.5, 1.5], [1.0, 1.25, 0.75]];

/// The bubble: what an iteration takes beyond the work of a stage.
fn bubble(
    schedule: Schedule,
    chunks: u32,
    stages: u32,
    micro_batches: u32,
    times: [f64; 3],
    whole: bool,
) -> f64 {
    let placement = schedule.placement(stages, chunks);
    let costs = equal(&placement, times, limit(schedule));
    let (_, timeline) = played(schedule, &placement, micro_batches, &costs);
    let time = if whole { timeline.makespan() } else { timeline.longest_span() };
    in_units(time) - f64::from(micro_batches) * times.iter().sum::<f64>()
}

fn limit(schedule: Schedule) -> f64 {
    match schedule.activation_limit() {
        Some(motley_scheduler::ActivationLimit::Stages(factor)) => factor,
        _ => f64::INFINITY,
    }
}

fn check(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() < 1e-3, "{what}: found {found}, expected {expected}");
}

#[test]
fn whole_backward_passes() {
    for times in TIMES {
        let [f, b, w] = times;
        for (stages, micro_batches) in [(1, 1), (2, 2), (2, 9), (3, 4), (4, 4), (4, 16), (8, 24)] {
            let ahead = f64::from(stages - 1);
            for schedule in [Schedule::GPipe, Schedule::OneFOneB] {
                let found = bubble(schedule, 1, stages, micro_batches, times, true);
                let what = format!("{}, {stages}, {micro_batches}, {times:?}", schedule.name());
                check(found, ahead * (f + b + w), &what);
            }
        }
        for (stages, micro_batches) in [(2, 2), (2, 8), (3, 9), (4, 4), (4, 16), (8, 24)] {
            for chunks in [1, 2, 3, 4] {
                let found =
                    bubble(Schedule::Interleaved, chunks, stages, micro_batches, times, true);
                let expected = f64::from(stages - 1) * (f + b + w) / f64::from(chunks);
                check(found, expected, &format!("interleaved {chunks}, {stages}, {micro_batches}"));
                if chunks > 1 {
                    // Pairs that hide nothing from each other cost nothing, either.
                    let found =
                        bubble(Schedule::Paired, chunks, stages, micro_batches, times, true);
                    check(found, expected, &format!("paired {chunks}, {stages}, {micro_batches}"));
                }
            }
        }
        for micro_batches in [1, 2, 7] {
            let found = bubble(Schedule::Paired, 1, 1, micro_batches, times, true);
            check(found, 0.0, &format!("paired, one stage, {micro_batches}"));
        }
    }
}

/// Qi et al. 2024 (arXiv 2401.10241), Table 2.
#[test]
fn handcrafted_zero_bubble() {
    for times in TIMES {
        let [f, b, w] = times;
        for (stages, micro_batches) in [(1, 3), (2, 4), (2, 9), (4, 8), (4, 16), (8, 16), (8, 33)] {
            let ahead = f64::from(stages - 1);
            let what = format!("{stages} stages, {micro_batches}, {times:?}");
            for whole in [false, true] {
                let found = bubble(zero_bubble(H1), 1, stages, micro_batches, times, whole);
                check(found, ahead * (f + b - w), &format!("ZB-H1, {what}"));
            }
            let found = bubble(zero_bubble(H2), 1, stages, micro_batches, times, false);
            check(found, ahead * (f + b - 2.0 * w), &format!("ZB-H2, {what}"));
        }
    }
}

/// Iterations that begin on each stage as soon as it is done have no bubble at all where F, B and W
/// take equally long, with twice the memory or in the form of a V.
#[test]
fn no_bubble_at_all() {
    for stages in [1, 2, 3, 4, 8, 16] {
        for micro_batches in [2 * stages, 3 * stages + 1, 4 * stages] {
            for (schedule, chunks) in [(zero_bubble(H2), 1), (automatic(2.0), 1), (zb_v(), 2)] {
                let found = bubble(schedule, chunks, stages, micro_batches, [2.0, 2.0, 2.0], false);
                let what = format!("{}, {stages} stages, {micro_batches}", schedule.name());
                check(found, 0.0, &what);
            }
        }
    }
}

/// An automatic schedule finds no more bubble than the handcrafted one with the same memory.
#[test]
fn automatic_zero_bubble_within_the_memory_of_the_handcrafted() {
    for times in TIMES {
        let [f, b, w] = times;
        for (stages, micro_batches) in [(2, 4), (4, 8), (4, 16), (8, 16), (8, 33)] {
            let ahead = f64::from(stages - 1);
            let what = format!("{stages} stages, {micro_batches}, {times:?}");
            let one = bubble(automatic(1.0), 1, stages, micro_batches, times, false);
            assert!(one <= ahead * (f + b - w) + 1e-3, "ZB-1p, {what}: {one}");
            let two = bubble(automatic(2.0), 1, stages, micro_batches, times, false);
            assert!(two <= ahead * (f + b - 2.0 * w) + 1e-3, "ZB-2p, {what}: {two}");
        }
    }
}

/// A chunk of a V takes half the times of a stage: `(p - 1) (T_F + T_B - 2 T_W) / 2`, with an input
/// gradient as long as a forward pass.
#[test]
fn zero_bubble_in_a_vee() {
    for (f, w) in [(1.0, 1.0), (1.0, 0.6), (2.0, 1.0)] {
        for (stages, micro_batches) in [(2, 4), (4, 8), (4, 16), (8, 16), (8, 33)] {
            let found = bubble(zb_v(), 2, stages, micro_batches, [f, f, w], false);
            let expected = f64::from(stages - 1) * (f - w);
            let what = format!("ZB-V, {stages} stages, {micro_batches}, {f}, {w}: {found}");
            // Placing weight gradients by times may win one of them.
            assert!(found <= expected + 1e-3 && found >= expected - w / 2.0 - 1e-3, "{what}");
            let h1 = bubble(zero_bubble(H1), 1, stages, micro_batches, [f, f, w], false);
            assert!(found < h1, "half the bubble of ZB-1p or less, with its memory");
        }
    }
}

/// Fewer micro-batches than stages: `(m + p - 1) (T_F + T_B) + T_W` (Qi et al. 2024, appendix H).
#[test]
fn few_micro_batches() {
    for times in [[1.0, 1.0, 0.6], [2.0, 2.5, 1.5]] {
        let [f, b, w] = times;
        for (stages, micro_batches) in [(4, 1), (4, 2), (8, 2), (8, 4), (8, 8)] {
            for schedule in [automatic(1.0), automatic(2.0)] {
                let found = bubble(schedule, 1, stages, micro_batches, times, true);
                let m = f64::from(micro_batches);
                let expected = (m + f64::from(stages) - 1.0) * (f + b) + w - m * (f + b + w);
                let what = format!("{}, {stages} stages, {micro_batches}", schedule.name());
                assert!(found <= expected + 1e-3, "{what}: found {found}, expected {expected}");
            }
        }
    }
}

/// `(p/2 - 1) (F&B + B - 3 W)` (DeepSeek-V3, Table 2), with an input gradient as long as a forward
/// pass.
#[test]
fn dualpipe() {
    for (f, w) in [(1.0, 1.0), (1.0, 0.5), (2.0, 1.5)] {
        for overlapped in [1.0, 0.85, 0.7] {
            for (stages, extra) in [(2, 0), (2, 4), (4, 0), (4, 6), (8, 0), (8, 4), (16, 8)] {
                let whole = f + w;
                let together = overlapped * (f + whole);
                let expected = (f64::from(stages) / 2.0 - 1.0) * (together + whole - 3.0 * w);
                let what = format!("{stages} stages, {f}, {w}, {overlapped}");
                let idle = |schedule: Schedule, stages: u32, micro_batches: u32, scale: f64| {
                    let placement = schedule.placement(stages, 2);
                    let times = [f, f, w].map(|time| units(time * scale));
                    let mut costs = motley_scheduler::schedule::Costs::uniform(
                        &placement,
                        times,
                        0.6,
                        f64::INFINITY,
                    );
                    costs.overlapped = overlapped;
                    let (_, timeline) = played(schedule, &placement, micro_batches, &costs);
                    let idle = |stage| in_units(timeline.makespan() - timeline.busy(stage));
                    (0..stages as usize).map(idle).fold(0.0, f64::max)
                };
                check(idle(Schedule::DualPipe, stages, 2 * stages + extra, 1.0), expected, &what);
                // Half of the stages hold two chunks each, as many as DualPipe has stages.
                let half = idle(Schedule::DualPipeV, stages / 2, stages + extra, 2.0);
                check(half, expected, &format!("V, {what}"));
            }
        }
    }
}

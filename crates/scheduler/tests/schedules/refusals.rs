//! What schedules refuse, with the reason.

use motley_scheduler::Schedule;

use crate::setup::{H1, H2, automatic, zb_v, zero_bubble};

fn check(schedule: Schedule, stages: u32, chunks: u32, micro_batches: u32, expected: &[&str]) {
    let found = schedule.refusals(stages, chunks, micro_batches);
    let what = format!("{}, {stages} x {chunks}, {micro_batches}: {found:?}", schedule.name());
    assert_eq!(found.len(), expected.len(), "{what}");
    for (refusal, part) in found.iter().zip(expected) {
        assert!(refusal.message.contains(part), "{what}: lacks {part}");
        assert!(!refusal.help.is_empty());
    }
}

#[test]
fn refusals_have_reasons() {
    check(Schedule::Interleaved, 4, 2, 8, &[]);
    check(Schedule::Interleaved, 4, 1, 7, &[]);
    check(Schedule::Interleaved, 4, 2, 7, &["a multiple of the 4 stages, found 7"]);
    check(Schedule::Interleaved, 1, 2, 4, &["at least two stages"]);
    check(Schedule::Paired, 4, 2, 8, &[]);
    check(Schedule::Paired, 1, 1, 3, &[]);
    check(Schedule::Paired, 4, 2, 7, &["a multiple of the 4 stages, found 7"]);
    check(Schedule::Paired, 1, 2, 4, &["at least two stages"]);
    check(Schedule::Paired, 4, 1, 8, &["needs several chunks"]);
    for schedule in [Schedule::GPipe, Schedule::OneFOneB, zero_bubble(H1), zero_bubble(H2)] {
        check(schedule, 4, 1, 1, &[]);
        check(schedule, 4, 2, 8, &["2 model chunks"]);
    }
    check(automatic(1.0), 4, 1, 1, &[]);
    check(automatic(1.0), 4, 3, 1, &["3 model chunks"]);
    check(zb_v(), 3, 2, 1, &[]);
    check(zb_v(), 3, 1, 6, &["ZB-V takes 2"]);
    check(Schedule::DualPipe, 4, 2, 8, &[]);
    check(Schedule::DualPipe, 4, 2, 7, &["even number of micro-batches", "at least 8"]);
    check(Schedule::DualPipe, 3, 2, 8, &["even number of stages"]);
    check(Schedule::DualPipe, 4, 1, 8, &["DualPipe takes 2"]);
    check(Schedule::DualPipeV, 3, 2, 6, &[]);
    check(Schedule::DualPipeV, 3, 2, 5, &["at least 6 micro-batches, found 5"]);
}

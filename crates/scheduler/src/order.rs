//! Pipeline schedules as data: the order of passes on one stage.

use crate::plan::Schedule;

/// Forward or backward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// The forward pass.
    Forward,
    /// The backward pass.
    Backward,
}

/// One pass of one micro-batch through one model chunk of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    /// Which pass.
    pub direction: Direction,
    /// Which micro-batch of the pipeline, from zero.
    pub micro_batch: u32,
    /// Which model chunk of the stage, from zero.
    pub chunk: u32,
}

/// The passes of stage `stage` of `stages`, in order, each micro-batch and chunk once in each
/// direction.
///
/// - `GPipe` (Huang et al. 2019): all forward, then all backward passes.
/// - `OneFOneB` (`PipeDream`-Flush, Narayanan et al. 2020, arXiv 2006.09503): `stages - stage - 1` forward passes to
///   warm up, then one forward and one backward in turn, then the rest backward.
/// - `Interleaved` (Narayanan et al. 2021): the same over virtual stages. Micro-batches go in
///   groups of `stages` through chunk 0, then through chunk 1, ...; the warm-up is
///   `2 * (stages - stage - 1) + (chunks - 1) * stages` passes. The micro-batches must
///   fill the groups; stages would wait for each other in a smaller last one, which is why
///   Megatron-LM refuses it, too.
pub fn steps(
    schedule: Schedule,
    stage: u32,
    stages: u32,
    micro_batches: u32,
    chunks: u32,
) -> Vec<Step> {
    let forward = visits(stages, micro_batches, chunks, Direction::Forward);
    let backward = visits(stages, micro_batches, chunks, Direction::Backward);
    let total = forward.len();
    let ahead = (stages - stage - 1) as usize;
    let warm_up = match schedule {
        Schedule::GPipe => total,
        Schedule::OneFOneB => ahead.min(total),
        Schedule::Interleaved => (2 * ahead + (chunks as usize - 1) * stages as usize).min(total),
    };
    let mut order = Vec::with_capacity(2 * total);
    order.extend_from_slice(&forward[..warm_up]);
    for k in 0..total - warm_up {
        order.push(forward[warm_up + k]);
        order.push(backward[k]);
    }
    order.extend_from_slice(&backward[total - warm_up..]);
    order
}

/// The passes of one direction in the order of any schedule: micro-batches in groups of `stages`,
/// each group through all chunks, from the first chunk forward and from the last one backward.
fn visits(stages: u32, micro_batches: u32, chunks: u32, direction: Direction) -> Vec<Step> {
    let group = if chunks == 1 { micro_batches } else { stages };
    let mut list = Vec::with_capacity(micro_batches as usize * chunks as usize);
    let mut first = 0;
    while first < micro_batches {
        let end = micro_batches.min(first + group);
        for visit in 0..chunks {
            let chunk = match direction {
                Direction::Forward => visit,
                Direction::Backward => chunks - 1 - visit,
            };
            list.extend((first..end).map(|micro_batch| Step { direction, micro_batch, chunk }));
        }
        first = end;
    }
    list
}

/// The largest sum of `weight(chunk)` over the passes whose forward is done and whose backward is
/// not, and at which step it is first reached: the activations that a stage holds at its peak.
pub fn peak_in_flight(order: &[Step], weight: impl Fn(u32) -> f64) -> f64 {
    let mut held = 0.0f64;
    let mut peak = 0.0f64;
    for step in order {
        match step.direction {
            Direction::Forward => {
                held += weight(step.chunk);
                peak = peak.max(held);
            }
            Direction::Backward => held -= weight(step.chunk),
        }
    }
    peak
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn check_complete(schedule: Schedule, stages: u32, micro_batches: u32, chunks: u32) {
        for stage in 0..stages {
            let order = steps(schedule, stage, stages, micro_batches, chunks);
            let mut forward = BTreeSet::new();
            let mut backward = BTreeSet::new();
            for step in order {
                let key = (step.micro_batch, step.chunk);
                match step.direction {
                    Direction::Forward => assert!(forward.insert(key)),
                    Direction::Backward => {
                        assert!(forward.contains(&key), "backward before forward");
                        assert!(backward.insert(key));
                    }
                }
            }
            assert_eq!(forward.len(), (micro_batches * chunks) as usize);
            assert_eq!(forward, backward);
        }
    }

    #[test]
    fn every_pass_once_and_backward_after_forward() {
        for (stages, micro_batches) in [(1, 1), (1, 5), (4, 1), (4, 3), (4, 8), (3, 7), (8, 32)] {
            check_complete(Schedule::GPipe, stages, micro_batches, 1);
            check_complete(Schedule::OneFOneB, stages, micro_batches, 1);
            for chunks in 2..5 {
                check_complete(Schedule::Interleaved, stages, micro_batches, chunks);
            }
        }
    }

    #[test]
    fn in_flight_as_the_papers_say() {
        for (stages, micro_batches) in [(4, 8), (4, 2), (8, 8), (2, 64)] {
            for stage in 0..stages {
                let peak = |schedule, chunks| {
                    peak_in_flight(&steps(schedule, stage, stages, micro_batches, chunks), |_| 1.0)
                };
                assert!((peak(Schedule::GPipe, 1) - f64::from(micro_batches)).abs() < 1e-9);
                let one = f64::from((stages - stage).min(micro_batches));
                assert!((peak(Schedule::OneFOneB, 1) - one).abs() < 1e-9);
                // Interleaved: 2 (p - s - 1) + (v - 1) p + 1 chunk passes.
                let chunks = 3;
                let bound = 2 * (stages - stage - 1) + (chunks - 1) * stages + 1;
                let expected = f64::from(bound.min(micro_batches * chunks));
                assert!((peak(Schedule::Interleaved, chunks) - expected).abs() < 1e-9);
            }
        }
    }

    /// Plays the schedule with passes of fixed length and free transfers; the time of the last
    /// pass's end.
    fn makespan(
        schedule: Schedule,
        stages: u32,
        micro_batches: u32,
        chunks: u32,
        f: f64,
        b: f64,
    ) -> f64 {
        let orders: Vec<Vec<Step>> =
            (0..stages).map(|s| steps(schedule, s, stages, micro_batches, chunks)).collect();
        let virtual_stages = stages * chunks;
        let key = |d: Direction, mb: u32, v: u32| {
            ((d as u32 * micro_batches + mb) * virtual_stages + v) as usize
        };
        let mut done = vec![f64::NAN; 2 * (micro_batches * virtual_stages) as usize];
        let mut next = vec![0usize; stages as usize];
        let mut clock = vec![0.0f64; stages as usize];
        loop {
            let mut progress = false;
            for stage in 0..stages as usize {
                while let Some(step) = orders[stage].get(next[stage]) {
                    let v = step.chunk * stages + stage as u32;
                    let mb = step.micro_batch;
                    let (ready, length) = match step.direction {
                        Direction::Forward if v == 0 => (0.0, f),
                        Direction::Forward => (done[key(Direction::Forward, mb, v - 1)], f),
                        Direction::Backward if v + 1 == virtual_stages => {
                            (done[key(Direction::Forward, mb, v)], b)
                        }
                        Direction::Backward => (done[key(Direction::Backward, mb, v + 1)], b),
                    };
                    if ready.is_nan() {
                        break;
                    }
                    clock[stage] = clock[stage].max(ready) + length;
                    done[key(step.direction, mb, v)] = clock[stage];
                    next[stage] += 1;
                    progress = true;
                }
            }
            if !progress {
                break;
            }
        }
        assert!(done.iter().all(|time| !time.is_nan()), "the schedule deadlocks");
        clock.into_iter().fold(0.0, f64::max)
    }

    #[test]
    fn bubbles_equal_their_closed_forms() {
        let (f, b) = (1.0, 2.0);
        for (stages, micro_batches) in [(1, 1), (2, 2), (4, 4), (4, 16), (8, 24), (3, 9)] {
            let ideal = |chunks: u32| {
                // (m + (p - 1) / v) (f + b) v in units of a chunk's pass.
                f64::from(micro_batches * chunks + stages - 1) * (f + b)
            };
            for schedule in [Schedule::GPipe, Schedule::OneFOneB] {
                let time = makespan(schedule, stages, micro_batches, 1, f, b);
                assert!(
                    (time - ideal(1)).abs() < 1e-9,
                    "{schedule:?} {stages} {micro_batches}: {time}"
                );
            }
            for chunks in [2, 3] {
                let time = makespan(Schedule::Interleaved, stages, micro_batches, chunks, f, b);
                assert!(
                    (time - ideal(chunks)).abs() < 1e-9,
                    "interleaved {stages} {micro_batches} {chunks}: {time} != {}",
                    ideal(chunks)
                );
            }
        }
    }
}

//! What holds for every schedule, on equal and on unlike stages, for few and many micro-batches.

use std::collections::BTreeMap;

use motley_scheduler::Schedule;
use motley_scheduler::schedule::{
    Costs, Order, Pass, Placement, Played, Position, Step, Timeline, Turn, peak_in_flight, steps,
};
use motley_units::Time;

use crate::setup::{all, equal, played, unlike};

/// Each pass once: forward, then backward either whole or as input gradient and weight gradients;
/// in each chunk micro-batches follow one another, as boundaries send and receive them in order.
fn check_complete(orders: &[Order], placement: &Placement, micro_batches: u32, what: &str) {
    for (stage, order) in orders.iter().enumerate() {
        let mut passes: BTreeMap<(u32, u32), Vec<Pass>> = BTreeMap::new();
        let mut last: BTreeMap<(u32, bool), u32> = BTreeMap::new();
        for Step { pass, micro_batch, chunk } in steps(order) {
            passes.entry((chunk, micro_batch)).or_default().push(pass);
            if pass != Pass::WeightGradient {
                let before = last.insert((chunk, pass == Pass::Forward), micro_batch);
                assert!(
                    before < Some(micro_batch),
                    "{what}: stage {stage} chunk {chunk} goes back"
                );
            }
        }
        let mut expected = 0;
        for chunk in 0..placement.chunks() {
            let (route, _) = placement.place(Position { stage: stage as u32, chunk });
            let routes = placement.routes().len() as u32;
            for micro_batch in (route as u32..micro_batches).step_by(routes as usize) {
                expected += 1;
                let found = &passes[&(chunk, micro_batch)];
                let whole = [Pass::Forward, Pass::Backward];
                let split = [Pass::Forward, Pass::InputGradient, Pass::WeightGradient];
                assert!(
                    found[..] == whole || found[..] == split,
                    "{what}: stage {stage} chunk {chunk} micro-batch {micro_batch}: {found:?}"
                );
            }
            let on_route = placement.micro_batches_on(route, micro_batches);
            assert_eq!(
                on_route,
                (route as u32..micro_batches).step_by(routes as usize).count() as u32
            );
        }
        assert_eq!(passes.len(), expected, "{what}: stage {stage} takes passes that do not exist");
        for turn in order {
            if let Turn::Overlapped { forward, backward } = turn {
                assert_eq!(forward.pass, Pass::Forward, "{what}");
                assert_eq!(backward.pass, Pass::Backward, "{what}");
                assert_ne!(
                    (forward.chunk, forward.micro_batch),
                    (backward.chunk, backward.micro_batch),
                    "{what}: the gradient of what is not there yet"
                );
            }
        }
    }
}

/// A stage does one thing at a time, and nothing before its input has come.
fn check_causal(timeline: &Timeline, placement: &Placement, costs: &Costs, what: &str) {
    let mut ends: BTreeMap<(bool, Position, u32), Time> = BTreeMap::new();
    let each =
        || timeline.stages.iter().enumerate().flat_map(|(s, t)| t.iter().map(move |p| (s, p)));
    for (stage, Played { turn, end, .. }) in each() {
        for step in turn.steps().filter(|step| step.pass != Pass::WeightGradient) {
            let position = Position { stage: stage as u32, chunk: step.chunk };
            ends.insert((step.pass == Pass::Forward, position, step.micro_batch), *end);
        }
    }
    for (stage, Played { turn, start, .. }) in each() {
        for step in turn.steps() {
            let position = Position { stage: stage as u32, chunk: step.chunk };
            let (route, place) = placement.place(position);
            let m = step.micro_batch;
            let ready = match step.pass {
                Pass::Forward => placement
                    .before(position)
                    .map(|before| ends[&(true, before, m)] + costs.forward_hops[route][place - 1]),
                Pass::WeightGradient => Some(ends[&(false, position, m)]),
                Pass::Backward | Pass::InputGradient => {
                    let own = ends[&(true, position, m)];
                    assert!(own <= *start, "{what}: backward before forward");
                    placement
                        .after(position)
                        .map(|after| ends[&(false, after, m)] + costs.backward_hops[route][place])
                }
            };
            assert!(
                ready.is_none_or(|at| at <= *start),
                "{what}: {step:?} on {stage} is too early"
            );
        }
    }
    for (stage, turns) in timeline.stages.iter().enumerate() {
        assert!(turns.windows(2).all(|pair| pair[0].end <= pair[1].start), "{what}: {stage}");
        let busy = costs.stages[stage].chunks.len();
        assert!(busy == 0 || timeline.busy(stage) > Time::ZERO, "{what}");
    }
}

/// Automatic schedules keep to the limits of every stage.
fn check_limits(schedule: Schedule, orders: &[Order], costs: &Costs, what: &str) {
    if !schedule.is_automatic() {
        return;
    }
    for (stage, (order, stage_costs)) in orders.iter().zip(&costs.stages).enumerate() {
        let kept: Vec<f64> = stage_costs.chunks.iter().map(|chunk| chunk.kept).collect();
        let deferred: Vec<f64> = stage_costs.chunks.iter().map(|chunk| chunk.deferred).collect();
        let (held, _) = peak_in_flight(order, &kept, &deferred);
        assert!(
            held <= stage_costs.limit * (1.0 + 1e-6),
            "{what}: stage {stage} holds {held} of {}",
            stage_costs.limit
        );
    }
}

fn limit_of(schedule: Schedule) -> f64 {
    match schedule.activation_limit() {
        Some(motley_scheduler::ActivationLimit::Stages(factor)) => factor,
        _ => f64::INFINITY,
    }
}

fn check(schedule: Schedule, chunks: u32, stages: u32, micro_batches: u32) {
    let what = format!("{} of {chunks}, {stages} stages, {micro_batches}", schedule.name());
    let placement = schedule.placement(stages, chunks);
    for route in placement.routes() {
        assert_eq!(route.len() as u64, schedule.virtual_stages(stages, chunks), "{what}");
    }
    let limit = limit_of(schedule);
    let mut settings =
        vec![equal(&placement, [1.0, 1.0, 1.0], limit), equal(&placement, [1.0, 1.2, 0.6], limit)];
    settings.extend((0..3).map(|seed| unlike(&placement, limit, 17 * seed + u64::from(stages))));
    for costs in settings {
        let (orders, timeline) = played(schedule, &placement, micro_batches, &costs);
        check_complete(&orders, &placement, micro_batches, &what);
        check_causal(&timeline, &placement, &costs, &what);
        check_limits(schedule, &orders, &costs, &what);
        assert_eq!(orders, schedule.orders(&placement, micro_batches, || costs.clone()), "{what}");
    }
}

#[test]
fn every_schedule_is_complete_causal_and_within_its_limits() {
    for (schedule, chunks) in all() {
        let mut ran = 0;
        for stages in [1, 2, 3, 4, 6, 8] {
            for micro_batches in [1, 2, 3, 4, 7, 8, 12, 16, 24, 33] {
                if schedule.refusals(stages, chunks, micro_batches).is_empty() {
                    check(schedule, chunks, stages, micro_batches);
                    ran += 1;
                }
            }
        }
        assert!(ran >= 10, "{} ran {ran} times", schedule.name());
    }
}

/// Long schedules are searched on fewer micro-batches; what comes out is whole all the same.
#[test]
fn long_schedules_are_whole() {
    for schedule in [crate::setup::automatic(2.0), crate::setup::zb_v()] {
        let chunks = schedule.chunks().unwrap();
        let placement = schedule.placement(8, chunks);
        for costs in [equal(&placement, [1.0, 1.0, 1.0], 2.0), unlike(&placement, 2.0, 3)] {
            let (orders, timeline) = played(schedule, &placement, 5000, &costs);
            check_complete(&orders, &placement, 5000, "long");
            check_limits(schedule, &orders, &costs, "long");
            // The slowest stage is never far from busy.
            let busiest = (0..8).map(|stage| timeline.busy(stage)).max().unwrap();
            let share = busiest.as_secs_f64() / timeline.longest_span().as_secs_f64();
            assert!(share > 0.98, "{share}");
        }
    }
}

/// Splitting the backward pass pays on unlike stages, too: made for their times, a schedule is
/// never behind 1F1B, and never behind the handcrafted schedules that keep to the same limit.
#[test]
fn automatic_schedules_are_the_fastest_within_their_limits() {
    for stages in [2, 4, 8] {
        for micro_batches in [4, 8, 16, 32] {
            for seed in 0..6 {
                let placement = Placement::linear(stages);
                let span = |schedule: Schedule, costs: &Costs| {
                    played(schedule, &placement, micro_batches, costs).1.longest_span()
                };
                let costs = unlike(&placement, 2.0, 40 + seed);
                let auto = span(crate::setup::automatic(2.0), &costs);
                for schedule in [
                    Schedule::OneFOneB,
                    crate::setup::zero_bubble(crate::setup::H1),
                    crate::setup::automatic(1.0),
                ] {
                    let other = match schedule {
                        Schedule::ZeroBubble(_) if schedule.is_automatic() => {
                            span(schedule, &unlike(&placement, 1.0, 40 + seed))
                        }
                        _ => span(schedule, &costs),
                    };
                    assert!(
                        auto <= other,
                        "{stages} stages, {micro_batches}, seed {seed}: {auto} is behind {} {other}",
                        schedule.name()
                    );
                }
            }
        }
    }
}

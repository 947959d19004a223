//! Schedules to be tested, and unlike stages to play them on.

use motley_scheduler::schedule::{ChunkCosts, Costs, Order, Placement, StageCosts, Timeline, play};
use motley_scheduler::{ActivationLimit, OptimizerStep, Schedule, ZeroBubble, ZeroBubbleOrder};
use motley_units::Time;

/// Picoseconds of a unit of time.
pub(crate) const UNIT: u64 = 1_000_000;

pub(crate) fn units(count: f64) -> Time {
    Time::from_picos((count * UNIT as f64).round() as u64)
}

pub(crate) fn in_units(time: Time) -> f64 {
    time.as_picos() as f64 / UNIT as f64
}

pub(crate) fn zero_bubble(order: ZeroBubbleOrder) -> Schedule {
    Schedule::ZeroBubble(ZeroBubble { order, optimizer_step: OptimizerStep::PostValidation })
}

pub(crate) fn automatic(stages: f64) -> Schedule {
    zero_bubble(ZeroBubbleOrder::Automatic(ActivationLimit::Stages(stages)))
}

pub(crate) fn zb_v() -> Schedule {
    zero_bubble(ZeroBubbleOrder::V(ActivationLimit::Stages(1.0)))
}

pub(crate) const H1: ZeroBubbleOrder = ZeroBubbleOrder::H1;
pub(crate) const H2: ZeroBubbleOrder = ZeroBubbleOrder::H2;

/// Every schedule, with the chunks of a stage.
pub(crate) fn all() -> Vec<(Schedule, u32)> {
    vec![
        (Schedule::GPipe, 1),
        (Schedule::OneFOneB, 1),
        (Schedule::Interleaved, 1),
        (Schedule::Interleaved, 2),
        (Schedule::Interleaved, 3),
        (Schedule::Paired, 2),
        (Schedule::Paired, 3),
        (zero_bubble(H1), 1),
        (zero_bubble(H2), 1),
        (automatic(1.0), 1),
        (automatic(1.5), 1),
        (automatic(2.0), 1),
        (automatic(0.4), 1),
        (zb_v(), 2),
        (zero_bubble(ZeroBubbleOrder::V(ActivationLimit::Stages(0.5))), 2),
        (zero_bubble(ZeroBubbleOrder::V(ActivationLimit::Stages(2.0))), 2),
        (Schedule::DualPipe, 2),
        (Schedule::DualPipeV, 2),
    ]
}

/// A deterministic number in `[0, 1)` for a place.
pub(crate) fn noise(seed: u64, place: u64) -> f64 {
    let mut x =
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ place.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 31;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^= x >> 29;
    (x >> 11) as f64 / (1u64 << 53) as f64
}

/// Stages of unlike speed, memory and distance.
pub(crate) fn unlike(placement: &Placement, limit: f64, seed: u64) -> Costs {
    let at = |stage: u32, what: u64| noise(seed, u64::from(stage) * 16 + what);
    let stage = |s: u32| {
        let speed = 0.5 + 2.0 * at(s, 0);
        let chunk = |c: u32| {
            let size = speed * (0.5 + noise(seed, u64::from(s * 8 + c) + 1000));
            ChunkCosts {
                forward: units(size),
                input_gradient: units(size * (0.8 + 0.5 * at(s, 1))),
                weight_gradient: units(size * (0.3 + 0.8 * at(s, 2))),
                kept: 0.5 + at(s, 3),
                deferred: (0.5 + at(s, 3)) * (0.2 + at(s, 4)),
            }
        };
        let mut costs =
            StageCosts { chunks: (0..placement.chunks()).map(chunk).collect(), limit: 0.0 };
        let wanted = limit * f64::from(placement.stages()) * costs.micro_batch();
        costs.limit = wanted.max(costs.least_limit());
        costs
    };
    let hops = |back: u64| {
        let of_route = |(r, route): (usize, &Vec<motley_scheduler::schedule::Position>)| {
            let hop = |(k, pair): (usize, &[motley_scheduler::schedule::Position])| {
                if pair[0].stage == pair[1].stage {
                    Time::ZERO
                } else {
                    units(0.2 * noise(seed, 5000 + 100 * (r as u64 * 2 + back) + k as u64))
                }
            };
            route.windows(2).enumerate().map(hop).collect()
        };
        placement.routes().iter().enumerate().map(of_route).collect()
    };
    Costs {
        stages: (0..placement.stages()).map(stage).collect(),
        forward_hops: hops(0),
        backward_hops: hops(1),
        overlapped: 0.8 + 0.2 * noise(seed, 7),
    }
}

/// Equal stages with free transfers; times of a whole stage. The limit is in micro-batches for each
/// stage, at least one.
pub(crate) fn equal(placement: &Placement, [f, b, w]: [f64; 3], limit: f64) -> Costs {
    let limit = (limit * f64::from(placement.stages())).max(1.0);
    Costs::uniform(placement, [units(f), units(b), units(w)], 0.6, limit)
}

/// The orders of a schedule made for these costs, and how they play.
pub(crate) fn played(
    schedule: Schedule,
    placement: &Placement,
    micro_batches: u32,
    costs: &Costs,
) -> (Vec<Order>, Timeline) {
    let orders = schedule.orders(placement, micro_batches, || costs.clone());
    let timeline = play(&orders, placement, costs).unwrap_or_else(|stuck| {
        panic!("{schedule:?}, {} stages, {micro_batches}: {stuck}", placement.stages())
    });
    (orders, timeline)
}

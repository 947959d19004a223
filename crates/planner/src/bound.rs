//! A time that no plan can beat: all work at the speed of whoever does it best, nothing ever waited for.
//!
//! Card-seconds w[j][k] of part j for a sample are the least that any degree and size of micro-batch
//! asks of cards of type k, kernels alone. Whoever spreads a batch B over n[k] cards of each type
//! needs T with sum_j x[j][k] w[j][k] <= n[k] T and sum_k x[j][k] = B. For any prices p[k] with
//! sum_k n[k] p[k] = 1 that gives T >= B sum_j min_k p[k] w[j][k]. Prices start in proportion to the
//! speeds of whole models and are improved one by one.

use motley_scheduler::{ComputeSpeed, ExpertParallel, Offload, Speed as _, Stage};
use motley_workload::{Part, Recompute};

use crate::costs::Pricing;
use crate::settings::{CONTEXT, degrees};
use crate::sketch::{Unit, dealt_out};

/// Rounds of improvement of the prices.
const ROUNDS: u32 = 40;

/// Seconds that no plan with micro-batches of these sizes can beat.
pub(crate) fn lower_bound(pricing: &Pricing, sizes: &[u32]) -> f64 {
    let model = &pricing.scenario.model;
    let mut parts: Vec<(Part, u32)> = vec![(Part::Embedding, 1), (Part::Head, 1)];
    for layer in 0..model.layer_count() {
        let part = model.part(layer);
        match parts.iter_mut().find(|(known, _)| *known == part) {
            Some((_, count)) => *count += 1,
            None => parts.push((part, 1)),
        }
    }
    let kinds = pricing.pool.types.len();
    let work: Vec<Vec<f64>> = parts
        .iter()
        .map(|&(part, count)| {
            (0..kinds).map(|kind| f64::from(count) * least(pricing, kind, part, sizes)).collect()
        })
        .collect();
    let cards: Vec<f64> = pricing.pool.types.iter().map(|kind| f64::from(kind.cards())).collect();
    f64::from(pricing.scenario.global_batch) * dual(&work, &cards)
}

/// The least T for one sample, from below.
fn dual(work: &[Vec<f64>], cards: &[f64]) -> f64 {
    let kinds = cards.len();
    let value = |prices: &[f64]| -> f64 {
        let scale: f64 = prices.iter().zip(cards).map(|(price, cards)| price * cards).sum();
        let cheapest = |row: &Vec<f64>| {
            row.iter().zip(prices).map(|(work, price)| work * price).fold(f64::INFINITY, f64::min)
        };
        work.iter().map(cheapest).sum::<f64>() / scale
    };
    let mut prices: Vec<f64> = (0..kinds)
        .map(|kind| 1.0 / work.iter().map(|row| row[kind]).sum::<f64>().max(1e-30))
        .collect();
    let mut best = value(&prices);
    let mut step = 1.3;
    for _ in 0..ROUNDS {
        let before = best;
        for kind in 0..kinds {
            for factor in [step, 1.0 / step] {
                let mut changed = prices.clone();
                changed[kind] *= factor;
                let found = value(&changed);
                if found > best {
                    (best, prices) = (found, changed);
                }
            }
        }
        if best <= before {
            step = 1.0 + (step - 1.0) / 2.0;
        }
    }
    best
}

/// The least card-seconds of a part for a sample on a type of card.
fn least(pricing: &Pricing, kind: usize, part: Part, sizes: &[u32]) -> f64 {
    let card = &pricing.pool.types[kind];
    let gpu = card.nodes[0][0];
    let node_size = card.node_size();
    let mut least = f64::INFINITY;
    for tp in degrees(pricing.scenario, &pricing.settings, node_size) {
        let widths = (0..6).map(|power| 1 << power);
        for wide in widths.filter(|wide| pricing.experts || *wide == 1) {
            if tp * wide > node_size {
                continue;
            }
            let unit = Unit { kind, tp, wide, recompute: Recompute::None };
            let experts = if pricing.experts { dealt_out(unit) } else { ExpertParallel::NONE };
            let stage = Stage {
                gpus: vec![gpu; tp as usize],
                context: CONTEXT,
                experts,
                chunks: Vec::new(),
                recompute: Recompute::None,
                offload: Offload::default(),
            };
            for &size in sizes {
                let shard = stage.shard(pricing.settings.sequence_parallel(), size);
                if !motley_workload::shard_limits(&pricing.scenario.model, &shard).is_empty() {
                    continue;
                }
                let speed =
                    ComputeSpeed { times: &pricing.times, shard, recompute: Recompute::None };
                let seconds = speed.part(&[gpu], part).0;
                least = least.min(seconds * f64::from(tp) / f64::from(size));
            }
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two parts on two types: shares of the first part on the first type, tried finely.
    fn primal(work: [[f64; 2]; 2], cards: [f64; 2]) -> f64 {
        let share = |step: u32| f64::from(step) / 400.0;
        let mut best = f64::INFINITY;
        for first in 0..=400 {
            for second in 0..=400 {
                let (x, y) = (share(first), share(second));
                let a = (x * work[0][0] + y * work[1][0]) / cards[0];
                let b = ((1.0 - x) * work[0][1] + (1.0 - y) * work[1][1]) / cards[1];
                best = best.min(a.max(b));
            }
        }
        best
    }

    #[test]
    fn the_bound_is_the_least_time_from_below() {
        for (work, cards) in [
            ([[1.0, 2.0], [1.0, 2.0]], [4.0, 8.0]),
            ([[1.0, 5.0], [1.0, 1.5]], [4.0, 4.0]),
            ([[3.0, 1.0], [1.0, 3.0]], [2.0, 6.0]),
        ] {
            let found = dual(&work.map(|row| row.to_vec()), &cards);
            let least = primal(work, cards);
            assert!(found <= least * (1.0 + 1e-9), "{found} > {least}");
            assert!(found >= 0.97 * least, "{found} is far below {least}");
        }
    }
}

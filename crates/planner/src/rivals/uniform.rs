//! Megatron-LM: one (dp, tp, pp) over as many cards as it divides into, equal layers, equal micro-batches,
//! whatever the cards.
//!
//! Degrees and the size of micro-batches by the time of Narayanan et al. 2021 (arXiv 2104.04473),
//! section 3: (m + pp - 1) times the slowest stage, with the memory of the smallest card.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use motley_scheduler::{ExpertParallel, Offload, Pipeline, Plan, Stage, Zero};
use motley_topology::GpuId;
use motley_workload::Recompute;

use crate::combination::sizes;
use crate::costs::{Pricing, UnitCosts};
use crate::neighbours::OPTIMIZER;
use crate::settings::{CONTEXT, degrees};
use crate::sketch::{Unit, dealt_out};

/// Plans that are asked of the engine.
const KEPT: usize = 8;

/// The best uniform plans by the formula, best first.
pub(crate) fn uniform(pricing: &mut Pricing) -> Vec<Plan> {
    let cards: Vec<GpuId> =
        pricing.pool.types.iter().flat_map(|kind| kind.nodes.iter().flatten().copied()).collect();
    let mut cards = cards;
    cards.sort_unstable();
    let count = cards.len() as u32;
    let layers = pricing.scenario.model.layer_count();
    let node = pricing.pool.types.iter().map(crate::pool::CardType::node_size).min().unwrap_or(1);
    let recomputes = [Recompute::None, Recompute::Selective, Recompute::Full];
    let mut known: BTreeMap<(Unit, u32), Option<Arc<UnitCosts>>> = BTreeMap::new();
    let mut found: Vec<(f64, Plan)> = Vec::new();
    for tp in degrees(pricing.scenario, &pricing.settings, node) {
        let depths = (1..=layers.min(count / tp.max(1))).filter(|pp| layers.is_multiple_of(*pp));
        for pp in depths.collect::<Vec<u32>>() {
            for size in sizes(pricing) {
                // Who has cards left over that make no replica of equal share starts on fewer.
                let Some(dp) = (1..=count / (tp * pp))
                    .rev()
                    .find(|dp| pricing.scenario.global_batch.is_multiple_of(dp * size))
                else {
                    continue;
                };
                let micro_batches = pricing.scenario.global_batch / (dp * size);
                let widths: Vec<u32> = if pricing.experts {
                    (0..6)
                        .map(|p| 1 << p)
                        .filter(|w| dp.is_multiple_of(*w) && w * tp <= node)
                        .collect()
                } else {
                    vec![1]
                };
                for wide in widths {
                    for recompute in recomputes {
                        let mut slowest = 0.0_f64;
                        let mut fits = true;
                        for kind in 0..pricing.pool.types.len() {
                            let unit = Unit { kind, tp, wide, recompute };
                            let costs = known
                                .entry((unit, size))
                                .or_insert_with(|| pricing.unit(unit, size).map(Arc::new));
                            let Some(costs) = costs else {
                                fits = false;
                                break;
                            };
                            let each = layers / pp;
                            for stage in 0..pp {
                                let range = stage * each..(stage + 1) * each;
                                let ends = [stage == 0, stage + 1 == pp];
                                let in_flight =
                                    pricing.settings.in_flight(stage, pp, micro_batches);
                                // Which card a stage is on is not part of the formula.
                                fits &= costs.fits(&range, ends, in_flight, dp);
                                slowest = slowest.max(costs.time(&range, ends[0], ends[1]));
                            }
                        }
                        if !fits {
                            continue;
                        }
                        let cost = slowest * f64::from(micro_batches + pp - 1);
                        let unit = Unit { kind: 0, tp, wide, recompute };
                        let shape = (dp, pp, micro_batches, size);
                        let place = found.partition_point(|(known, _)| *known <= cost);
                        if place < KEPT {
                            let plan = laid_out(pricing, &cards, unit, shape);
                            found.insert(place, (cost, plan));
                            found.truncate(KEPT);
                        }
                    }
                }
            }
        }
    }
    found.into_iter().map(|(_, plan)| plan).collect()
}

/// Ranks over cards in Megatron-LM's order: tensor, data, pipeline.
fn laid_out(
    pricing: &Pricing,
    cards: &[GpuId],
    unit: Unit,
    (dp, pp, micro_batches, micro_batch_size): (u32, u32, u32, u32),
) -> Plan {
    let each = pricing.scenario.model.layer_count() / pp;
    let stage = |replica: u32, stage: u32| {
        let first = ((stage * dp + replica) * unit.tp) as usize;
        Stage {
            gpus: cards[first..first + unit.tp as usize].to_vec(),
            context: CONTEXT,
            experts: if pricing.experts { dealt_out(unit) } else { ExpertParallel::NONE },
            chunks: vec![Range { start: stage * each, end: (stage + 1) * each }],
            recompute: unit.recompute,
            offload: Offload::default(),
        }
    };
    let zero = if dp > 1 { OPTIMIZER } else { Zero::NONE };
    let mut plan = pricing.settings.plan(zero);
    plan.pipelines = (0..dp)
        .map(|replica| Pipeline {
            micro_batches,
            micro_batch_size,
            stages: (0..pp).map(|s| stage(replica, s)).collect(),
        })
        .collect();
    plan
}

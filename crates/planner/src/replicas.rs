//! The whole model in one stage, a stage on each unit, with micro-batches whose sizes follow the speed
//! of the cards: what data parallelism, ZeRO and FSDP can do.

use std::collections::BTreeMap;
use std::sync::Arc;

use motley_scheduler::{ParameterGather, Sharded, Zero};
use motley_workload::Recompute;

use crate::costs::{Pricing, UnitCosts};
use crate::neighbours::OPTIMIZER;
use crate::settings::degrees;
use crate::sketch::{Sketch, SketchPipeline, SketchStage, Unit};

/// Sizes of micro-batches at most.
const LARGEST: [u32; 2] = [16, 256];

/// Numbers of micro-batches that are tried, from the fewest that fit.
const TRIED: usize = 4;

/// Sketches by predicted time, best first, with that time; without what replicas exchange.
pub(crate) fn replicas(pricing: &mut Pricing) -> Vec<(f64, Sketch)> {
    let mut found: Vec<(f64, Sketch)> = Vec::new();
    let kinds = pricing.pool.types.len();
    let node = pricing.pool.types.iter().map(crate::pool::CardType::node_size).max().unwrap_or(1);
    if pricing.experts {
        return found;
    }
    for tp in degrees(pricing.scenario, &pricing.settings, node) {
        for recompute in [Recompute::None, Recompute::Full] {
            let mut known: BTreeMap<(usize, u32), Option<Arc<UnitCosts>>> = BTreeMap::new();
            for subset in 1_usize..1 << kinds {
                let chosen: Vec<usize> =
                    (0..kinds).filter(|kind| subset >> kind & 1 == 1).collect();
                let units: Vec<usize> = chosen
                    .iter()
                    .flat_map(|&kind| {
                        let count = pricing.pool.types[kind].units(tp).len();
                        std::iter::repeat_n(kind, count)
                    })
                    .collect();
                if !units.is_empty() {
                    found.extend(of_units(pricing, &units, tp, recompute, &mut known));
                }
            }
        }
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found
}

fn of_units(
    pricing: &mut Pricing,
    units: &[usize],
    tp: u32,
    recompute: Recompute,
    known: &mut BTreeMap<(usize, u32), Option<Arc<UnitCosts>>>,
) -> Vec<(f64, Sketch)> {
    let batch = pricing.scenario.global_batch;
    let layers = pricing.scenario.model.layer_count();
    let largest = LARGEST[usize::from(pricing.scenario.model.tokens().is_none())];
    let mut found = Vec::new();
    let rounds = (1..=batch).filter(|rounds| {
        batch.is_multiple_of(*rounds)
            && (units.len() as u32..=units.len() as u32 * largest).contains(&(batch / rounds))
    });
    for rounds in rounds.take(TRIED).collect::<Vec<u32>>() {
        let samples = batch / rounds;
        let mut price = |kind: usize, size: u32| -> Option<f64> {
            let unit = Unit { kind, tp, wide: 1, recompute };
            let costs = known
                .entry((kind, size))
                .or_insert_with(|| pricing.unit(unit, size).map(Arc::new))
                .clone()?;
            Some(costs.time(&(0..layers), true, true))
        };
        // Sizes by type are dealt one after the other, cards of a type in turn.
        let mut sizes = vec![1_u32; units.len()];
        let mut sound = true;
        for _ in units.len() as u32..samples {
            let mut best: Option<(f64, usize)> = None;
            let mut seen: Vec<(usize, u32)> = Vec::new();
            for (unit, &kind) in units.iter().enumerate() {
                if sizes[unit] >= largest || seen.contains(&(kind, sizes[unit])) {
                    continue;
                }
                seen.push((kind, sizes[unit]));
                let Some(time) = price(kind, sizes[unit] + 1) else { continue };
                if best.is_none_or(|(least, _)| time < least) {
                    best = Some((time, unit));
                }
            }
            let Some((_, unit)) = best else {
                sound = false;
                break;
            };
            sizes[unit] += 1;
        }
        if !sound {
            continue;
        }
        let mut slowest = 0.0_f64;
        for (&kind, &size) in units.iter().zip(&sizes) {
            slowest = slowest.max(price(kind, size).unwrap_or(f64::INFINITY));
        }
        let time = slowest * f64::from(rounds);
        if !time.is_finite() {
            continue;
        }
        let whole = Sharded::Parameters { prefetch: 1, reshard_after_forward: true };
        let gradients = Sharded::Gradients(ParameterGather::AtEnd);
        let zeros = if units.len() > 1 {
            vec![
                OPTIMIZER,
                Zero { sharded: gradients, ..OPTIMIZER },
                Zero { sharded: whole, ..OPTIMIZER },
            ]
        } else {
            vec![Zero::NONE]
        };
        for zero in zeros {
            let pipelines = units
                .iter()
                .zip(&sizes)
                .map(|(&kind, &size)| SketchPipeline {
                    stages: vec![SketchStage {
                        unit: Unit { kind, tp, wide: 1, recompute },
                        layers: 0..layers,
                    }],
                    micro_batches: rounds,
                    micro_batch_size: size,
                })
                .collect();
            found.push((time, Sketch { pipelines, zero }));
        }
    }
    found
}

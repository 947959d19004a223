//! Outer choices of the search: the size of micro-batches, and for each type of card its
//! tensor-parallel degree, its share of the experts and what it computes again.

use std::sync::Arc;

use motley_workload::{AttentionKernel, Recompute};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::common::degrees;
use crate::costs::{Pricing, UnitCosts};
use crate::sketch::Unit;

/// Options of a type of card that are kept for one size of micro-batch.
const OPTIONS: usize = 5;

/// Largest size of a micro-batch of sequences, and of images.
const SIZES: [u32; 2] = [16, 256];

/// An option of a type of card.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub unit: Unit,
    /// How many there are.
    pub units: u32,
    pub costs: Arc<UnitCosts>,
    /// Card-seconds of a sample through the whole model.
    pub card_seconds: f64,
}

/// One choice for every type of card.
#[derive(Clone, Debug)]
pub(crate) struct Combination {
    pub micro_batch_size: u32,
    pub choices: Vec<Choice>,
    /// What activations take between units, seconds, by their types.
    pub hops: Vec<Vec<f64>>,
    /// Samples per second if nothing were ever waited for.
    pub rate: f64,
}

/// Sizes of micro-batches that divide the batch.
pub(crate) fn sizes(pricing: &Pricing) -> Vec<u32> {
    let batch = pricing.scenario.global_batch;
    let most = SIZES[usize::from(pricing.scenario.model.tokens().is_none())];
    (0..9)
        .map(|power| 1 << power)
        .filter(|size| *size <= most && batch.is_multiple_of(*size))
        .collect()
}

/// The options of a type for one size of micro-batch: those of which no other is both faster and
/// smaller, the fastest first.
pub(crate) fn options(pricing: &mut Pricing, kind: usize, size: u32) -> Vec<Choice> {
    let card = &pricing.pool.types[kind];
    let node_size = card.node_size();
    let unfused = {
        let first = card.nodes[0][0];
        pricing.times.path(pricing.times.kind(first)).attention == AttentionKernel::Unfused
    };
    let recomputes: &[Recompute] = if unfused {
        &[Recompute::None, Recompute::Selective, Recompute::Full]
    } else {
        &[Recompute::None, Recompute::Full]
    };
    let layers = pricing.scenario.model.layer_count();
    let mut all: Vec<(Choice, f64)> = Vec::new();
    for tp in degrees(pricing.scenario, &pricing.common, node_size) {
        let widths = (0..6)
            .map(|power| 1 << power)
            .filter(|wide| pricing.experts || *wide == 1)
            .filter(|wide| tp * wide <= node_size && deals_out(pricing, tp * wide));
        for wide in widths.collect::<Vec<u32>>() {
            for &recompute in recomputes {
                let unit = Unit { kind, tp, wide, recompute };
                let units = pricing.pool.types[kind].units(unit.cards()).len() as u32;
                if units == 0 {
                    continue;
                }
                let Some(costs) = pricing.unit(unit, size) else { continue };
                // A layer must fit, or the unit cannot take part.
                let one = 0..layers.min(1);
                if !costs.fits(&one, [false; 2], 1, u32::MAX) {
                    continue;
                }
                let time = costs.time(&(0..layers), true, true);
                let card_seconds = time * f64::from(tp) / f64::from(size);
                // What a card must hold for the model to lie on a pipeline of such cards.
                let layer = costs.need(&(0..layers), [true; 2], 2, 1) * f64::from(tp);
                all.push((Choice { unit, units, costs: Arc::new(costs), card_seconds }, layer));
            }
        }
    }
    all.sort_by(|(a, _), (b, _)| a.card_seconds.total_cmp(&b.card_seconds));
    let mut kept: Vec<(Choice, f64)> = Vec::new();
    for (choice, need) in all {
        // Smaller units than all faster ones leave more ways to arrange them.
        let smaller = kept
            .iter()
            .all(|(known, other)| need < *other || choice.unit.cards() < known.unit.cards());
        if smaller {
            kept.push((choice, need));
        }
    }
    kept.truncate(OPTIONS);
    kept.into_iter().map(|(choice, _)| choice).collect()
}

/// Whether experts, if there are any, can be dealt out over so many cards.
fn deals_out(pricing: &Pricing, cards: u32) -> bool {
    let mut shard = motley_workload::Shard::new(1, false, 1);
    shard.expert_parallel = cards;
    shard.expert_tensor_parallel = 1;
    !pricing.experts || motley_workload::shard_limits(&pricing.scenario.model, &shard).is_empty()
}

/// All combinations of options, by the rate that they could have at best, the fastest first.
pub(crate) fn combinations(pricing: &mut Pricing, most: usize) -> Vec<Combination> {
    let types = pricing.pool.types.len();
    let mut all: Vec<(u32, Vec<Choice>)> = Vec::new();
    for size in sizes(pricing) {
        let options: Vec<Vec<Choice>> =
            (0..types).map(|kind| options(pricing, kind, size)).collect();
        let mut chosen: Vec<Vec<Choice>> = vec![Vec::new()];
        for of_type in &options {
            // A type without an option is left out.
            if of_type.is_empty() {
                continue;
            }
            chosen = chosen
                .into_iter()
                .flat_map(|chosen| {
                    of_type.iter().map(move |choice| {
                        let mut chosen = chosen.clone();
                        chosen.push(choice.clone());
                        chosen
                    })
                })
                .collect();
        }
        let wide = |choices: &[Choice]| {
            choices.windows(2).all(|pair| pair[0].unit.wide == pair[1].unit.wide)
        };
        all.extend(
            chosen
                .into_iter()
                .filter(|choices| !choices.is_empty() && wide(choices))
                .map(|choices| (size, choices)),
        );
    }
    let mut rated: Vec<(f64, u32, Vec<Choice>)> = all
        .into_par_iter()
        .map(|(size, choices)| {
            let rate = choices
                .iter()
                .map(|choice| f64::from(choice.units * choice.unit.cards()) / choice.card_seconds)
                .sum();
            (rate, size, choices)
        })
        .collect();
    rated.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    rated.truncate(most);
    let mut known: std::collections::BTreeMap<(Unit, Unit, u32), f64> =
        std::collections::BTreeMap::new();
    rated
        .into_iter()
        .map(|(rate, micro_batch_size, choices)| {
            let mut hops = vec![vec![0.0; choices.len()]; choices.len()];
            for (a, from) in choices.iter().enumerate() {
                for (b, to) in choices.iter().enumerate() {
                    hops[a][b] =
                        *known.entry((from.unit, to.unit, micro_batch_size)).or_insert_with(|| {
                            if a == b {
                                from.costs.hop
                            } else {
                                pricing.hop(from.unit, to.unit, micro_batch_size).unwrap_or(0.0)
                            }
                        });
                }
            }
            Combination { micro_batch_size, choices, hops, rate }
        })
        .collect()
}

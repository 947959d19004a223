//! Outer choices of the search: the size of micro-batches, and for each type of card its
//! tensor-parallel degree, its share of the experts and what it computes again.

use std::sync::Arc;

use motley_workload::{AttentionKernel, Recompute};

use crate::costs::{Pricing, UnitCosts};
use crate::pool::{CardType, Pool};
use crate::settings::degrees;
use crate::sketch::Unit;

/// Options of a type of card that are kept for one size of micro-batch, where there are one, two or more
/// types.
const OPTIONS: [usize; 3] = [12, 6, 5];

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
    /// Stages that a pipeline of such units needs at least to hold the model.
    pub depth: u32,
}

impl Choice {
    /// Samples per second if nothing were ever waited for.
    fn rate(&self) -> f64 {
        f64::from(self.units * self.unit.cards()) / self.card_seconds
    }

    /// Bytes that a card must hold for the model to lie on one unit.
    fn need(&self, layers: u32) -> f64 {
        self.costs.need(&(0..layers), [true; 2], 2, 1)
    }

    /// Of the time, the share for which pipelines as short as can be are full, with so many micro-batches
    /// for them all.
    fn filled(&self, micro_batches: f64) -> f64 {
        let each = micro_batches * f64::from(self.depth) / f64::from(self.units);
        each / (each.max(1.0) + f64::from(self.depth) - 1.0)
    }
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

/// The options of a type for one size of micro-batch, those first that are fastest in pipelines as short
/// as memory allows: of units of so many cards those of which no other is faster and holds as much.
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
    let micro_batches = f64::from(pricing.scenario.global_batch / size) * share(pricing.pool, kind);
    let mut all: Vec<Choice> = Vec::new();
    for tp in degrees(pricing.scenario, &pricing.settings, node_size) {
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
                let depth = depth(&costs, layers, units);
                all.push(Choice { unit, units, costs: Arc::new(costs), card_seconds, depth });
            }
        }
    }
    let worth = |choice: &Choice| {
        choice.rate() * choice.filled(micro_batches / f64::from(choice.unit.wide))
    };
    all.sort_by(|a, b| worth(b).total_cmp(&worth(a)));
    let mut kept: Vec<Choice> = Vec::new();
    for choice in all {
        // Of units of as many cards those that are slower are of use only if they hold more.
        let holds_more = kept
            .iter()
            .filter(|known| known.unit.cards() == choice.unit.cards())
            .all(|known| choice.need(layers) < known.need(layers));
        if holds_more {
            kept.push(choice);
        }
    }
    kept.truncate(OPTIONS[pricing.pool.types.len().clamp(1, OPTIONS.len()) - 1]);
    kept
}

/// Of all work, about the share of a type.
fn share(pool: &Pool, kind: usize) -> f64 {
    let speed = |kind: &CardType| f64::from(kind.cards()) * kind.peak.max(1.0);
    speed(&pool.types[kind]) / pool.types.iter().map(speed).sum::<f64>()
}

/// Stages that a pipeline needs at least for the model to fit, optimizer states shared out over as many
/// pipelines as there are units for.
fn depth(costs: &UnitCosts, layers: u32, units: u32) -> u32 {
    let fits = |&stages: &u32| {
        let first = 0..layers.div_ceil(stages);
        costs.fits(&first, [true, stages == 1], stages, (units / stages).max(1))
    };
    (1..=layers).find(fits).unwrap_or(layers).max(1)
}

/// Whether experts, if there are any, can be dealt out over so many cards.
fn deals_out(pricing: &Pricing, cards: u32) -> bool {
    let mut shard = motley_workload::Shard::new(1, false, 1);
    shard.expert_parallel = cards;
    shard.expert_tensor_parallel = 1;
    !pricing.experts || motley_workload::shard_limits(&pricing.scenario.model, &shard).is_empty()
}

/// All combinations of options, by the rate that they would have in pipelines as short as memory allows,
/// the fastest first.
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
    let batch = pricing.scenario.global_batch;
    let mut rated: Vec<(f64, u32, Vec<Choice>)> = all
        .into_iter()
        .map(|(size, choices)| {
            let all: f64 = choices.iter().map(Choice::rate).sum();
            let filled = |choice: &Choice| {
                let micro_batches = f64::from(batch) / f64::from(size * choice.unit.wide);
                choice.filled(micro_batches * choice.rate() / all)
            };
            let rate = choices.iter().map(|choice| choice.rate() * filled(choice)).sum();
            (rate, size, choices)
        })
        .collect();
    rated.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    rated.truncate(most);
    let mut known: std::collections::BTreeMap<(Unit, Unit, u32), f64> =
        std::collections::BTreeMap::new();
    rated
        .into_iter()
        .map(|(_, micro_batch_size, choices)| {
            let rate = choices.iter().map(Choice::rate).sum();
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

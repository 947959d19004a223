//! Pipelines of different depth and kind side by side: templates, knapsack, bisection.

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use crate::bisection::{Mix, deal, fastest};
use crate::combination::Combination;
use crate::exchange::Exchange;
use crate::neighbours::OPTIMIZER;
use crate::rivals::Field;
use crate::sketch::{Sketch, SketchPipeline, SketchStage};
use crate::template::{Template, templates};
use motley_scheduler::Zero;

/// Combinations of all types of which the knapsack is asked; those that leave types out are few.
const ASKED: usize = 96;

/// Combinations that are looked at side by side.
const AT_ONCE: usize = 8;

/// How much slower than the best a combination of all types may be at its best to be looked at, and one that
/// leaves types out: predictions for more types are the more hopeful.
const NEAR: [f64; 2] = [1.05, 1.2];

/// Templates that are repeated alone, by combination.
const ALONE: usize = 2;

/// Of so many mixes one leaves types of cards out from the start, if there are such.
const LEAVES_OUT: usize = 3;

/// The best mixes over all combinations by predicted time, best first, with that time; those that leave types
/// out have places among them whatever the prediction, which knows no order of these types.
pub(crate) fn mixes(field: &Field, exchange: &Exchange) -> Vec<(f64, Sketch)> {
    let whole = field.combinations.iter().filter(|combination| combination.whole).take(ASKED);
    let fewer = field.combinations.iter().filter(|combination| !combination.whole);
    let mut best = f64::INFINITY;
    let whole = offers(field, &whole.collect::<Vec<_>>(), exchange, NEAR[0], &mut best);
    let fewer = offers(field, &fewer.collect::<Vec<_>>(), exchange, NEAR[1], &mut best);
    let mut fewer = fewer.into_iter();
    let mut found = Vec::new();
    for (place, mix) in whole.into_iter().enumerate() {
        found.push(mix);
        if (place + 1).is_multiple_of(LEAVES_OUT - 1) {
            found.extend(fewer.next());
        }
    }
    found.extend(fewer);
    found
}

/// What combinations offer, the best first, of those that can be near the `best` so far.
fn offers(
    field: &Field,
    combinations: &[&Combination],
    exchange: &Exchange,
    near: f64,
    best: &mut f64,
) -> Vec<(f64, Sketch)> {
    let mut found: Vec<(f64, Sketch)> = Vec::new();
    for some in combinations.chunks(AT_ONCE) {
        let is_near =
            |combination: &&Combination| f64::from(field.batch) / combination.rate <= near * *best;
        let some: Vec<&Combination> = some.iter().copied().filter(is_near).collect();
        let offers: Vec<Vec<(f64, Sketch)>> = some
            .par_iter()
            .map(|combination| of_combination(field, combination, exchange))
            .collect();
        found.extend(offers.into_iter().flatten());
        *best = found.iter().map(|(time, _)| *time).fold(*best, f64::min);
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found
}

/// What one combination offers: the best mix, and the templates that are best alone.
fn of_combination(
    field: &Field,
    combination: &Combination,
    exchange: &Exchange,
) -> Vec<(f64, Sketch)> {
    let wide = combination.choices[0].unit.wide;
    if !field.batch.is_multiple_of(combination.micro_batch_size * wide) {
        return Vec::new();
    }
    let micro_batches = field.batch / (combination.micro_batch_size * wide);
    let limits: Vec<u32> = combination.choices.iter().map(|choice| choice.units).collect();
    let deepest = match combination.choices.len() {
        1 => 64,
        2 => 24,
        3 => 14,
        _ => 10,
    };
    let mut found = Vec::new();
    // Optimizer states shared out over as many pipelines as there will be, or over nobody.
    let units: u32 = limits.iter().sum();
    for shared in if units > 1 { vec![units, 1] } else { vec![1] } {
        let all = templates(combination, field.settings, field.layers, deepest, shared);
        if all.is_empty() {
            continue;
        }
        let zero = if shared > 1 { OPTIMIZER } else { Zero::NONE };
        if let Some(mix) = fastest(&all, &limits, micro_batches) {
            found.push(offer(combination, &all, &mix, zero, exchange));
        }
        let mut alone: Vec<Mix> = all
            .iter()
            .enumerate()
            .filter_map(|(number, template)| {
                let times = template.units.iter().zip(&limits);
                let count = times
                    .filter(|(units, _)| **units > 0)
                    .map(|(units, limit)| limit / units)
                    .min()?;
                // A uniform repeat needs nobody to deal.
                let count = count.min(micro_batches);
                let most = micro_batches.div_ceil(count);
                let time = template.time(most);
                Some(Mix { pipelines: vec![(number, count)], time })
            })
            .collect();
        alone.sort_by(|a, b| a.time.total_cmp(&b.time));
        for mix in alone.into_iter().take(ALONE) {
            let (number, count) = mix.pipelines[0];
            let chosen = vec![number; count as usize];
            let mix = deal(&all, &chosen, micro_batches);
            found.push(offer(combination, &all, &mix, zero, exchange));
        }
    }
    found
}

fn offer(
    combination: &Combination,
    templates: &[Template],
    mix: &Mix,
    zero: Zero,
    exchange: &Exchange,
) -> (f64, Sketch) {
    let several = mix.pipelines.len() > 1 || combination.choices[0].unit.wide > 1;
    let replicas = mix.pipelines.len() as u32;
    let exchanging = |&(number, _): &(usize, u32)| -> f64 {
        let template = &templates[number];
        let last = template.stages.len() - 1;
        let of_stage = |(s, layers): (usize, &std::ops::Range<u32>)| {
            let choice = &combination.choices[template.stages[s]];
            let bytes = choice.costs.fixed(layers, [s == 0, s == last]);
            exchange.seconds(choice.unit, replicas, bytes)
        };
        template.layers.iter().enumerate().map(of_stage).fold(0.0, f64::max)
    };
    let exchange = mix.pipelines.iter().map(exchanging).fold(0.0, f64::max);
    // Equal pipelines side by side.
    let mut pipelines = mix.pipelines.clone();
    pipelines.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    let sketch = Sketch {
        pipelines: pipelines
            .iter()
            .map(|&(number, micro_batches)| {
                let template = &templates[number];
                SketchPipeline {
                    stages: template
                        .stages
                        .iter()
                        .zip(&template.layers)
                        .map(|(&choice, layers)| SketchStage {
                            unit: combination.choices[choice].unit,
                            layers: layers.clone(),
                        })
                        .collect(),
                    micro_batches,
                    micro_batch_size: combination.micro_batch_size,
                }
            })
            .collect(),
        zero: if several { zero } else { Zero::NONE },
    };
    (mix.time + exchange, sketch)
}

//! Sailor (Strati et al. 2025): equal layers, equal micro-batches, one data-parallel degree; each
//! stage's replicas come from types as they are left, with a tensor-parallel degree for each type; cards
//! may stay idle. By max(stage) m + max(sync) + sum.

use std::ops::Range;

use motley_scheduler::{Plan, Zero};
use motley_workload::Recompute;

use super::{Field, Proposals};
use crate::combination::Combination;
use crate::neighbours::OPTIMIZER;
use crate::sketch::{Placing, Sketch, SketchPipeline, SketchStage};
use crate::template::permutations;

/// Stages at most.
const DEEPEST: u32 = 24;

/// Sailor's best plans by its formula, best first.
pub(crate) fn sailor(field: &Field, sync: &dyn Fn(f64) -> f64) -> Vec<Plan> {
    let mut proposals = Proposals::default();
    for combination in field.combinations {
        if combination.choices.iter().any(|choice| choice.unit.recompute != Recompute::None) {
            continue;
        }
        for subset in 1_usize..1 << combination.choices.len() {
            let kinds: Vec<usize> =
                (0..combination.choices.len()).filter(|kind| subset >> kind & 1 == 1).collect();
            for order in permutations(&kinds) {
                for stages in 1..=field.layers.min(DEEPEST) {
                    propose(field, combination, &order, stages, sync, &mut proposals);
                }
            }
        }
    }
    proposals.place(field, Placing::StageByStage)
}

fn propose(
    field: &Field,
    combination: &Combination,
    order: &[usize],
    stages: u32,
    sync: &dyn Fn(f64) -> f64,
    proposals: &mut Proposals,
) {
    let size = combination.micro_batch_size;
    let wide = combination.choices[0].unit.wide;
    let units: u32 = order.iter().map(|&kind| combination.choices[kind].units).sum();
    let layers: Vec<Range<u32>> =
        (0..stages).map(|s| s * field.layers / stages..(s + 1) * field.layers / stages).collect();
    for replicas in (1..=units / stages).rev() {
        if !field.batch.is_multiple_of(size * replicas * wide) {
            continue;
        }
        let micro_batches = field.batch / (size * replicas * wide);
        let mut left: Vec<(usize, u32)> =
            order.iter().map(|&kind| (kind, combination.choices[kind].units)).collect();
        let mut slots: Vec<Vec<usize>> = Vec::with_capacity(stages as usize);
        let (mut slowest, mut sum, mut exchanged) = (0.0_f64, 0.0, 0.0_f64);
        let mut fits = true;
        for (s, range) in (0..stages).zip(&layers) {
            let ends = [s == 0, s + 1 == stages];
            let in_flight = field.settings.in_flight(s, stages, micro_batches);
            let mut taken = Vec::with_capacity(replicas as usize);
            let mut time = 0.0_f64;
            while taken.len() < replicas as usize {
                let Some((kind, count)) = left.iter_mut().find(|(_, count)| *count > 0) else {
                    return;
                };
                let few = (*count).min(replicas - taken.len() as u32);
                *count -= few;
                taken.extend(std::iter::repeat_n(*kind, few as usize));
                let costs = &combination.choices[*kind].costs;
                fits &= costs.fits(range, ends, in_flight, replicas);
                time = time.max(costs.time(range, ends[0], ends[1]));
                exchanged = exchanged.max(costs.fixed(range, ends));
            }
            slots.push(taken);
            slowest = slowest.max(time);
            sum += time;
        }
        if !fits {
            continue;
        }
        let exchange = if replicas > 1 { sync(exchanged) } else { 0.0 };
        let cost = slowest * f64::from(micro_batches) + sum - slowest + exchange;
        proposals.add(cost, || Sketch {
            pipelines: (0..replicas as usize)
                .map(|replica| SketchPipeline {
                    stages: slots
                        .iter()
                        .zip(&layers)
                        .map(|(slots, layers)| SketchStage {
                            unit: combination.choices[slots[replica]].unit,
                            layers: layers.clone(),
                        })
                        .collect(),
                    micro_batches,
                    micro_batch_size: size,
                })
                .collect(),
            zero: if replicas > 1 { OPTIMIZER } else { Zero::NONE },
        });
    }
}

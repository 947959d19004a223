//! Metis (Um et al. 2024): one pipeline of device groups in an order of the types, all cards in use,
//! layers in proportion to speed, by (m - 1) max + sum + all-reduce.
//!
//! Of its plans those whose stages are all replicated alike: others cannot be expressed here.

use motley_scheduler::{Plan, Zero};
use motley_workload::Recompute;

use super::{Field, Proposals};
use crate::neighbours::OPTIMIZER;
use crate::sketch::{Placing, Sketch, SketchPipeline, SketchStage};
use crate::template::{permutations, template};

/// Metis's best plans by its formula, best first. `sync` says how long the gradients of so many bytes
/// on a card take.
pub(crate) fn metis(field: &Field, sync: &dyn Fn(f64) -> f64) -> Vec<Plan> {
    let mut proposals = Proposals::default();
    for combination in field.combinations {
        let all = combination.choices.len() == field.pool.types.len();
        let recomputes =
            combination.choices.iter().any(|choice| choice.unit.recompute != Recompute::None);
        let size = combination.micro_batch_size;
        if !all || recomputes {
            continue;
        }
        let kinds: Vec<usize> = (0..combination.choices.len()).collect();
        let most = combination.choices.iter().map(|choice| choice.units).min().unwrap_or(0);
        for replicas in 1..=most {
            let even = |choice: &crate::combination::Choice| choice.units.is_multiple_of(replicas);
            if !combination.choices.iter().all(even)
                || !replicas.is_power_of_two()
                || !field.batch.is_multiple_of(size * replicas * combination.choices[0].unit.wide)
            {
                continue;
            }
            let micro_batches = field.batch / (size * replicas * combination.choices[0].unit.wide);
            for order in permutations(&kinds) {
                // Stages are groups of a type: as many as it has, or one large one of each type.
                let stages: Vec<usize> = order
                    .iter()
                    .flat_map(|&kind| {
                        let count = combination.choices[kind].units / replicas;
                        std::iter::repeat_n(kind, count as usize)
                    })
                    .collect();
                if stages.len() > field.layers as usize {
                    continue;
                }
                let Some(cut) = template(
                    combination,
                    field.settings,
                    field.layers,
                    stages,
                    replicas,
                    f64::INFINITY,
                ) else {
                    continue;
                };
                let gradients = cut.layers.iter().enumerate().map(|(s, layers)| {
                    let ends = [s == 0, s + 1 == cut.layers.len()];
                    combination.choices[cut.stages[s]].costs.fixed(layers, ends)
                });
                let exchanged = if replicas > 1 { gradients.fold(0.0, f64::max) } else { 0.0 };
                let cost = cut.time(micro_batches) + sync(exchanged);
                proposals.add(cost, || {
                    let pipeline = SketchPipeline {
                        stages: cut
                            .stages
                            .iter()
                            .zip(&cut.layers)
                            .map(|(&choice, layers)| SketchStage {
                                unit: combination.choices[choice].unit,
                                layers: layers.clone(),
                            })
                            .collect(),
                        micro_batches,
                        micro_batch_size: size,
                    };
                    Sketch {
                        pipelines: vec![pipeline; replicas as usize],
                        zero: if replicas > 1 { OPTIMIZER } else { Zero::NONE },
                    }
                });
            }
        }
    }
    proposals.place(field, Placing::StageByStage)
}

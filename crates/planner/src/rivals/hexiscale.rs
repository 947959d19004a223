//! HexiScale (FlashFlex, Yan et al. 2024): cards are parted into pipelines that may differ, stages by
//! node with a tensor-parallel degree each, layers in proportion to memory, micro-batches in proportion
//! to the datasheet's speed of the slowest stage.

use motley_scheduler::{Plan, Zero, deal};
use motley_workload::Recompute;

use super::{Field, Proposals};
use crate::combination::Combination;
use crate::neighbours::OPTIMIZER;
use crate::sketch::{Placing, Sketch, SketchPipeline, SketchStage};
use crate::template::{permutations, ranges};

/// Halvings of the interval in which the time lies up to which all micro-batches are dealt.
const HALVINGS: u32 = 30;

/// HexiScale's best plans by its formula, best first.
pub(crate) fn hexiscale(field: &Field, sync: &dyn Fn(f64) -> f64) -> Vec<Plan> {
    let mut proposals = Proposals::default();
    for combination in field.combinations {
        let recompute = combination.choices[0].unit.recompute;
        let flag = combination.choices.iter().all(|choice| choice.unit.recompute == recompute);
        if combination.choices.len() != field.pool.types.len() || !flag {
            continue;
        }
        let kinds: Vec<usize> = (0..combination.choices.len()).collect();
        let units: u32 = combination.choices.iter().map(|choice| choice.units).sum();
        for count in 1..=units {
            for order in permutations(&kinds) {
                propose(field, combination, &order, count, sync, &mut proposals);
            }
        }
    }
    proposals.place(field, Placing::PipelineByPipeline)
}

fn propose(
    field: &Field,
    combination: &Combination,
    order: &[usize],
    count: u32,
    sync: &dyn Fn(f64) -> f64,
    proposals: &mut Proposals,
) {
    let size = combination.micro_batch_size;
    let wide = combination.choices[0].unit.wide;
    if !field.batch.is_multiple_of(size * wide) {
        return;
    }
    let micro_batches = field.batch / (size * wide);
    if micro_batches < count {
        return;
    }
    // Every pipeline gets its share of each type; the first get what does not divide.
    let mut pipelines: Vec<(Vec<usize>, Vec<u32>)> = Vec::with_capacity(count as usize);
    for pipeline in 0..count {
        let stages: Vec<usize> = order
            .iter()
            .flat_map(|&kind| {
                let all = combination.choices[kind].units;
                let own = all / count + u32::from(pipeline < all % count);
                std::iter::repeat_n(kind, own as usize)
            })
            .collect();
        if stages.is_empty() || stages.len() > field.layers as usize {
            return;
        }
        let memory = |&kind: &usize| {
            let choice = &combination.choices[kind];
            choice.costs.capacity() * f64::from(choice.unit.tp)
        };
        let total: f64 = stages.iter().map(memory).sum();
        let mut sum = 0.0;
        let mut ends: Vec<u32> = Vec::with_capacity(stages.len());
        for (s, stage) in stages.iter().enumerate() {
            sum += memory(stage);
            let share = (f64::from(field.layers) * sum / total).round() as u32;
            let least = ends.last().map_or(0, |end| end + 1).max(1);
            let behind = (stages.len() - 1 - s) as u32;
            ends.push(share.clamp(least, field.layers - behind));
        }
        pipelines.push((stages, ends));
    }
    // By the datasheet: seconds are layers over peak.
    let flops = |(stages, ends): &(Vec<usize>, Vec<u32>)| -> f64 {
        ranges(ends)
            .zip(stages)
            .map(|(range, &kind)| {
                let choice = &combination.choices[kind];
                let peak = field.pool.types[choice.unit.kind].peak.max(1.0);
                f64::from(range.end - range.start) / (peak * f64::from(choice.unit.tp))
            })
            .fold(0.0, f64::max)
    };
    let paces: Vec<f64> = pipelines.iter().map(flops).collect();
    let batches = dealt(&paces, micro_batches);
    let mut slowest = 0.0_f64;
    let mut exchanged = 0.0_f64;
    for (((stages, ends), &own), &pace) in pipelines.iter().zip(&batches).zip(&paces) {
        let depth = stages.len() as u32;
        for (s, (range, &kind)) in ranges(ends).zip(stages).enumerate() {
            let costs = &combination.choices[kind].costs;
            let at = [s == 0, s + 1 == stages.len()];
            let in_flight = field.settings.in_flight(s as u32, depth, own);
            if !costs.fits(&range, at, in_flight, count) {
                return;
            }
            exchanged = exchanged.max(costs.fixed(&range, at));
        }
        slowest = slowest.max(pace * f64::from(own + depth - 1));
    }
    // A layer's seconds on a card of peak 1 turn its formula into seconds.
    let layer = combination
        .choices
        .iter()
        .map(|choice| {
            let whole = choice.costs.time(&(0..field.layers), true, true);
            let peak = field.pool.types[choice.unit.kind].peak.max(1.0);
            whole / f64::from(field.layers) * peak * f64::from(choice.unit.tp)
        })
        .fold(f64::INFINITY, f64::min);
    let recompute =
        if combination.choices[0].unit.recompute == Recompute::Full { 4.0 / 3.0 } else { 1.0 };
    let exchange = if count > 1 { sync(exchanged) } else { 0.0 };
    let cost = slowest * layer * recompute + exchange;
    proposals.add(cost, || Sketch {
        pipelines: pipelines
            .iter()
            .zip(&batches)
            .map(|((stages, ends), &own)| SketchPipeline {
                stages: stages
                    .iter()
                    .zip(ranges(ends))
                    .map(|(&kind, layers)| SketchStage {
                        unit: combination.choices[kind].unit,
                        layers,
                    })
                    .collect(),
                micro_batches: own,
                micro_batch_size: size,
            })
            .collect(),
        zero: if count > 1 { OPTIMIZER } else { Zero::NONE },
    });
}

/// Micro-batches dealt one by one, each pipeline having one, to whoever then ends first at its pace.
fn dealt(paces: &[f64], micro_batches: u32) -> Vec<u32> {
    // Up to a time all that end by then are dealt, in whatever order.
    let by = |time: f64| -> Vec<u32> {
        paces.iter().map(|pace| ((time / pace) as u32).max(1)).collect()
    };
    let sum = |owned: &[u32]| owned.iter().map(|&own| u64::from(own)).sum::<u64>();
    let mut owned = by(0.0);
    let (mut low, mut high) =
        (0.0, f64::from(micro_batches) * paces.iter().copied().fold(0.0, f64::max));
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        let found = by(middle);
        if sum(&found) <= u64::from(micro_batches) {
            (low, owned) = (middle, found);
        } else {
            high = middle;
        }
    }
    deal(micro_batches, &owned, |own, count| paces[own] * f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn micro_batches_go_to_whoever_ends_first() {
        let one_by_one = |paces: &[f64], micro_batches: u32| -> Vec<u32> {
            let mut owned = vec![1; paces.len()];
            for _ in paces.len() as u32..micro_batches {
                let load = |own: &usize| paces[*own] * f64::from(owned[*own] + 1);
                let next =
                    (0..paces.len()).min_by(|a, b| load(a).total_cmp(&load(b))).expect("some");
                owned[next] += 1;
            }
            owned
        };
        for paces in [vec![1.0; 7], vec![1.0, 2.5, 0.7], vec![3.0, 1.0, 1.0, 9.0, 0.3]] {
            for micro_batches in [paces.len() as u32, 12, 97, 1536] {
                assert_eq!(dealt(&paces, micro_batches), one_by_one(&paces, micro_batches));
            }
        }
    }
}

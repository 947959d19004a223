//! HexiScale (FlashFlex, Yan et al. 2024): cards are parted into pipelines that may differ, stages by
//! node with a tensor-parallel degree each, layers in proportion to memory, micro-batches in proportion
//! to the datasheet's speed of the slowest stage.

use motley_scheduler::{Plan, Zero};
use motley_workload::Recompute;

use super::{Field, Proposals};
use crate::combination::Combination;
use crate::neighbours::OPTIMIZER;
use crate::sketch::{Placing, Sketch, SketchPipeline, SketchStage};
use crate::template::{permutations, ranges};

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
    let mut batches = vec![1_u32; count as usize];
    for _ in count..micro_batches {
        let next = (0..batches.len()).min_by(|&a, &b| {
            let load = |own: usize| paces[own] * f64::from(batches[own] + 1);
            load(a).total_cmp(&load(b))
        });
        if let Some(next) = next {
            batches[next] += 1;
        }
    }
    let mut slowest = 0.0_f64;
    let mut exchanged = 0.0_f64;
    for (((stages, ends), &own), &pace) in pipelines.iter().zip(&batches).zip(&paces) {
        let depth = stages.len() as u32;
        for (s, (range, &kind)) in ranges(ends).zip(stages).enumerate() {
            let costs = &combination.choices[kind].costs;
            let at = [s == 0, s + 1 == stages.len()];
            let in_flight = field.common.in_flight(s as u32, depth, own);
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

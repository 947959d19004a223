//! Plans that are written out, balanced by what their cards compute, or without some cards.

use motley::Prepared;
use motley_scheduler::{Pipeline, Plan, deal};
use motley_units::Time;

use crate::balance::by_rank;

/// Layers of each pipeline by the speed of its stages: a stage's speed is its layers over the compute of its
/// busiest card, embedding and head counted with them.
pub(super) fn balanced_layers(prepared: &Prepared) -> Result<Plan, String> {
    let mut plan = prepared.plan.clone();
    let compute = compute_of_stages(prepared);
    for (pipeline, compute) in plan.pipelines.iter_mut().zip(compute) {
        let ranges: Option<Vec<_>> = pipeline
            .stages
            .iter()
            .map(|stage| match stage.chunks.as_slice() {
                [layers] => Some(layers.clone()),
                _ => None,
            })
            .collect();
        let ranges = ranges.ok_or("its stages hold several ranges of layers")?;
        let held: Vec<u32> = ranges.iter().map(|range| range.end - range.start).collect();
        let speeds: Option<Vec<f64>> = held
            .iter()
            .zip(compute)
            .map(|(&held, compute)| {
                (held > 0 && compute > Time::ZERO).then(|| f64::from(held) / compute.as_secs_f64())
            })
            .collect();
        let speeds = speeds.ok_or("a stage of it has no layers")?;
        let mut start = 0;
        for (stage, layers) in pipeline.stages.iter_mut().zip(dealt(held.iter().sum(), &speeds)) {
            stage.chunks[0] = start..start + layers;
            start += layers;
        }
    }
    Ok(plan)
}

/// Micro-batches dealt out by how long each pipeline's busiest card computes for one.
pub(super) fn balanced_micro_batches(prepared: &Prepared) -> Result<Plan, String> {
    let all: Vec<usize> = (0..prepared.plan.pipelines.len()).collect();
    only(prepared, &all)
}

/// Without the pipelines that have a card of this device; the others work through their micro-batches, and
/// the cards stay idle.
pub(super) fn without(prepared: &Prepared, device: &str) -> Result<Plan, String> {
    let has = |pipeline: &Pipeline| {
        let gpus = pipeline.stages.iter().flat_map(|stage| &stage.gpus);
        gpus.into_iter().any(|&gpu| prepared.cluster.device(gpu).id == device)
    };
    let pipelines = prepared.plan.pipelines.iter().enumerate();
    let kept: Vec<usize> =
        pipelines.filter(|(_, pipeline)| !has(pipeline)).map(|(place, _)| place).collect();
    if kept.is_empty() {
        return Err("every pipeline of the plan has such a card".to_owned());
    }
    only(prepared, &kept)
}

/// The plan of these pipelines alone, all micro-batches dealt out among them.
fn only(prepared: &Prepared, kept: &[usize]) -> Result<Plan, String> {
    let mut plan = prepared.plan.clone();
    let size = plan.pipelines[kept[0]].micro_batch_size;
    let samples: u64 = plan.pipelines.iter().map(Pipeline::sequences).sum();
    if kept.iter().any(|&place| plan.pipelines[place].micro_batch_size != size) {
        return Err("its micro-batches have several sizes".to_owned());
    }
    let count = samples / u64::from(size);
    if !samples.is_multiple_of(u64::from(size)) || count < kept.len() as u64 {
        return Err("the batch does not divide into its micro-batches".to_owned());
    }
    let compute = compute_of_stages(prepared);
    let speeds: Vec<f64> = kept
        .iter()
        .map(|&place| {
            let busiest = compute[place].iter().copied().max().unwrap_or_default();
            let each = f64::from(plan.pipelines[place].micro_batches) / busiest.as_secs_f64();
            if each.is_finite() { each } else { 1.0 }
        })
        .collect();
    let counts = dealt(count as u32, &speeds);
    plan.pipelines = kept
        .iter()
        .zip(counts)
        .map(|(&place, micro_batches)| Pipeline { micro_batches, ..plan.pipelines[place].clone() })
        .collect();
    Ok(plan)
}

/// At least one for each, so that whoever is done last at its speed is done as early as can be.
fn dealt(count: u32, speeds: &[f64]) -> Vec<u32> {
    deal(count, &vec![1; speeds.len()], |hand, count| f64::from(count) / speeds[hand])
}

/// By pipeline and stage, the compute of the busiest card in an iteration.
fn compute_of_stages(prepared: &Prepared) -> Vec<Vec<Time>> {
    let pipelines = prepared.plan.pipelines.iter();
    let mut compute: Vec<Vec<Time>> =
        pipelines.map(|pipeline| vec![Time::ZERO; pipeline.stages.len()]).collect();
    let lowered = &prepared.lowered;
    for (place, time) in lowered.places.iter().zip(by_rank(&lowered.job)) {
        let known = &mut compute[place.pipeline as usize][place.stage as usize];
        *known = (*known).max(time);
    }
    compute
}

//! FlagScale's keys for heterogeneous training: process meshes, one behind the other along the pipeline.

use motley_scheduler::Plan;

use crate::frameworks::{Feature, verdicts};
use crate::pool::Pool;

/// The keys for a plan, as YAML, one line an item.
///
/// # Errors
/// What FlagScale lacks for it.
pub fn flagscale(plan: &Plan, pool: &Pool) -> Result<Vec<String>, Vec<Feature>> {
    let verdict = verdicts(plan, pool).into_iter().find(|each| each.framework == "FlagScale");
    if let Some(verdict) = verdict.filter(|verdict| !verdict.runs) {
        return Err(verdict.missing);
    }
    let Some(first) = plan.pipelines.first() else { return Ok(Vec::new()) };
    let dp = plan.pipelines.len();
    // Stages on cards of one type with one degree are a mesh.
    let mut meshes: Vec<(String, u32, u32, u32)> = Vec::new();
    for stage in &first.stages {
        let kind = stage.gpus.first().and_then(|&gpu| pool.type_of(gpu));
        let name = kind.map_or_else(String::new, |kind| pool.types[kind].id.clone());
        let (tp, ep) = (stage.tensor_parallel(), stage.expert_degrees().0);
        match meshes.last_mut() {
            Some(last) if (&last.0, last.1, last.2) == (&name, tp, ep) => last.3 += 1,
            _ => meshes.push((name, tp, ep, 1)),
        }
    }
    let process: Vec<String> =
        meshes.iter().map(|(_, tp, ep, pp)| format!("{tp}, 1, {ep}, {dp}, {pp}")).collect();
    let types: Vec<String> = meshes.iter().map(|mesh| format!("\"{}\"", mesh.0)).collect();
    let layers: Vec<String> =
        first.stages.iter().map(|stage| stage.layer_count().to_string()).collect();
    Ok(vec![
        "enable_hetero: True".to_owned(),
        format!("hetero_pipeline_layer_split: [{}]", layers.join(", ")),
        format!("hetero_process_meshes: [{}]", process.join(", ")),
        format!("hetero_device_types: [{}]", types.join(", ")),
        format!("micro_batch_size: {}", first.micro_batch_size),
        format!("pipeline_model_parallel_size: {}", first.stages.len()),
    ])
}

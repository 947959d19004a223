//! Megatron-LM's flags.

use motley_scheduler::{GradientSync, Plan, Schedule};
use motley_workload::Recompute;

use crate::frameworks::{Feature, verdicts};
use crate::pool::Pool;

/// The flags for a plan, one an item.
///
/// # Errors
/// What Megatron-LM lacks for it.
pub fn megatron(plan: &Plan, pool: &Pool, global_batch: u32) -> Result<Vec<String>, Vec<Feature>> {
    let verdict = verdicts(plan, pool).into_iter().find(|each| each.framework == "Megatron-LM");
    if let Some(verdict) = verdict.filter(|verdict| !verdict.runs) {
        return Err(verdict.missing);
    }
    let Some(first) = plan.pipelines.first() else { return Ok(Vec::new()) };
    let stage = &first.stages[0];
    let mut flags = vec![
        format!("--tensor-model-parallel-size {}", stage.tensor_parallel()),
        format!("--pipeline-model-parallel-size {}", first.stages.len()),
        format!("--micro-batch-size {}", first.micro_batch_size),
        format!("--global-batch-size {global_batch}"),
    ];
    let counts: Vec<u32> = first.stages.iter().map(motley_scheduler::Stage::layer_count).collect();
    if counts.iter().any(|count| *count != counts[0]) {
        flags.push(format!("--pipeline-model-parallel-layout {}", layout(&counts)));
    }
    if plan.sequence_parallel && stage.tensor_parallel() > 1 {
        flags.push("--sequence-parallel".to_owned());
    }
    match stage.recompute {
        Recompute::None => {}
        Recompute::Full => flags.push(
            "--recompute-granularity full --recompute-method uniform --recompute-num-layers 1"
                .to_owned(),
        ),
        other => flags.push(format!(
            "--recompute-granularity selective --recompute-modules {}",
            match other {
                Recompute::Selective => "core_attn".to_owned(),
                modules => modules.to_string(),
            }
        )),
    }
    match plan.zero.stage() {
        1 => flags.push("--use-distributed-optimizer".to_owned()),
        3 => flags.push("--use-torch-fsdp2".to_owned()),
        _ => {}
    }
    let (degree, tensor) = stage.expert_degrees();
    if degree > 1 {
        flags.push(format!("--expert-model-parallel-size {degree}"));
        flags.push(format!("--expert-tensor-parallel-size {tensor}"));
    }
    if matches!(plan.gradient_sync, GradientSync::Overlapped { .. }) {
        flags.push("--overlap-grad-reduce".to_owned());
    }
    if !matches!(plan.schedule, Schedule::OneFOneB) {
        flags.push(format!("# schedule: {}", plan.schedule.name()));
    }
    Ok(flags)
}

/// Megatron-Core's layout: embedding E, layers t, loss L, stages apart by |.
fn layout(counts: &[u32]) -> String {
    let last = counts.len() - 1;
    let stage = |(s, count): (usize, &u32)| {
        let layers = match count {
            0 => String::new(),
            1 => "t".to_owned(),
            count => format!("t*{count}"),
        };
        let begin = if s == 0 { "E" } else { "" };
        let end = if s == last { "L" } else { "" };
        format!("{begin}{layers}{end}")
    };
    counts.iter().enumerate().map(stage).collect::<Vec<String>>().join("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_name_every_layer_once() {
        assert_eq!(layout(&[0, 3, 1]), "E|t*3|tL");
        assert_eq!(layout(&[4]), "Et*4L");
    }
}

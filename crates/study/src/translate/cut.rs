//! Layers of the stages.

use std::ops::Range;

use motley_scenario::raw::{RawPlan, RawSplit};

use super::assumptions::Assumptions;
use super::plan::Degrees;
use super::{Concern, Software, Unsupported, recipe};
use crate::runs::{Model, Row};

/// Layers of each virtual stage, in the order in which a micro-batch visits them.
pub(super) fn cut(
    row: &Row,
    software: Software,
    degrees: &Degrees,
    layers: u32,
    assumptions: &mut Assumptions,
) -> Result<Vec<u32>, Unsupported> {
    let stages = degrees.pp * degrees.vpp;
    if stages == 1 {
        return Ok(vec![layers]);
    }
    if let Some(partition) = &row.parallel.pipeline_partition {
        return stated(partition, stages, layers);
    }
    if let Some(counts) = recipe::cut(row, software, stages, layers) {
        return Ok(counts);
    }
    if software == Software::Nanotron {
        return nanotron(&row.model, stages, layers, assumptions);
    }
    if software == Software::Scaling {
        return Ok(scaling(stages, layers, assumptions));
    }
    let each = layers / stages;
    if layers.is_multiple_of(stages) {
        return Ok(vec![each; stages as usize]);
    }
    if (layers + 2).is_multiple_of(stages) {
        assumptions.note("uneven cut not stated: embedding and head count as a layer each");
        let mut counts = vec![(layers + 2) / stages; stages as usize];
        counts[0] -= 1;
        counts[stages as usize - 1] -= 1;
        return Ok(counts);
    }
    assumptions.note("uneven cut not stated: the first stages hold one layer more");
    Ok((0..stages).map(|stage| each + u32::from(stage < layers % stages)).collect())
}

/// Aleph Alpha's scaling deals out embedding, layers, final norm and head alike, and the first stages get
/// what is over (`pipe_partition_uniform`).
fn scaling(stages: u32, layers: u32, assumptions: &mut Assumptions) -> Vec<u32> {
    assumptions.note("cut not stated: embedding, final norm and head count as a layer each");
    let slots = layers + 3;
    let mut partition: Vec<u32> =
        (0..stages).map(|stage| slots / stages + u32::from(stage < slots % stages)).collect();
    take(partition.iter_mut(), 1);
    take(partition.iter_mut().rev(), 2);
    partition
}

/// Numbers of layers, or the bounds between stages from 0 on. Slots beyond the layers are those of
/// embedding and head: one each, or the two before and four behind of DeepSpeed's GPT.
fn stated(partition: &[u32], stages: u32, layers: u32) -> Result<Vec<u32>, Unsupported> {
    let refused = |reason: String| Unsupported::new(Concern::Contradiction, reason);
    let mut counts = if partition.len() == stages as usize + 1 && partition.first() == Some(&0) {
        let differences = partition.windows(2).map(|pair| pair[1].checked_sub(pair[0]));
        differences
            .collect::<Option<Vec<u32>>>()
            .ok_or_else(|| refused(format!("the cut {partition:?} goes backwards")))?
    } else if partition.len() == stages as usize {
        partition.to_vec()
    } else {
        return Err(refused(format!("the cut {partition:?} is not one of {stages} stages")));
    };
    let slots: u64 = counts.iter().map(|&count| u64::from(count)).sum();
    let (before, behind) = match slots.checked_sub(u64::from(layers)) {
        Some(0) => (0, 0),
        Some(2) => (1, 1),
        Some(6) => (2, 4),
        _ => {
            return Err(refused(format!("the cut {partition:?} does not hold {layers} layers")));
        }
    };
    take(counts.iter_mut(), before);
    take(counts.iter_mut().rev(), behind);
    Ok(counts)
}

/// Takes slots away, beginning with the first stage.
fn take<'c>(counts: impl Iterator<Item = &'c mut u32>, mut slots: u32) {
    for count in counts {
        let taken = slots.min(*count);
        *count -= taken;
        slots -= taken;
    }
}

/// nanotron deals layers and head out by their matrices, a stage being full when the sum has passed
/// its share (`build_model`, `get_block_compute_costs` in `src/nanotron/models`). The head weighs
/// as much as several layers of a small model: where it fills its stage, one behind has nothing but
/// the loss. A pipeline here ends with the head, so that stage comes first, with nothing but the
/// embedding: as many hops, and the same work on each stage, but it is passed by activations where it
/// were logits. More than one such stage has no counterpart.
fn nanotron(
    model: &Model,
    stages: u32,
    layers: u32,
    assumptions: &mut Assumptions,
) -> Result<Vec<u32>, Unsupported> {
    let known = |value: Option<u32>, field| {
        value.map(u128::from).ok_or_else(|| Unsupported::not_stated(field))
    };
    let hidden = known(model.hidden, "model.hidden")?;
    let layer = 4 * hidden * hidden + 3 * model.ffn.map_or(4 * hidden, u128::from) * hidden;
    let head = known(model.vocab, "model.vocab")? * hidden;
    let total = u128::from(layers) * layer + head;
    let mut counts = vec![0; stages as usize];
    let (mut stage, mut sum) = (0, 0);
    for _ in 0..layers {
        counts[stage as usize] += 1;
        sum += layer;
        if sum * u128::from(stages) >= total * u128::from(stage + 1) {
            stage = (stage + 1).min(stages - 1);
        }
    }
    match stages - 1 - stage {
        0 => {}
        1 => {
            assumptions.note("the stage behind the head, with the loss alone, taken as the first");
            counts.rotate_right(1);
        }
        behind => {
            let reason = format!(
                "nanotron cuts the {layers} layers so that {behind} of {stages} stages hold nothing \
                 but the loss"
            );
            return Err(Unsupported::new(Concern::Plan, reason));
        }
    }
    Ok(counts)
}

/// Whether the first stage has the embedding alone.
pub(crate) fn begins_empty(plan: &RawPlan) -> bool {
    match plan {
        RawPlan::Uniform { layers: RawSplit::Counts(counts), .. } => counts.first() == Some(&0),
        RawPlan::Uniform { .. } | RawPlan::Auto => false,
        RawPlan::Explicit { pipelines, .. } => pipelines
            .iter()
            .filter_map(|pipeline| pipeline.stages.first())
            .any(|stage| stage.layers.0.iter().all(Range::is_empty)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(row: &str, expected: Result<&[u32], &str>) {
        let row: Row = serde_json::from_str(row).unwrap();
        let software = Software::of(&row);
        let mut assumptions = Assumptions::default();
        let degrees = Degrees::of(&row, &mut assumptions).unwrap();
        let layers = row.model.layers.unwrap();
        let found = cut(&row, software, &degrees, layers, &mut assumptions);
        match expected {
            Ok(counts) => assert_eq!(found.unwrap(), counts),
            Err(part) => assert!(found.unwrap_err().reason.contains(part)),
        }
    }

    #[test]
    fn layers_of_stages() {
        let row = |layers: u32, pp: u32, more: &str| {
            format!(
                r#"{{"id": "x", "model": {{"layers": {layers}}},
                    "hardware": {{"gpus": {pp}}},
                    "parallel": {{"tp": 1, "pp": {pp}, "dp": 1, "mbs": 1, "gbs": 64{more}}}}}"#
            )
        };
        check(&row(24, 4, ""), Ok(&[6, 6, 6, 6]));
        check(&row(30, 8, ""), Ok(&[3, 4, 4, 4, 4, 4, 4, 3]));
        check(&row(26, 4, r#", "vpp": 1"#), Ok(&[6, 7, 7, 6]));
        check(&row(27, 4, ""), Ok(&[7, 7, 7, 6]));
        check(&row(6, 2, r#", "vpp": 2"#), Ok(&[1, 2, 2, 1]));
        // AMP's slots: two before and four behind the layers.
        check(&row(24, 4, r#", "pipeline_partition": [0, 7, 14, 20, 30]"#), Ok(&[5, 7, 6, 6]));
        // The last stage holds three of the four slots behind, and no layer.
        check(&row(24, 4, r#", "pipeline_partition": [0, 9, 19, 27, 30]"#), Ok(&[7, 10, 7, 0]));
        // Sailor's: one for the embedding, one for the head.
        check(&row(32, 2, r#", "pipeline_partition": [16, 18]"#), Ok(&[15, 17]));
        check(&row(24, 2, r#", "pipeline_partition": [10, 14]"#), Ok(&[10, 14]));
        check(&row(24, 2, r#", "pipeline_partition": [10, 10]"#), Err("does not hold 24"));
        check(&row(24, 2, r#", "pipeline_partition": [1, 2, 3]"#), Err("not one of 2 stages"));
        check(&row(24, 2, r#", "pipeline_partition": [0, 14, 6]"#), Err("backwards"));
    }

    /// The cut that nanotron's own code prints for Llama-3-8B on eight stages holds five layers on
    /// the first seven... until the head takes its place on the last.
    #[test]
    fn nanotron_weighs_the_head() {
        let row = |layers: u32, hidden: u32, ffn: u32, vocab: u32, pp: u32| {
            format!(
                r#"{{"id": "x", "source": {{"name": "nanotron"}},
                    "model": {{"layers": {layers}, "hidden": {hidden}, "ffn": {ffn}, "vocab": {vocab}}},
                    "hardware": {{"gpus": {pp}}},
                    "parallel": {{"tp": 1, "pp": {pp}, "dp": 1, "mbs": 1, "gbs": 64}}}}"#
            )
        };
        // A layer of 4 h^2 + 3 h f = 67.1 M, a head of four layers: half of 20 is 10.
        check(&row(16, 2048, 8192, 131_072, 2), Ok(&[10, 6]));
        // A small head makes the first stage take one more.
        check(&row(8, 1024, 4096, 1, 2), Ok(&[5, 3]));
        // The head is as much as four layers and fills the third stage; the fourth has the loss.
        check(&row(8, 1024, 4096, 65_536, 4), Ok(&[0, 3, 3, 2]));
        // As much as 16 layers: it fills the third stage of eight.
        check(&row(8, 1024, 4096, 262_144, 8), Err("5 of 8 stages hold nothing"));
    }
}

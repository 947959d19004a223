//! What was simulated: question, machine, model, plan.

use super::wrap::{clip, labelled, wrapped};
use super::{WIDTH, number};
use crate::{PipelineClass, Report, StageRow};

pub(super) fn title(report: &Report) -> Vec<String> {
    report.title.iter().flat_map(|title| wrapped(title, WIDTH)).collect()
}

pub(super) fn cluster(report: &Report) -> Vec<String> {
    let groups: Vec<String> = report
        .cluster
        .groups
        .iter()
        .map(|group| {
            let (nodes, design) = (group.node_count, &group.design);
            format!(
                "{} x {design} ({} x {})",
                number::count(nodes.into()),
                number::count(group.card_count.into()),
                group.card_name
            )
        })
        .collect();
    let mut parts = vec![groups.join(" + ")];
    if let Some(fabric) = &report.cluster.fabric {
        let gigabits = fabric.port_bytes_per_s * 8.0 / 1e9;
        parts.push(format!("{} {gigabits} Gb/s", fabric.technology));
        let ratio = fabric.oversubscription_ratio;
        let ratio = if ratio > 1.0 { format!(" {ratio}:1") } else { String::new() };
        parts.push(format!("{}{ratio}", fabric.shape));
        if fabric.routing == "adaptive" && fabric.shape != "single switch" {
            parts.push("adaptive routing".to_owned());
        }
    }
    labelled("Cluster", &parts.join(", "))
}

pub(super) fn model(report: &Report) -> Vec<String> {
    let job = &report.job;
    let mut parameters = number::parameters(job.parameter_count);
    for (count, which) in
        [(job.active_parameter_count, "active"), (job.trained_parameter_count, "trained")]
    {
        if let Some(count) = count {
            parameters = format!("{parameters} ({} {which})", number::parameters(count));
        }
    }
    let samples = number::count(u64::from(job.global_batch_count));
    let samples = match (job.sequence_length_tokens, job.target_length_tokens) {
        (None, _) => format!("{samples} images"),
        (Some(length), None) => {
            format!("{samples} sequences of {} tokens", number::count(u64::from(length)))
        }
        (Some(length), Some(target)) => format!(
            "{samples} sequences of {} and {} tokens",
            number::count(u64::from(length)),
            number::count(u64::from(target))
        ),
    };
    let text =
        format!("{}, {parameters} parameters; {samples}, {}", clip(&job.model, 24), job.precision);
    labelled("Model", &text)
}

pub(super) fn plan(report: &Report) -> Vec<String> {
    let plan = &report.plan;
    let classes = &plan.pipeline_classes;
    let pp = number::span(classes.iter().map(|class| class.stage_count));
    let tp = number::span(report.stages.iter().map(|stage| stage.tensor_parallel_count));
    let chunks = report.stages.iter().map(|stage| stage.chunk_count).max().unwrap_or(1);
    let chunks = if chunks > 1 { format!(" of {chunks} chunks") } else { String::new() };
    let counts = by_cards(report, |class| class.micro_batch_count);
    let sizes = by_cards(report, |class| class.sequences_per_micro_batch_count);
    let mut parts =
        vec![format!("dp {}", plan.pipeline_count), format!("pp {pp}"), format!("tp {tp}")];
    let degrees = |of: fn(&StageRow) -> u32| report.stages.iter().map(of);
    let ways = |of: fn(&StageRow) -> Option<&'static str>| {
        let mut ways: Vec<&str> = report.stages.iter().filter_map(of).collect();
        ways.sort_unstable();
        ways.dedup();
        ways.join(", ")
    };
    for (name, of, way) in [
        (
            "cp",
            (|row| row.context_parallel_count) as fn(&StageRow) -> u32,
            (|row| row.context_exchange) as fn(&StageRow) -> Option<&'static str>,
        ),
        ("ep", |row| row.expert_parallel_count, |row| row.expert_dispatch),
    ] {
        if degrees(of).any(|degree| degree > 1) {
            parts.push(format!("{name} {} ({})", number::span(degrees(of)), ways(way)));
        }
    }
    if plan.zero_stage_index > 0 {
        let group = plan.zero_group_count.map(|size| format!(" in groups of {size}"));
        let shares = if plan.zero_shares == Some("memory") { " by memory" } else { "" };
        parts.push(format!("ZeRO {}{shares}{}", plan.zero_stage_index, group.unwrap_or_default()));
    }
    parts.extend([
        format!("{}{chunks}", plan.schedule),
        format!("micro-batches {counts} of size {sizes}"),
    ]);
    parts.extend(layers(report).map(|layers| format!("layers {layers}")));
    let mut recompute = report.stages.iter().map(|stage| &stage.recompute);
    if let Some(first) = recompute.next() {
        if recompute.any(|other| other != first) {
            parts.push("recompute on some stages".to_owned());
        } else if first != "none" {
            parts.push(format!("{first} recompute"));
        }
    }
    let mut offload = report.stages.iter().map(|stage| &stage.offload);
    if let Some(first) = offload.next() {
        if offload.any(|other| other != first) {
            parts.push("offload on some stages".to_owned());
        } else if !first.is_empty() {
            parts.push(format!("{} on hosts", first.join(" + ")));
        }
    }
    if plan.sequence_parallel {
        parts.push("sequence parallel".to_owned());
    }
    if plan.overlap_tensor {
        parts.push("tensor overlap".to_owned());
    }
    if plan.idle_card_count > 0 {
        parts.push(format!("{} cards idle", number::count(u64::from(plan.idle_card_count))));
    }
    labelled("Plan", &parts.join(", "))
}

/// `8`, or by the cards of the pipelines `12 (V100) / 4 (P100)`.
fn by_cards(report: &Report, of: fn(&PipelineClass) -> u32) -> String {
    let classes = &report.plan.pipeline_classes;
    let all = number::span(classes.iter().map(of));
    let mut by_cards: Vec<(String, Vec<&PipelineClass>)> = Vec::new();
    for class in classes {
        let cards: Vec<String> = class.cards.iter().map(|id| short_name(report, id)).collect();
        let cards = cards.join("+");
        match by_cards.iter_mut().find(|(known, _)| *known == cards) {
            Some((_, list)) => list.push(class),
            None => by_cards.push((cards, vec![class])),
        }
    }
    if by_cards.len() < 2 || !all.contains("to") {
        return all;
    }
    let parts: Vec<String> = by_cards
        .iter()
        .map(|(cards, list)| {
            let counts = number::span(list.iter().map(|&class| of(class)));
            format!("{counts} ({cards})")
        })
        .collect();
    parts.join(" / ")
}

/// Layers by stage if stages differ: `20 + 12` if all pipelines are cut alike and short enough,
/// else from fewest to most.
fn layers(report: &Report) -> Option<String> {
    let all = number::span(report.stages.iter().map(|stage| stage.layer_count));
    if !all.contains("to") {
        return None;
    }
    let of_class = |class: u32| -> Vec<String> {
        let rows = report.stages.iter().filter(|row| row.pipeline_class_index == class);
        rows.map(|row| row.layer_count.to_string()).collect()
    };
    let first = of_class(0);
    let classes = report.plan.pipeline_classes.len() as u32;
    let alike = (1..classes).all(|class| of_class(class) == first);
    Some(if alike && first.len() <= 8 { first.join(" + ") } else { format!("{all} a stage") })
}

/// The word of a card's name that says most, `V100`; its id if another card has the same word.
fn short_name(report: &Report, id: &str) -> String {
    let word = |name: &str| {
        let telling = |word: &&str| {
            word.starts_with(|c: char| c.is_ascii_alphabetic())
                && word.contains(|c: char| c.is_ascii_digit())
        };
        name.split_whitespace().find(telling).map(str::to_owned)
    };
    let cards = &report.card_types;
    let own = cards.iter().find(|card| card.id == id).and_then(|card| word(&card.name));
    own.filter(|own| {
        cards
            .iter()
            .filter(|card| card.used_count > 0 && card.id != id)
            .all(|card| word(&card.name).as_ref() != Some(own))
    })
    .unwrap_or_else(|| id.to_owned())
}

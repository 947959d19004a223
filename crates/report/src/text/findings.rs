//! What was found: fit, speed, cards, losses, links, comparisons.

use super::wrap::{INDENT, clip, labelled};
use super::{WIDTH, number};
use crate::{CardType, Figures, Report, time_sources};

/// Rows of the table of cards.
const MOST_CARDS: usize = 5;

/// Three lines that cannot be overlooked.
pub(super) fn out_of_memory(report: &Report) -> Vec<String> {
    let Some(worst) = report.out_of_memory.first() else { return Vec::new() };
    let cards: u32 = report.out_of_memory.iter().map(|entry| entry.card_count).sum();
    let parts = &worst.parts;
    let lines = [
        format!(
            "!!! OUT OF MEMORY on {} of {} cards: does not run; figures as if it did",
            number::count(cards.into()),
            number::count(report.plan.used_card_count.into()),
        ),
        format!(
            "!!! worst: stage {}, {} x {}: {} of {} GiB, {} short in {}",
            worst.stage_index,
            number::count(worst.card_count.into()),
            worst.card_name,
            number::gib(worst.needed_bytes),
            number::gib(worst.capacity_bytes),
            number::gib(worst.short_bytes),
            worst.moment.short(),
        ),
        format!(
            "!!! weights {}, gradients {}, optimizer {}, activations {}, other {}",
            number::gib(parts.parameters_bytes),
            number::gib(parts.gradients_bytes),
            number::gib(parts.optimizer_bytes),
            number::gib(parts.activations_bytes),
            number::gib(
                parts.workspace_bytes
                    + parts.fragments_bytes
                    + parts.context_bytes
                    + parts.communication_bytes,
            ),
        ),
    ];
    lines.iter().map(|line| clip(line, WIDTH)).collect()
}

pub(super) fn speed(report: &Report) -> Vec<String> {
    let time = &report.iteration_time;
    let mut iteration = vec![number::seconds(time.mean.as_secs_f64())];
    if let Some(half_width) = time.ci95_half_width_s {
        iteration.push(format!(
            "+- {} (95 %, {} iterations of {} to {})",
            number::seconds(half_width),
            time.iteration_count,
            number::seconds(time.min.as_secs_f64()),
            number::seconds(time.max.as_secs_f64()),
        ));
    }
    let found = &report.efficiency;
    let samples = number::four_digits(found.samples_per_s);
    let throughput = match (found.tokens_per_s, found.tokens_per_card_per_s) {
        (Some(tokens), Some(by_card)) => format!(
            "{} tokens/s, {samples} sequences/s, {} tokens/s a card",
            number::four_digits(tokens),
            number::four_digits(by_card),
        ),
        _ => format!(
            "{samples} images/s, {} images/s a card",
            number::four_digits(found.samples_per_card_per_s)
        ),
    };
    let mut lines = labelled("Iteration", &iteration.join(" "));
    lines.extend(labelled("Speed", &throughput));
    lines.extend(labelled("Efficiency", &utilisation(report)));
    lines
}

fn utilisation(report: &Report) -> String {
    let found = &report.efficiency;
    let unknown = || "unknown (a card's peak is not in the catalogue)".to_owned();
    let mut parts = vec![format!("MFU {}", found.mfu_ratio.map_or_else(unknown, number::percent))];
    let unlike = report.card_types.iter().filter(|card| card.used_count > 0).count() > 1;
    let own = found.heterogeneous_mfu_ratio.map(number::percent);
    if let Some(own) = own
        && (unlike || found.mfu_ratio.map(number::percent).as_ref() != Some(&own))
    {
        parts.push(format!("heterogeneous MFU {own}"));
    }
    let hfu = found.hfu_ratio.map(number::percent);
    if let Some(hfu) = hfu
        && found.mfu_ratio.map(number::percent).as_ref() != Some(&hfu)
    {
        parts.push(format!("HFU {hfu}"));
    }
    let hourly = report.cost_per_hour_usd.map(|cost| format!("{cost:.2} USD/h"));
    let by_token = report.cost_per_million_tokens_usd;
    let by_token = by_token.map(|cost| format!("{} USD/Mtoken", number::four_digits(cost)));
    let by_image = report.cost_per_million_images_usd;
    let by_image = by_image.map(|cost| format!("{} USD/Mimage", number::four_digits(cost)));
    let costs: Vec<String> = hourly.into_iter().chain(by_token).chain(by_image).collect();
    let found = parts.join(", ");
    if costs.is_empty() { found } else { format!("{found}; {}", costs.join(", ")) }
}

pub(super) fn cards(report: &Report) -> Vec<String> {
    let row = |[name, used, computes, transfers, waits, memory]: [&str; 6]| {
        let name = clip(name, 21);
        let line = format!("{name:<22}{used:>9}{computes:>9}{transfers:>10}{waits:>7} {memory}");
        clip(&line, WIDTH)
    };
    let mut lines = vec![row(["Card", "in use", "computes", "transfers", "waits", "peak memory"])];
    // The page has room for so many; the JSON has all.
    let shown = if report.card_types.len() > MOST_CARDS { MOST_CARDS - 1 } else { MOST_CARDS };
    lines.extend(report.card_types.iter().take(shown).map(|card| card_row(card, row)));
    let rest = report.card_types.len().saturating_sub(shown);
    if rest > 0 {
        lines.push(format!("... and {rest} more types of cards"));
    }
    lines
}

fn card_row(card: &CardType, row: impl Fn([&str; 6]) -> String) -> String {
    let in_use = format!("{}/{}", card.used_count, card.card_count);
    let capacity = number::gib(card.memory_capacity_bytes);
    let Some(used) = &card.used else {
        return row([&card.name, &in_use, "-", "-", "-", &format!("idle, {capacity} GiB")]);
    };
    let verdict = if card.fits { "fits" } else { "OOM" };
    let memory = format!("{} of {capacity} GiB {verdict}", number::gib(used.peak_memory_bytes));
    row([
        &card.name,
        &in_use,
        &number::percent(used.compute_ratio),
        &number::percent(used.exposed_ratio),
        &number::percent(used.wait_ratio),
        &memory,
    ])
}

pub(super) fn imbalance(report: &Report) -> Vec<String> {
    let Some(imbalance) = &report.imbalance else { return Vec::new() };
    // What rounds to nothing, or is below it, is none.
    let loss = if imbalance.loss_ratio < 0.0005 {
        "none".to_owned()
    } else {
        number::percent(imbalance.loss_ratio)
    };
    let text = format!(
        "{} {loss}: {} {}",
        imbalance.kind,
        number::seconds(imbalance.balanced.as_secs_f64()),
        imbalance.baseline,
    );
    labelled("Loss", &text)
}

pub(super) fn links(report: &Report) -> Vec<String> {
    let Some(worst) = report.links.first() else { return Vec::new() };
    let text = format!(
        "{}: {} busy, {}",
        worst.link,
        number::percent(worst.utilisation_ratio),
        worst.traffic,
    );
    labelled("Worst link", &text)
}

pub(super) fn published(report: &Report) -> Vec<String> {
    let lines = report.published.iter().flat_map(|comparison| {
        let (published, predicted) = comparison.figures.values();
        let show = |value: f64| match comparison.figures {
            Figures::Seconds { .. } => number::seconds(value),
            Figures::Tokens { .. } => format!("{} tokens/s", number::four_digits(value)),
            Figures::Samples { .. } => format!("{} samples/s", number::four_digits(value)),
            Figures::Flops { .. } => {
                format!("{} TFLOP/s a card", number::four_digits(value / 1e12))
            }
            Figures::Mfu { .. } => number::percent(value),
        };
        let predicted = predicted.map_or_else(|| "unknown".to_owned(), show);
        let error = comparison
            .error_ratio
            .map_or_else(String::new, |error| format!(" ({})", number::signed_percent(error)));
        let text = format!("{} {}, predicted {predicted}{error}", show(published), comparison.what);
        // If they are many, one line each; the full source is in the JSON.
        let room = (WIDTH - INDENT).saturating_sub(text.chars().count() + 2);
        let alone = report.published.len() == 1;
        let source = if alone { comparison.source.clone() } else { clip(&comparison.source, room) };
        labelled("Published", &format!("{text}; {source}"))
    });
    lines.collect()
}

pub(super) fn simulated(report: &Report) -> Vec<String> {
    let done = &report.simulated;
    let fidelity = done.fidelity.map(|fidelity| format!(", {fidelity}")).unwrap_or_default();
    let text = format!(
        "{} operations, {} transfers{fidelity}; {}",
        number::count(done.operation_count),
        number::count(done.instance_count),
        time_sources(&report.kernel_times, &report.collective_times),
    );
    labelled("Simulated", &text)
}

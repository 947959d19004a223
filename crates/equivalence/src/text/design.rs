//! The cheapest pools, for people.

use motley_report::page::plan;
use motley_report::{number, wrap};

use super::{page, searched};
use crate::{Design, Pooled};

/// The answer in lines of at most 80 columns, without colour.
pub fn design_text(answer: &Design) -> String {
    let mut lines = Vec::new();
    lines.extend(wrap::labelled(
        "Needed",
        &format!("{} samples/s", number::four_digits(answer.samples_per_s)),
    ));
    match answer.pools.first() {
        Some(cheapest) => {
            lines.extend(wrap::labelled("Model", &model(cheapest)));
            lines.extend(wrap::labelled("Answer", &verdict(cheapest)));
            lines.extend(plan(&cheapest.side.report));
        }
        None => lines.extend(wrap::labelled("Answer", "nothing that was offered is enough")),
    }
    if !answer.pools.is_empty() {
        lines.push(String::new());
        lines.push(format!(
            "{:<34}{:>7}{:>8}{:>13}{:>9}{:>8}",
            "pool", "cards", "days", "USD", "MWh", "MFU"
        ));
        for pool in &answer.pools {
            lines.extend(row(pool));
        }
        lines.extend(wrap::labelled(
            "Costs",
            "card-hours by the catalogue's prices; energy by rated power of the nodes",
        ));
    }
    for (card, reason) in &answer.refused {
        lines.extend(wrap::labelled("Not enough", &format!("{card}: {reason}")));
    }
    lines.extend(searched(answer.plans, answer.cut));
    page(&lines)
}

fn row(pool: &Pooled) -> Vec<String> {
    let unknown = || "unknown".to_owned();
    let figures = format!(
        "{:>7}{:>8}{:>13}{:>9}{:>8}",
        number::count(u64::from(pool.side.cards)),
        number::four_digits(pool.days),
        pool.cost_usd.map_or_else(unknown, |cost| number::count(cost.round() as u64)),
        pool.rated_energy_mwh.map_or_else(unknown, number::four_digits),
        pool.side.report.efficiency.mfu_ratio.map_or_else(String::new, number::percent),
    );
    let mut lines = Vec::new();
    for (place, name) in wrap::wrapped(&named(pool), 33).into_iter().enumerate() {
        lines.push(if place == 0 { format!("{name:<34}{figures}") } else { name });
    }
    lines
}

fn named(pool: &Pooled) -> String {
    let parts: Vec<String> =
        pool.parts.iter().map(|(nodes, count)| format!("{count} x {}", nodes.design.id)).collect();
    parts.join(" + ")
}

fn model(pool: &Pooled) -> String {
    let job = &pool.side.report.job;
    format!(
        "{}, {} samples an iteration",
        job.model,
        number::count(u64::from(job.global_batch_count))
    )
}

fn verdict(pool: &Pooled) -> String {
    let cards: Vec<String> = pool
        .parts
        .iter()
        .map(|(nodes, count)| {
            let cards = u64::from(count * nodes.gpus());
            format!("{} {}", number::count(cards), nodes.device.name)
        })
        .collect();
    let cost = match pool.cost_usd {
        Some(cost) => format!(" for {} USD", number::count(cost.round() as u64)),
        None => format!(" in {} card-hours", number::count(pool.card_hours.round() as u64)),
    };
    format!("{} train it in {} days{cost}", cards.join(" and "), number::four_digits(pool.days))
}

//! The answer as a page of text, in the style of the report's page.

use std::fmt::Write as _;

use motley_report::wrap::labelled;
use motley_report::{number, page};

use crate::alone::Mixing;
use crate::answer::{Answer, Candidate, Choice};

/// Parts of the iteration that are named.
const PARTS: usize = 5;

/// Parts that are smaller are not.
const SMALL: f64 = 0.005;

/// The answer in lines of at most 80 columns, without colour.
pub fn text(answer: &Answer) -> String {
    let mut lines = Vec::new();
    match answer.plans.first() {
        Some(best) => lines.extend(page::headings(&best.report)),
        None => lines.extend(labelled("Plans", "no plan was found that fits")),
    }
    for (card, reason) in &answer.found.pool.refused {
        lines.extend(labelled("Left out", &format!("{card}: {reason}")));
    }
    let bound = number::seconds(answer.found.lower_bound_s);
    lines.extend(labelled(
        "Bound",
        &format!("{bound}: all cards at their best, nothing waited for; no plan is faster"),
    ));
    for (number, plan) in answer.plans.iter().enumerate() {
        lines.push(String::new());
        lines.extend(candidate(number + 1, plan));
    }
    if !answer.choices.is_empty() {
        lines.push(String::new());
        let choices: Vec<String> = answer.choices.iter().map(choice).collect();
        lines.extend(labelled("Others", &choices.join("; ")));
    }
    for row in &answer.without {
        let text = if row.over_best_ratio > 0.0 {
            let time = number::seconds(row.iteration_time_s);
            format!("{}: {time} ({})", row.card, number::signed_percent(row.over_best_ratio))
        } else {
            format!("{}: the best plan leaves it out", row.card)
        };
        lines.extend(labelled("Without", &text));
    }
    if let Some(mixing) = &answer.mixing {
        lines.extend(labelled("Mixing", &mixed(mixing)));
    }
    let mut searched = format!(
        "{} plans, {} operations",
        number::count(answer.found.plans),
        number::count(answer.found.operations)
    );
    if answer.found.cut {
        searched += "; ended by the budget: more of it may find better plans";
    }
    lines.extend(labelled("Searched", &searched));
    lines.into_iter().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The mix against its types alone.
fn mixed(mixing: &Mixing) -> String {
    let alone: Vec<String> = mixing
        .alone
        .iter()
        .map(|alone| {
            let rate = if alone.samples_per_s > 0.0 {
                format!("{} samples/s", number::four_digits(alone.samples_per_s))
            } else {
                "does not fit".to_owned()
            };
            format!("{} {} {rate}", number::count(u64::from(alone.card_count)), alone.card)
        })
        .collect();
    let of = match mixing.efficiency_ratio {
        Some(efficiency) => format!("{} of the sum of", number::percent(efficiency)),
        None => "against".to_owned(),
    };
    format!("{of} each type's best plan alone: {}", alone.join(", "))
}

fn candidate(number: usize, plan: &Candidate) -> Vec<String> {
    let report = &plan.report;
    let label = format!("Plan {number}");
    let mut lines = page::plan(report);
    if let Some(first) = lines.first_mut() {
        *first = first.replacen(&format!("{:<11}", "Plan"), &format!("{label:<11}"), 1);
    }
    let mut speed = format!(
        "{}, {} over the bound",
        number::seconds(report.iteration_time.mean.as_secs_f64()),
        number::percent(plan.gap_ratio)
    );
    if let Some(tokens) = report.efficiency.tokens_per_s {
        let _ = write!(speed, "; {} tokens/s", number::count(tokens.round() as u64));
    }
    lines.extend(labelled("Iteration", &speed));
    let parts: Vec<String> = report
        .breakdown
        .shares()
        .into_iter()
        .filter(|(_, share)| *share >= SMALL)
        .take(PARTS)
        .map(|(name, share)| format!("{name} {}", number::percent(share)))
        .collect();
    lines.extend(labelled("Time goes", &parts.join(", ")));
    let cards: Vec<String> = report
        .card_types
        .iter()
        .map(|card| {
            let memory = card.used.as_ref().map_or_else(String::new, |used| {
                format!(
                    ", {} of {} GiB",
                    number::gib(used.peak_memory_bytes),
                    number::gib(card.memory_capacity_bytes)
                )
            });
            format!("{} {} of {}{memory}", card.name, card.used_count, card.card_count)
        })
        .collect();
    lines.extend(labelled("Cards", &cards.join("; ")));
    lines.extend(labelled("Runs on", &runs_on(plan)));
    lines
}

/// Who runs the plan; if only some do, what the closest of the others lack.
fn runs_on(plan: &Candidate) -> String {
    let runs: Vec<&str> =
        plan.frameworks.iter().filter(|each| each.runs).map(|each| each.framework).collect();
    let mut words = if runs.is_empty() { "nobody as it is".to_owned() } else { runs.join(", ") };
    for asked in ["Megatron-LM", "FlagScale"] {
        let lacks = plan.frameworks.iter().find(|each| each.framework == asked && !each.runs);
        if let Some(lacks) = lacks {
            let missing: Vec<&str> = lacks.missing.iter().map(|feature| feature.words()).collect();
            let _ = write!(words, "; {asked} lacks {}", missing.join(", "));
        }
    }
    words
}

fn choice(choice: &Choice) -> String {
    match (choice.iteration_time_s, choice.over_best_ratio) {
        (Some(seconds), Some(over)) => {
            let name = choice.origin.name();
            format!("{name} {} ({})", number::seconds(seconds), number::signed_percent(over))
        }
        _ => format!("{} finds no plan that fits", choice.origin.name()),
    }
}

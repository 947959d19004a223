//! How many cards stand for a cluster, for people.

use motley_report::page::headings;
use motley_report::{number, wrap};

use super::{page, searched, side};
use crate::{Equivalent, Side};

/// The answer in lines of at most 80 columns, without colour.
pub fn equivalent_text(answer: &Equivalent) -> String {
    let nodes = &answer.nodes;
    let card = &nodes.device.name;
    let mut lines = headings(&answer.reference.report);
    lines.push(String::new());
    lines.extend(wrap::labelled("Answer", &verdict(answer)));
    lines.extend(wrap::labelled("Sure", &sureness(answer)));
    if let Some(bound) = answer.hard_bound() {
        lines.extend(wrap::labelled(
            "Bound",
            &format!(
                "{} ({:.2} for one): what {} alone can explain, where the difference is largest, if work \
                 divides without loss",
                number::four_digits(bound.count),
                bound.ratio,
                bound.resource.name()
            ),
        ));
    }
    lines.extend(wrap::labelled("Binding", &binding(answer)));
    if let Some(ratio) = answer.cost_ratio() {
        lines.extend(wrap::labelled(
            "Cost",
            &format!("{ratio:.2} times the reference's, by the catalogue's prices of an hour"),
        ));
    }
    if let Some(ratio) = answer.power_ratio() {
        lines.extend(wrap::labelled(
            "Energy",
            &format!("{ratio:.2} times the reference's, by rated power of the nodes"),
        ));
    }
    lines.push(String::new());
    lines.extend(side("Reference", &answer.reference));
    let label = format!("{} x", answer.other.cards);
    lines.extend(side(&label, &answer.other));
    lines.push(String::new());
    lines.push(format!("{:>10}{:>10}{:>12}{:>14}", "cards", "in use", "samples/s", "of reference"));
    for point in &answer.curve {
        lines.push(format!(
            "{:>10}{:>10}{:>12}{:>14.3}",
            number::count(u64::from(point.count)),
            number::count(u64::from(point.used_card_count)),
            number::four_digits(point.samples_per_s),
            point.of_reference_ratio
        ));
    }
    if !answer.table.is_empty() {
        lines.push(String::new());
        lines.push(format!(
            "{:<22}{:>12}{:>14}{:>10}",
            "model",
            "reference",
            card_column(card),
            "for one"
        ));
        for row in &answer.table {
            let (count, ratio) = match (row.equivalent_count, row.count_ratio) {
                (Some(count), Some(ratio)) => (number::four_digits(count), format!("{ratio:.2}")),
                _ => (String::new(), String::new()),
            };
            lines.push(format!(
                "{:<22}{:>12}{count:>14}{ratio:>10}",
                wrap::clip(&row.model, 21),
                number::count(u64::from(row.reference_count)),
            ));
            if let Some(reason) = &row.reason {
                lines.extend(wrap::labelled("", reason));
            }
        }
    }
    lines.extend(searched(answer.plans, answer.cut));
    page(&lines)
}

fn card_column(name: &str) -> String {
    wrap::clip(name, 13)
}

fn verdict(answer: &Equivalent) -> String {
    let card = &answer.nodes.device.name;
    let reference = number::count(u64::from(answer.reference.cards));
    if let (Some(count), Some(ratio)) = (answer.count, answer.count_ratio()) {
        return format!(
            "{} {card} train this as fast as the {reference} cards of the reference: {ratio:.2} for \
             one. In whole nodes ({}) that is {}, {} cards",
            number::four_digits(count.cards),
            answer.nodes.design.id,
            number::count(u64::from(count.nodes)),
            number::count(u64::from(count.nodes) * u64::from(answer.nodes.gpus())),
        );
    }
    let rate = |side: &Side| side.report.efficiency.samples_per_s;
    format!(
        "no number of {card} trains this as fast as the {reference} cards of the reference with the \
         same batch: {} of them reach {}, more gain nothing",
        number::count(u64::from(answer.other.cards)),
        number::percent(rate(&answer.other) / rate(&answer.reference))
    )
}

fn sureness(answer: &Equivalent) -> String {
    let interval = answer.count.map_or_else(String::new, |count| {
        let end =
            |cards: Option<f64>| cards.map_or_else(|| "no number".to_owned(), number::four_digits);
        format!("{} to {} in four of five cases: ", end(count.low), end(count.high))
    });
    let unmeasured = if answer.unmeasured.is_empty() {
        String::new()
    } else {
        format!(
            "; too few runs of {} are known, the error of all cards stands for theirs",
            answer.unmeasured.join(", ")
        )
    };
    format!(
        "{interval}the ratio of two predictions is off by up to {} as far as measured runs tell{unmeasured}",
        number::percent(answer.log_error.exp() - 1.0)
    )
}

fn binding(answer: &Equivalent) -> String {
    let gains: Vec<String> = answer
        .given
        .iter()
        .map(|given| {
            format!(
                "{} x {:.2}: {}",
                given.resource.name(),
                given.ratio,
                number::signed_percent(given.gain_ratio)
            )
        })
        .collect();
    if gains.is_empty() {
        return "the reference's cards have more of nothing".to_owned();
    }
    let of = if answer.binding().is_some() { "" } else { "nothing by itself; " };
    format!("{of}with as much as the reference's cards of {}", gains.join(", "))
}

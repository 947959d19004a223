//! What further nodes add, for people.

use motley_report::page::headings;
use motley_report::{number, wrap};

use super::{page, searched, side};
use crate::Value;

/// The answer in lines of at most 80 columns, without colour.
pub fn value_text(answer: &Value) -> String {
    let mut lines = headings(&answer.before.report);
    lines.push(String::new());
    lines.extend(wrap::labelled("Answer", &verdict(answer)));
    let alone = format!(
        "{} of the sum of both parts alone, each with its best plan; the added nodes alone reach {} of the \
         cluster",
        number::percent(answer.mixing_efficiency()),
        number::percent(answer.alone_ratio)
    );
    lines.extend(wrap::labelled("Mixing", &alone));
    if answer.nic_replaced {
        lines.extend(wrap::labelled(
            "NIC",
            &format!(
                "{} in the added nodes, as the fabric does not speak what their own do",
                answer.nodes.nic.name
            ),
        ));
    }
    lines.push(String::new());
    lines.extend(side("Before", &answer.before));
    lines.extend(side("After", &answer.after));
    lines.push(String::new());
    lines.push(format!(
        "{:>10}{:>10}{:>10}{:>12}{:>10}{:>18}",
        "nodes", "cards", "in use", "samples/s", "gain", "if all are used"
    ));
    for step in &answer.steps {
        let all = step
            .gain_if_all_used_ratio
            .map_or_else(|| "no plan".to_owned(), number::signed_percent);
        lines.push(format!(
            "{:>10}{:>10}{:>10}{:>12}{:>10}{all:>18}",
            number::count(u64::from(step.node_count)),
            number::count(u64::from(step.card_count)),
            number::count(u64::from(step.used_card_count)),
            number::four_digits(step.samples_per_s),
            number::signed_percent(step.gain_ratio),
        ));
    }
    lines.extend(searched(answer.plans, answer.cut));
    page(&lines)
}

fn verdict(answer: &Value) -> String {
    let Some(step) = answer.steps.last() else { return String::new() };
    let cards =
        format!("{} {}", number::count(u64::from(step.card_count)), answer.nodes.device.name);
    if step.gain_ratio <= 0.0 {
        return format!("{cards} add nothing: the best plan leaves them idle");
    }
    let before = answer.before.report.efficiency.samples_per_s;
    let each = step.gain_ratio * before / f64::from(step.card_count);
    let own = before / f64::from(answer.before.cards);
    format!(
        "{cards} add {}: each as much as {:.2} of a card of the cluster does",
        number::signed_percent(step.gain_ratio),
        each / own
    )
}

//! What is lost, for people.

use motley_report::{WIDTH, number, wrap};
use motley_scheduler::Traffic;

use super::{page, time, title};
use crate::{CardSeconds, LinkGain, Losses, Measure, Order, Picos, Waterfall};

/// Types of cards beside each other.
const COLUMNS: usize = 4;

/// Columns before what a part is held against.
const FIGURES: usize = 41;

/// The losses as lines of at most 80 columns, without colour.
pub fn losses_text(losses: &Losses) -> String {
    let mut lines = title(losses.title.as_deref());
    lines.extend(ends(losses));
    lines.push(String::new());
    lines.extend(parts(&losses.waterfall));
    lines.push(String::new());
    for types in losses.card_types.chunks(COLUMNS) {
        lines.extend(card_types(types));
    }
    lines.extend(metrics(losses));
    lines.extend(links(losses));
    page(&lines)
}

fn ends(losses: &Losses) -> Vec<String> {
    let waterfall = &losses.waterfall;
    let mut lines = wrap::labelled("Iteration", &time(waterfall.simulated));
    let ideal = format!("{}: {}", time(waterfall.ideal), waterfall.ideal_baseline);
    lines.extend(wrap::labelled("Ideal", &ideal));
    let lost = format!(
        "{}, {} of the iteration; it takes {} times the ideal",
        time(waterfall.loss()),
        number::percent(losses.metric(Measure::Waste)),
        number::four_digits(losses.metric(Measure::Slowdown)),
    );
    lines.extend(wrap::labelled("Lost", &lost));
    lines
}

fn parts(waterfall: &Waterfall) -> Vec<String> {
    let row = |name: &str, loss: &str, share: &str, rest: &str| {
        format!("{name:<20}{loss:>10}{share:>9}  {rest}")
    };
    let heading = match waterfall.order {
        Order::Ordered => "without what is above, and if",
        Order::Shapley => "in the mean over all orders, if",
    };
    let mut lines = vec![row("Lost to", "time", "share", heading)];
    for part in waterfall.parts.iter().filter(|part| part.loss != Picos::default()) {
        let share = number::percent(part.loss_ratio);
        let baseline = wrap::wrapped(part.baseline, WIDTH - FIGURES);
        for (number, rest) in baseline.iter().enumerate() {
            lines.push(if number == 0 {
                row(part.part.name(), &time(part.loss), &share, rest)
            } else {
                format!("{:FIGURES$}{rest}", "")
            });
        }
    }
    let all = waterfall.loss();
    let share = number::percent(all.share_of(waterfall.simulated));
    lines.push(row("all", &time(all), &share, "the ideal"));
    lines
}

/// Where the time of the cards of some types goes, a column for each.
fn card_types(types: &[CardSeconds]) -> Vec<String> {
    let row = |name: &str, cells: Vec<String>| {
        cells
            .iter()
            .fold(format!("{name:<28}"), |line, cell| format!("{line}{:>13}", wrap::clip(cell, 12)))
    };
    let cells = |of: &dyn Fn(&CardSeconds) -> String| types.iter().map(of).collect();
    let mut lines = vec![
        row("Time of cards", cells(&|card| card.id.clone())),
        row("in use", cells(&|card| number::count(card.card_count.into()))),
    ];
    let mut share = |name: &str, part: &dyn Fn(&CardSeconds) -> Picos| {
        let shares: Vec<f64> = types.iter().map(|card| part(card).share_of(card.total())).collect();
        // What rounds to nothing everywhere needs no line.
        if shares.iter().any(|&share| share >= 0.0005) {
            lines.push(row(name, shares.into_iter().map(number::percent).collect()));
        }
    };
    share("compute", &|card| card.compute);
    share("overlap slow-down", &|card| card.slowed);
    for class in Traffic::ALL.map(Traffic::name) {
        share(&format!("{class} transfer"), &|card| card.wait(class).exposed);
        share(&format!("{class} wait"), &|card| card.wait(class).waiting);
    }
    share("done early", &|card| card.done);
    lines.push(String::new());
    lines
}

/// Those figures that the lines above do not show.
fn metrics(losses: &Losses) -> Vec<String> {
    let shown = [Measure::HeterogeneityLoss, Measure::BubbleFraction, Measure::StageImbalance];
    let told = losses.metrics.iter().filter(|row| shown.contains(&row.metric));
    told.enumerate()
        .flat_map(|(position, row)| {
            let label = if position == 0 { "Metrics" } else { "" };
            let value = number::percent(row.value_ratio);
            wrap::labelled(label, &format!("{} {value} {}", row.metric.name(), row.baseline))
        })
        .collect()
}

fn links(losses: &Losses) -> Vec<String> {
    let Some(first) = losses.links.first() else { return Vec::new() };
    let row = |row: &LinkGain| {
        format!("{} {} ({})", row.kind, time(row.gain), number::percent(row.gain_ratio))
    };
    let rows: Vec<String> = losses.links.iter().map(row).collect();
    let text = format!("gained if free: {}; against {}", rows.join(", "), first.baseline);
    wrap::labelled("Links", &text)
}

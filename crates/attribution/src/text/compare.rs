//! Two scenarios side by side, for people.

use motley_report::{number, wrap};
use motley_units::Bytes;

use super::{page, time};
use crate::{ComparedPart, Comparison, Figures, Picos};

/// Differences that are listed.
const LISTED: usize = 8;

/// Columns of a cell.
const CELL: usize = 18;

/// The comparison as lines of at most 80 columns, without colour. `names` are those of the scenarios.
pub fn comparison_text(comparison: &Comparison, names: [&str; 2]) -> String {
    let (first, second) = (&comparison.first, &comparison.second);
    let mut lines = Vec::new();
    for (label, (name, title)) in ["First", "Second"]
        .into_iter()
        .zip(names.into_iter().zip([first.title.as_deref(), second.title.as_deref()]))
    {
        let title = title.map_or(String::new(), |title| format!(": {title}"));
        lines.extend(wrap::labelled(label, &format!("{name}{title}")));
    }
    lines.extend(asked(comparison));
    lines.push(String::new());
    lines.extend(figures(&first.figures, &second.figures));
    lines.push(String::new());
    lines.extend(parts(comparison));
    lines.extend(wrap::labelled("Why", &why(comparison)));
    page(&lines)
}

fn asked(comparison: &Comparison) -> Vec<String> {
    let written = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    let all = &comparison.differences;
    let told = all.iter().take(LISTED).map(|difference| {
        let (first, second) = (written(&difference.first), written(&difference.second));
        format!("{} {} -> {}", difference.path, wrap::clip(&first, 30), wrap::clip(&second, 30))
    });
    let mut rows: Vec<String> = told.collect();
    if all.len() > LISTED {
        rows.push(format!("... and {} more", all.len() - LISTED));
    }
    if rows.is_empty() {
        rows.push("nothing".to_owned());
    }
    let label = |position| if position == 0 { "Differ in" } else { "" };
    rows.iter()
        .enumerate()
        .flat_map(|(position, row)| wrap::labelled(label(position), row))
        .collect()
}

fn row(name: &str, cells: &[String; 3]) -> String {
    cells.iter().fold(format!("{name:<22}"), |line, cell| format!("{line}{cell:>CELL$}"))
}

fn figures(first: &Figures, second: &Figures) -> Vec<String> {
    let both = [first, second];
    let mut lines = vec![row("", &["first", "second", "second to first"].map(str::to_owned))];
    let mut add = |name: &str, text: &dyn Fn(&Figures) -> String, of: &dyn Fn(&Figures) -> f64| {
        let [one, other] = both.map(of);
        let change =
            if one > 0.0 { number::signed_percent(other / one - 1.0) } else { String::new() };
        lines.push(row(name, &[text(first), text(second), change]));
    };
    add("iteration", &|it| time(it.iteration), &|it| it.iteration.as_secs_f64());
    if both.iter().all(|it| it.tokens_per_s.is_some()) {
        let rate = |it: &Figures| it.tokens_per_s.unwrap_or_default();
        add("tokens/s", &|it| number::four_digits(rate(it)), &rate);
    }
    add("samples/s", &|it| number::four_digits(it.samples_per_s), &|it| it.samples_per_s);
    if both.iter().all(|it| it.mfu_ratio.is_some()) {
        let mfu = |it: &Figures| it.mfu_ratio.unwrap_or_default();
        add("MFU", &|it| number::percent(mfu(it)), &mfu);
    }
    let memory = |it: &Figures| {
        let over = if it.fits { "" } else { " too much" };
        format!("{}{over}", Bytes(it.peak_memory_bytes))
    };
    add("peak memory", &memory, &|it| it.peak_memory_bytes);
    lines
}

fn parts(comparison: &Comparison) -> Vec<String> {
    let mut lines =
        vec![row("Time of an iteration", &["first", "second", "difference"].map(str::to_owned))];
    let told = comparison.parts.iter().filter(|part| part.first.0 != 0 || part.second.0 != 0);
    for part in told {
        let cells = [time(part.first), time(part.second), signed(part.difference)];
        lines.push(row(part.name, &cells));
    }
    let (first, second) = (&comparison.first.figures, &comparison.second.figures);
    let cells = [time(first.iteration), time(second.iteration), signed(comparison.difference)];
    lines.push(row("all", &cells));
    lines
}

fn signed(picos: Picos) -> String {
    if picos.0 > 0 { format!("+{}", time(picos)) } else { time(picos) }
}

/// The parts that matter most, in a sentence.
fn why(comparison: &Comparison) -> String {
    if comparison.parts.iter().all(|part| part.difference.0 == 0) {
        return "no part differs".to_owned();
    }
    let share = |part: &ComparedPart| {
        let much = number::percent(part.difference.share_of(comparison.difference));
        format!("{} {} ({much} of the difference)", part.name, signed(part.difference))
    };
    let largest = comparison.parts.iter().take(3).filter(|part| part.difference.0 != 0);
    let speed = number::four_digits(comparison.speed_ratio);
    let list: Vec<String> = largest.map(share).collect();
    format!("the second does {speed} times the samples per second: {}", list.join(", "))
}

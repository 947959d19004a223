//! The answer for people.

use std::fmt::Write as _;

use super::{Agreement, Summary, Validation};

/// The longest name of a group that is shown whole.
const NAME: usize = 34;

/// The answer as a page of text: a line for each group, then what is worst, what did not fit and
/// what no scenario stands for.
pub fn text(validation: &Validation) -> String {
    let mut page = String::new();
    let longest = validation.groups.iter().map(|(name, _)| name.chars().count()).max();
    let width = longest.unwrap_or(0).clamp("group".len(), NAME);
    let _ = writeln!(
        page,
        "{:width$}  rows    ok   oom  fits  none |  median     p90    bias  order |  memory    bias",
        "group"
    );
    for (name, summary) in &validation.groups {
        line(&mut page, &shortened(name), width, summary);
    }
    line(&mut page, "all", width, &validation.summary);
    page.push_str(
        "\nErrors are predicted / measured - 1: median and p90 of their size, bias their mean. order: \
         Spearman's\nrank correlation within sweeps of one model on one cluster. memory: median size, of \
         the fullest card.\n",
    );
    worst(&mut page, &validation.summary);
    fit(&mut page, &validation.summary);
    unsupported(&mut page, &validation.summary);
    page
}

fn line(page: &mut String, name: &str, width: usize, summary: &Summary) {
    let time = summary.iteration_time.as_ref();
    let memory = summary.memory.as_ref();
    let percent = |agreement: Option<&Agreement>, figure: fn(&Agreement) -> f64, sign: bool| {
        agreement.map_or_else(String::new, |agreement| {
            let value = 100.0 * figure(agreement);
            if sign { format!("{value:+.1} %") } else { format!("{value:.1} %") }
        })
    };
    let order = summary.spearman.map_or_else(String::new, |order| format!("{order:.2}"));
    let written = format!(
        "{name:width$} {:>5} {:>5} {:>5} {:>5} {:>5} | {:>7} {:>7} {:>7}  {order:>5} | {:>7} {:>7}",
        summary.row_count,
        summary.ok_count,
        summary.oom_count,
        summary.fits_count,
        summary.unsupported_count,
        percent(time, |a| a.median_abs_error_ratio, false),
        percent(time, |a| a.p90_abs_error_ratio, false),
        percent(time, |a| a.bias_ratio, true),
        percent(memory, |a| a.median_abs_error_ratio, false),
        percent(memory, |a| a.bias_ratio, true),
    );
    page.push_str(written.trim_end());
    page.push('\n');
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.to_owned();
    }
    name.chars().take(NAME - 3).chain("...".chars()).collect()
}

fn worst(page: &mut String, summary: &Summary) {
    if summary.worst.is_empty() {
        return;
    }
    page.push_str("\nFurthest off\n");
    for row in &summary.worst {
        let _ = writeln!(page, "  {:+8.1} %  {}", 100.0 * row.error_ratio, row.id);
    }
}

fn fit(page: &mut String, summary: &Summary) {
    let fit = summary.fit;
    if fit.oom_count + fit.false_fits_count + fit.false_oom_count == 0 {
        return;
    }
    let _ = write!(
        page,
        "\nMemory of {} rows            predicted to fit   not to fit\n  \
         fitted                  {:>16}  {:>11}\n  \
         did not fit             {:>16}  {:>11}\n",
        fit.count(),
        fit.fits_count,
        fit.false_oom_count,
        fit.false_fits_count,
        fit.oom_count,
    );
}

fn unsupported(page: &mut String, summary: &Summary) {
    if summary.unsupported.is_empty() {
        return;
    }
    let _ = writeln!(
        page,
        "\nNo scenario stands for {} of {} rows",
        summary.unsupported_count, summary.row_count
    );
    let mut concerns: Vec<_> = summary.unsupported.iter().collect();
    concerns.sort_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then(a.cmp(b)));
    for (concern, count) in concerns {
        let _ = writeln!(page, "  {count:>5}  {}", concern.name());
    }
}

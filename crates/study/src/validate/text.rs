//! The answer for people.

use std::fmt::Write as _;

use super::{Agreement, CrossValidation, HeldOut, Summary, Validation};

/// The longest name of a group that is shown whole; more and lines would be longer than a terminal's.
const NAME: usize = 20;

/// The answer as a page of text of 80 columns: what all rows come to, a line for each group, then
/// what is worst, what did not fit and what no scenario stands for.
pub fn text(validation: &Validation) -> String {
    let mut page = String::new();
    overall(&mut page, &validation.summary);
    held_out(&mut page, &CrossValidation::of(validation));
    groups(&mut page, validation);
    worst(&mut page, &validation.summary);
    fit(&mut page, &validation.summary);
    unsupported(&mut page, &validation.summary);
    page
}

fn overall(page: &mut String, summary: &Summary) {
    let expressed = 100.0 * summary.expressed_ratio;
    let _ = writeln!(page, "Rows    {}, {expressed:.1} % of them expressed", summary.row_count);
    if let Some(time) = &summary.iteration_time {
        let _ = writeln!(page, "Time    {}", in_words(time));
    }
    if let Some(order) = summary.spearman {
        let sweeps = summary.sweep_count;
        let _ = writeln!(page, "Order   rank correlation within sweeps ({sweeps}): {order:.2}");
    }
    if let Some(memory) = &summary.memory {
        let _ = writeln!(page, "Memory  {}", in_words(memory));
    }
}

fn in_words(agreement: &Agreement) -> String {
    format!(
        "of {} compared: median error {:.1} %, P90 {:.1} %, bias {:+.1} %",
        agreement.count,
        100.0 * agreement.median_abs_error_ratio,
        100.0 * agreement.p90_abs_error_ratio,
        100.0 * agreement.bias_ratio,
    )
}

/// What is left without the sources that constants were set on, if there are such.
fn held_out(page: &mut String, cross: &CrossValidation) {
    let mut line = |what: &str, held_out: &HeldOut| {
        let Some(time) = &held_out.iteration_time else { return };
        if !held_out.left_out.is_empty() {
            let left_out: Vec<&str> = held_out.left_out.iter().copied().collect();
            let _ = writeln!(page, "Without sources on whose {what} a constant was set");
            let _ = writeln!(page, "        ({}):", left_out.join(", "));
            let _ = writeln!(page, "        {}", in_words(time));
        }
    };
    line("runs", &cross.held_out);
    if cross.strictly_held_out.left_out != cross.held_out.left_out {
        line("runs, layers, kernels or collectives", &cross.strictly_held_out);
    }
}

fn groups(page: &mut String, validation: &Validation) {
    let longest = validation.groups.iter().map(|(name, _)| name.chars().count()).max();
    let width = longest.unwrap_or(0).clamp("group".len(), NAME);
    let _ = writeln!(
        page,
        "\n{:width$} rows   ok  oom fits none  median    p90   bias order memory",
        "group"
    );
    for (name, summary) in &validation.groups {
        line(page, &shortened(name), width, summary);
    }
    line(page, "all", width, &validation.summary);
    page.push_str(
        "\nErrors are predicted / measured - 1 in per cent: median and p90 of their size,\n\
         bias their mean. order: Spearman's rank correlation within sweeps of one model\n\
         on one cluster. memory: median error of the fullest card's.\n",
    );
}

fn line(page: &mut String, name: &str, width: usize, summary: &Summary) {
    let time = summary.iteration_time.as_ref();
    let size = |agreement: Option<&Agreement>, figure: fn(&Agreement) -> f64| {
        agreement.map_or_else(String::new, |agreement| format!("{:.1}", 100.0 * figure(agreement)))
    };
    let bias = time.map_or_else(String::new, |time| format!("{:+.1}", 100.0 * time.bias_ratio));
    let order = summary.spearman.map_or_else(String::new, |order| format!("{order:.2}"));
    let written = format!(
        "{name:width$} {:>4} {:>4} {:>4} {:>4} {:>4} {:>7} {:>6} {bias:>6} {order:>5} {:>6}",
        summary.row_count,
        summary.ok_count,
        summary.oom_count,
        summary.fits_count,
        summary.unsupported_count,
        size(time, |agreement| agreement.median_abs_error_ratio),
        size(time, |agreement| agreement.p90_abs_error_ratio),
        size(summary.memory.as_ref(), |agreement| agreement.median_abs_error_ratio),
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
    page.push_str("\nFurthest off, and what takes most of the predicted time\n");
    for row in &summary.worst {
        let _ = writeln!(page, "  {:+8.1} %  {}", 100.0 * row.error_ratio, row.id);
        if !row.dominated_by.is_empty() {
            let _ = writeln!(page, "              {}", row.dominance());
        }
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

//! The answer as a page of Markdown, and the page of the suite.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::facts::Key;
use super::{
    Agreement, CrossValidation, FitTable, Grouping, HeldOut, Status, Summary, Validation, Verdict,
    Worst,
};
use crate::suite::{Suite, SuiteSource};

/// What stands before and behind the tables of the suite's page.
const BEGINNING: &str = include_str!("../../page/beginning.md");
const LIMITS: &str = include_str!("../../page/limits.md");

/// The runs of a source of more are not listed one by one.
const LISTED: usize = 30;

/// How many of the rows that are furthest off are shown.
const WORST: usize = 20;

/// The answer as tables.
pub fn markdown(validation: &Validation) -> String {
    let mut page = String::from("# Predicted against measured\n");
    tables(&mut page, validation);
    page
}

/// The page of the suite: what its runs come to, what is known of errors, where they are from.
pub fn suite_page(validation: &Validation, suite: &Suite) -> String {
    let mut page = BEGINNING.to_owned();
    tables(&mut page, validation);
    page.push('\n');
    page.push_str(LIMITS);
    remarks(&mut page, validation, suite);
    sources(&mut page, suite);
    runs(&mut page, validation, suite);
    page
}

fn tables(page: &mut String, validation: &Validation) {
    let held = CrossValidation::of(validation);
    overall(page, validation, &held);
    let mut by = |title: &str, keys: &[Key]| {
        let _ = write!(page, "\n## By {title}\n\n");
        groups(page, title, &validation.by(&Grouping(keys.to_vec())), &validation.summary);
    };
    by("family of cards", &[Key::Family]);
    by("number of cards", &[Key::Scale]);
    by("strategy", &[Key::Strategy]);
    by("source and card", &[Key::Source, Key::Device]);
    cross(page, &held);
    memory(page, validation);
    worst(page, validation);
    unsupported(page, validation);
}

fn percent(ratio: f64) -> String {
    format!("{:.1} %", 100.0 * ratio)
}

fn signed(ratio: f64) -> String {
    format!("{:+.1} %", 100.0 * ratio)
}

/// Median, 90th percentile and bias, as three cells.
fn cells(agreement: Option<&Agreement>) -> String {
    agreement.map_or_else(
        || " | | ".to_owned(),
        |agreement| {
            format!(
                "{} | {} | {}",
                percent(agreement.median_abs_error_ratio),
                percent(agreement.p90_abs_error_ratio),
                signed(agreement.bias_ratio)
            )
        },
    )
}

fn overall(page: &mut String, validation: &Validation, cross: &CrossValidation) {
    let summary = &validation.summary;
    page.push_str("\n## All rows\n\n| | |\n|---|---:|\n");
    let mut line = |what: &str, figure: String| {
        let _ = writeln!(page, "| {what} | {figure} |");
    };
    line("rows", summary.row_count.to_string());
    line("expressed as a scenario", percent(summary.expressed_ratio));
    line("compared in time", summary.ok_count.to_string());
    if let Some(time) = &summary.iteration_time {
        line("median error", percent(time.median_abs_error_ratio));
        line("90 % of errors below", percent(time.p90_abs_error_ratio));
        line("bias", signed(time.bias_ratio));
    }
    let errors: Vec<f64> = validation.verdicts.iter().filter_map(Verdict::error_ratio).collect();
    if let Some(all) = Agreement::of(&errors).filter(|all| all.count > summary.ok_count) {
        let more = all.count - summary.ok_count;
        line(
            &format!("median error with the {more} that ran and were predicted not to fit"),
            percent(all.median_abs_error_ratio),
        );
    }
    if let Some(median) = cross.median_of_sources_ratio {
        line("median of the sources' median errors", percent(median));
    }
    if let Some(order) = summary.spearman {
        let what = format!("rank correlation within sweeps ({})", summary.sweep_count);
        line(&what, format!("{order:.2}"));
    }
    if summary.fit.count() > 0 {
        line("told right whether they fit", percent(summary.fit.right_ratio()));
    }
}

fn groups(page: &mut String, title: &str, groups: &[(String, Summary)], all: &Summary) {
    let _ = writeln!(
        page,
        "| {title} | rows | compared | not to fit | not expressed | median | P90 | bias | order |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|"
    );
    let mut line = |name: &str, summary: &Summary| {
        let order = summary.spearman.map_or_else(String::new, |order| format!("{order:.2}"));
        let _ = writeln!(
            page,
            "| {name} | {} | {} | {} | {} | {} | {order} |",
            summary.row_count,
            summary.ok_count,
            summary.oom_count,
            summary.unsupported_count,
            cells(summary.iteration_time.as_ref()),
        );
    };
    for (name, summary) in groups {
        line(name, summary);
    }
    line("all", all);
}

fn cross(page: &mut String, cross: &CrossValidation) {
    page.push_str(
        "\n## Sources held against each other\n\n\
         Constants are not fitted to iteration times, so to leave a source out changes no prediction of\n\
         the others: the errors of each source are those of runs that nobody has fitted, but for what the\n\
         second table lists.\n\n\
         | source | compared | median | P90 | bias | all others: median | P90 | bias | gave |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---|\n",
    );
    for source in &cross.sources {
        let gave: Vec<&str> = source.gave.iter().map(|from| from.name()).collect();
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} |",
            source.source,
            source.own.count,
            cells(Some(&source.own)),
            cells(source.others.as_ref()),
            gave.join(", "),
        );
    }
    if cross.constants.is_empty() {
        return;
    }
    page.push_str(
        "\nConstants that were set on what one of these sources measured:\n\n\
         | source | constant | set on | by |\n|---|---|---|---|\n",
    );
    for constant in &cross.constants {
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} |",
            constant.source,
            constant.constant,
            constant.from.name(),
            constant.evidence
        );
    }
    page.push_str("\n| rows left | compared | median | P90 | bias |\n|---|---:|---:|---:|---:|\n");
    let mut left = |what: &str, held_out: &HeldOut| {
        let names: Vec<&str> = held_out.left_out.iter().copied().collect();
        let _ = writeln!(
            page,
            "| {what} ({}) | {} | {} |",
            names.join(", "),
            held_out.iteration_time.map_or(0, |time| time.count),
            cells(held_out.iteration_time.as_ref()),
        );
    };
    left("without sources whose runs a constant was set on", &cross.held_out);
    left("without sources that gave any constant of time", &cross.strictly_held_out);
}

fn memory(page: &mut String, validation: &Validation) {
    let by_source = validation.by(&Grouping(vec![Key::Source]));
    let told: Vec<(&str, FitTable)> = by_source
        .iter()
        .map(|(name, summary)| (name.as_str(), summary.fit))
        .filter(|(_, fit)| fit.oom_count + fit.false_fits_count + fit.false_oom_count > 0)
        .collect();
    if !told.is_empty() {
        page.push_str(
            "\n## Fits or not\n\n\
             Sources of which a run did not fit, or was predicted not to:\n\n\
             | source | ran: predicted to fit | not to fit | did not fit: predicted to fit | \
             not to fit | told right |\n|---|---:|---:|---:|---:|---:|\n",
        );
        let all = ("all sources", validation.summary.fit);
        for (name, fit) in told.into_iter().chain([all]) {
            let _ = writeln!(
                page,
                "| {name} | {} | {} | {} | {} | {} |",
                fit.fits_count,
                fit.false_oom_count,
                fit.false_fits_count,
                fit.oom_count,
                percent(fit.right_ratio())
            );
        }
    }
    let mut figures: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    for verdict in &validation.verdicts {
        let source = verdict.facts.get(&Key::Source).map_or("", String::as_str);
        if let Some(error) = verdict.memory_error_ratio() {
            figures.entry((source, verdict.memory_figure.name())).or_default().push(error);
        }
    }
    if figures.is_empty() {
        return;
    }
    page.push_str(
        "\n## Memory of the fullest card\n\n\
         | source | figure | runs | median | P90 | bias |\n|---|---|---:|---:|---:|---:|\n",
    );
    for ((source, figure), errors) in figures {
        let agreement = Agreement::of(&errors);
        let _ = writeln!(
            page,
            "| {source} | {figure} | {} | {} |",
            errors.len(),
            cells(agreement.as_ref())
        );
    }
}

fn worst(page: &mut String, validation: &Validation) {
    let verdicts: Vec<&Verdict> = validation.verdicts.iter().collect();
    let worst = Worst::of(&verdicts, WORST);
    if worst.is_empty() {
        return;
    }
    page.push_str(
        "\n## Furthest off\n\n| run | error | what takes most of the predicted time |\n|---|---:|---|\n",
    );
    for row in worst {
        let error = signed(row.error_ratio);
        let _ = writeln!(page, "| `{}` | {error} | {} |", row.id, row.dominance());
    }
}

fn unsupported(page: &mut String, validation: &Validation) {
    let mut reasons: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for verdict in validation.verdicts.iter().filter(|v| v.status == Status::Unsupported) {
        let source = verdict.facts.get(&Key::Source).map_or("", String::as_str);
        let reason = verdict.reason.as_deref().unwrap_or_default();
        *reasons.entry((source, reason)).or_insert(0) += 1;
    }
    if reasons.is_empty() {
        return;
    }
    page.push_str("\n## Not expressed\n\n| source | rows | reason |\n|---|---:|---|\n");
    for ((source, reason), count) in reasons {
        let _ = writeln!(page, "| {source} | {count} | {} |", reason.replace('|', "\\|"));
    }
}

fn remarks(page: &mut String, validation: &Validation, suite: &Suite) {
    for source in &suite.sources {
        let Some(remark) = &source.remark else { continue };
        let verdicts = of_source(validation, source);
        let errors: Vec<f64> = verdicts
            .iter()
            .filter(|verdict| verdict.status == Status::Ok)
            .filter_map(|verdict| verdict.error_ratio())
            .collect();
        if let Some(time) = Agreement::of(&errors) {
            let _ = writeln!(
                page,
                "- **{}** (median {}, bias {}): {remark}",
                source.citation.name,
                percent(time.median_abs_error_ratio),
                signed(time.bias_ratio)
            );
        }
    }
}

fn sources(page: &mut String, suite: &Suite) {
    page.push_str(
        "\n## Sources\n\n\
         Of the runs of a source that say enough, every so many is in the suite.\n\n\
         | ids | runs | of | source | where |\n|---|---:|---:|---|---|\n",
    );
    for source in &suite.sources {
        let citation = &source.citation;
        let collected = source.runs.collected + source.failures.map_or(0, |some| some.collected);
        let _ = writeln!(
            page,
            "| `{}-` | {} | {collected} | {}, *{}*, {}, {} | {} |",
            source.key,
            source.ids.len(),
            citation.authors,
            citation.title,
            citation.year,
            citation.url,
            source.places.join("; ")
        );
    }
}

fn runs(page: &mut String, validation: &Validation, suite: &Suite) {
    let _ = write!(
        page,
        "\n## Runs\n\n\
         Of sources with at most {LISTED}; of the others `motley validate --filter source=NAME --format json`\n\
         has them.\n"
    );
    for source in suite.sources.iter().filter(|source| source.ids.len() <= LISTED) {
        let verdicts = of_source(validation, source);
        if verdicts.is_empty() {
            continue;
        }
        let _ = write!(
            page,
            "\n### {}\n\n| run | measured s | predicted s | error |\n|---|---:|---:|---:|\n",
            source.citation.name
        );
        for verdict in verdicts {
            let seconds = |figure: Option<f64>| {
                figure.map_or_else(String::new, |seconds| format!("{seconds:.4}"))
            };
            let error = match (verdict.status, verdict.error_ratio()) {
                (Status::Ok, Some(error)) => signed(error),
                (Status::Oom, Some(error)) => {
                    format!("predicted not to fit, else {}", signed(error))
                }
                (Status::Oom, None) => "predicted not to fit".to_owned(),
                (Status::Fits, _) => "predicted to fit".to_owned(),
                (Status::Unsupported, _) | (Status::Ok, None) => "not expressed".to_owned(),
            };
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {error} |",
                verdict.id,
                seconds(verdict.measured_s),
                seconds(verdict.predicted_s),
            );
        }
    }
}

fn of_source<'v>(validation: &'v Validation, source: &SuiteSource) -> Vec<&'v Verdict> {
    validation.verdicts.iter().filter(|verdict| source.ids.contains(&verdict.id)).collect()
}

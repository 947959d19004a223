//! `docs/kernels.md`: how far predictions of single kernels and collectives are off.

use std::fmt::Write as _;

use motley_hardware::{Fit, FitQuality, FitSeries};

use super::quality::Quality;

/// A line of the table of collectives: bytes from 1 MiB up.
#[derive(Clone, Debug)]
pub(crate) struct CollectiveLine {
    pub(crate) design: String,
    pub(crate) nodes: u32,
    pub(crate) name: &'static str,
    pub(crate) source: String,
    pub(crate) quality: Quality,
}

/// What all test points of an architecture together come to.
#[derive(Clone, Debug)]
pub(crate) struct Pooled {
    pub(crate) architecture: String,
    pub(crate) quality: Quality,
}

const INTRODUCTION: &str = "# Kernels and collectives, one by one

Written by `cargo xtask fit`; [fit](fit.md) says how. Errors are |predicted / measured - 1|: the median,
and what nine points in ten stay below. Constants are fitted to the points of \"fit\" where the column
`fitted` says so, and to nothing of \"test\". What a source times beside the kernel was found with the
constants and is no part of them.

";

pub(crate) fn page(pooled: &[Pooled], fits: &[Fit], collectives: &[CollectiveLine]) -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("## All test points of an architecture\n\n");
    page.push_str("| architecture | points | median | P90 |\n|---|---|---|---|\n");
    for Pooled { architecture, quality } in pooled {
        let (points, median, p90) = (quality.points, percent(quality.median), percent(quality.p90));
        let _ = writeln!(page, "| {architecture} | {points} | {median} | {p90} |");
    }
    page.push_str("\n## Kernels\n\n");
    page.push_str(
        "| card | kernel | measured by | timed beside it | fitted | fit: points, median, P90 | test |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for series in fits.iter().flat_map(|fit| &fit.series) {
        let fitted = if series.fitted { "yes" } else { "" };
        let (fit, test) = (of(series.fit), of(series.test));
        let FitSeries { device, kernel, source, beside, .. } = series;
        let _ = writeln!(
            page,
            "| {device} | {kernel} | {source} | {beside} | {fitted} | {fit} | {test} |"
        );
    }
    if !collectives.is_empty() {
        page.push_str(
            "\n## Collectives, from 1 MiB\n\n\
             | nodes | collective | measured by | points | median | P90 |\n|---|---|---|---|---|---|\n",
        );
        for CollectiveLine { design, nodes, name, source, quality } in collectives {
            let Quality { points, median, p90 } = *quality;
            let (median, p90) = (percent(median), percent(p90));
            let _ = writeln!(
                page,
                "| {nodes} x {design} | {name} | {source} | {points} | {median} | {p90} |"
            );
        }
    }
    page
}

fn of(quality: FitQuality) -> String {
    if quality.points == 0 {
        return "-".to_owned();
    }
    let (median, p90) = (percent(quality.median), percent(quality.p90));
    format!("{}, {median}, {p90}", quality.points)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

//! The published runs that come with motley: what they must cover, and the page that they make.

use std::collections::BTreeSet;
use std::path::Path;

use motley_study::runs::{Row, Runs};
use motley_study::suite::{Choice, constants, suite};
use motley_study::{Grouping, KnownErrors, Selection, Validation, json, suite_page, validate};

fn rows() -> impl Iterator<Item = &'static Row> {
    suite().runs.rows.iter().map(|(row, _)| row)
}

#[test]
fn every_run_has_its_own_id_and_a_citation() {
    let ids: BTreeSet<&str> = rows().map(|row| row.id.as_str()).collect();
    assert_eq!(ids.len(), suite().runs.len());
    assert!(ids.len() >= 300, "{} runs", ids.len());
    for (row, unknown) in &suite().runs.rows {
        let source = &row.source;
        assert!(unknown.is_empty(), "{}", row.id);
        assert!(!source.name.is_empty() && source.year.is_some(), "{}", row.id);
        assert!(source.url.as_ref().is_some_and(|url| url.starts_with("https://")), "{}", row.id);
    }
    for source in &suite().sources {
        let citation = &source.citation;
        assert!(!citation.title.is_empty() && !citation.authors.is_empty(), "{}", source.file);
        assert!(source.places.iter().all(|place| !place.is_empty()), "{}", source.file);
        assert!(source.ids.iter().all(|id| id.starts_with(&format!("{}-", source.key))));
    }
}

/// A run has a figure to compare with, or did not fit.
#[test]
fn every_run_says_something() {
    for row in rows() {
        let measured = &row.measured;
        let figures =
            [measured.iter_s, measured.tokens_s, measured.samples_s, measured.tokens_s_gpu];
        assert_eq!(figures.iter().flatten().count() == 1, row.status.is_none(), "{}", row.id);
    }
}

/// The rule of choice leaves nothing to choose.
#[test]
fn as_many_runs_as_the_rule_takes() {
    for source in &suite().sources {
        let expected = source.runs.count() + source.failures.map_or(0, Choice::count);
        assert_eq!(source.ids.len(), expected, "{}", source.file);
        assert!(source.runs.count() <= 120, "{}", source.file);
        assert!(source.failures.is_none_or(|failures| failures.count() <= 40), "{}", source.file);
    }
}

#[test]
fn constants_name_sources_of_the_suite() {
    for constant in constants() {
        let found = suite().sources.iter().any(|source| source.key == constant.source);
        assert!(found, "{constant:?}");
    }
}

#[test]
fn all_sorts_of_runs_are_covered() {
    let check = |what: &str, least: usize, is: &dyn Fn(&Row) -> bool| {
        let count = rows().filter(|row| is(row)).count();
        assert!(count >= least, "{what}: {count}");
    };
    for family in [
        "p100", "v100", "t4", "a100", "a800", "h100", "h800", "h200", "gh200", "b200", "b300",
        "gb200", "gb300",
    ] {
        check(family, 2, &|row: &Row| {
            let device = row.hardware.device.as_deref().unwrap_or_default();
            device.split('-').next() == Some(family)
        });
    }
    check("mixed clusters", 20, &|row| row.hardware.groups.is_some());
    let above = |degree: Option<u32>| degree.is_some_and(|degree| degree > 1);
    check("data", 300, &|row| above(row.parallel.dp));
    check("tensor", 300, &|row| above(row.parallel.tp));
    check("sequence", 50, &|row| row.parallel.sp == Some(true));
    check("pipeline", 300, &|row| above(row.parallel.pp));
    check("interleaved", 20, &|row| above(row.parallel.vpp));
    check("zero bubble", 10, &|row| {
        row.parallel.schedule.as_deref().is_some_and(|schedule| schedule.starts_with("zb-"))
    });
    check("context", 20, &|row| above(row.parallel.cp));
    check("experts", 20, &|row| above(row.parallel.ep));
    check("unlike stages", 4, &|row| row.parallel.stages.is_some());
    check("adapters", 10, &|row| row.tags.iter().any(|tag| tag == "lora"));
    check("images", 30, &|row| row.model.layers.is_none());
    check("did not fit", 50, &|row| row.status.is_some());
    for zero in [1, 2, 3] {
        check(&format!("ZeRO {zero}"), 5, &|row: &Row| row.parallel.zero == Some(zero));
    }
    for recompute in ["none", "selective", "full"] {
        let is = |row: &Row| row.parallel.recompute.as_deref() == Some(recompute);
        check(recompute, 3, &is);
    }
    for precision in ["fp32", "tf32", "fp16", "bf16", "fp8", "mxfp8", "nvfp4"] {
        let is = |row: &Row| row.parallel.precision.as_deref() == Some(precision);
        check(precision, 3, &is);
    }
    for (from, to) in
        [(1, 1), (2, 8), (9, 64), (65, 512), (513, 4096), (4097, 9_999), (10_000, u32::MAX)]
    {
        let is = |row: &Row| row.hardware.gpus.is_some_and(|gpus| (from..=to).contains(&gpus));
        check(&format!("{from} to {to} cards"), 2, &is);
    }
}

fn with_threads(threads: usize, runs: &Runs) -> Validation {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let answer = || validate(runs, &Selection::default(), &Grouping::default(), &|| {});
    pool.install(answer)
}

/// `docs/validation.md` is what the suite comes to; `UPDATE_GOLDEN=1` accepts. Whatever the number of
/// threads, it is the same.
#[test]
fn the_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/validation.md");
    let validation = with_threads(3, &suite().runs);
    let page = suite_page(&validation, suite());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let known = KnownErrors::of(&validation);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/known_errors.ron");
        std::fs::write(data, known.to_ron().unwrap()).unwrap();
    } else {
        assert_eq!(&known, KnownErrors::published(), "data/known_errors.ron has changed");
    }
    // A stage that the translation put first holds nothing that nanotron has measured.
    let moved = validation.verdicts.iter().filter(|verdict| {
        verdict.assumptions.iter().any(|assumption| assumption.contains("taken as the first"))
    });
    let compared = moved.map(|verdict| verdict.measured_memory_bytes).collect::<Vec<_>>();
    assert!(!compared.is_empty() && compared.iter().all(Option::is_none), "{compared:?}");
    let committed = std::fs::read_to_string(path).unwrap();
    assert!(page == committed, "docs/validation.md is not what the suite comes to");
    // Every fifth run alone, in the suite's order.
    let some = Runs { rows: suite().runs.rows.iter().step_by(5).cloned().collect() };
    let [alone, together] = [1, 4].map(|threads| with_threads(threads, &some));
    assert_eq!(json(&alone, "0").unwrap(), json(&together, "0").unwrap());
    // What a run shares with its neighbours changes nothing either.
    for verdict in alone.verdicts {
        let among_all = validation.verdicts.iter().find(|other| other.id == verdict.id);
        assert_eq!(among_all, Some(&verdict), "{}", verdict.id);
    }
}

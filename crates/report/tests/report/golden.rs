//! The page and the JSON of fixed reports, compared with files. After a wanted change, run the
//! tests with `UPDATE_GOLDEN=1` and read the difference.

use std::path::Path;

use motley_engine::Options;
use motley_report::{
    Provenance, Published, PublishedValue, Report, Run, balanced_slowness, json, text,
};

use motley_scheduler::{CollectiveSources, KernelSources};

use crate::fixture::{Fixture, memory, mixed, run};

fn check(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(found, expected, "{name} differs; UPDATE_GOLDEN=1 accepts");
}

pub(crate) fn check_page(page: &str) {
    assert!(page.lines().count() <= 24, "{page}");
    for line in page.lines() {
        assert!(line.chars().count() <= 80 && line.trim_end() == line, "{line}");
    }
}

fn report(fixture: &Fixture, runs: &[Run]) -> Report {
    let slowness = balanced_slowness(&fixture.lowered);
    let balanced =
        run(&fixture.lowered, &Options { slowness: Some(&slowness), ..Options::default() });
    Report::new(&fixture.subject(), runs, Some(&balanced)).unwrap()
}

fn asked() -> Fixture {
    let mut fixture = mixed();
    fixture.title = Some("Do two old cards help two new ones?".to_owned());
    fixture.published = vec![Published {
        what: "iteration time".to_owned(),
        value: PublishedValue::Seconds(0.060),
        source: "Doe et al. 2021, table 3".to_owned(),
    }];
    fixture
}

#[test]
fn a_mixed_cluster() {
    let fixture = asked();
    let report = report(&fixture, &[fixture.run()]);
    let page = text(&report);
    check_page(&page);
    check("mixed.txt", &page);
    let provenance = Provenance { tool_version: "0.0.0", scenario_hash: "0123abcd", seed: 1 };
    check("mixed.json", &json(&report, &provenance).unwrap());
}

#[test]
fn out_of_memory_and_several_iterations() {
    let mut fixture = asked();
    fixture.lowered.memory[2] = memory(9.5);
    fixture.lowered.memory[3] = memory(8.25);
    let runs: Vec<Run> = [1.0, 1.1, 1.2]
        .map(|factor| {
            let slowness = [factor; 4];
            run(&fixture.lowered, &Options { slowness: Some(&slowness), ..Options::default() })
        })
        .into();
    let report = report(&fixture, &runs);
    assert!(!report.fits);
    let shortages: Vec<(u32, f64)> = report
        .out_of_memory
        .iter()
        .map(|entry| (entry.stage_index, entry.short_bytes / f64::from(1 << 30)))
        .collect();
    assert_eq!(shortages, [(0, 1.5), (1, 0.25)]);
    let page = text(&report);
    check_page(&page);
    check("out_of_memory.txt", &page);
}

/// Text and JSON say whose times were simulated.
#[test]
fn measured_times() {
    let mut fixture = asked();
    fixture.published.clear();
    fixture.lowered.kernel_sources = KernelSources {
        profiled: true,
        measured_kernels: 38,
        measured_layers: 2,
        predicted_kernels: 4,
        predicted_operators: vec!["s10 softmax".to_owned()],
        unused_kernels: 1,
    };
    fixture.lowered.collective_sources = CollectiveSources {
        profiled: true,
        measured: 3,
        below: 1,
        beyond: 2,
        predicted: 2,
        predicted_collectives: vec!["AllReduce of 1 x 2 f100 + 1 x 2 s10".to_owned()],
        measured_time_ratio: 0.875,
        unused: 1,
    };
    let report = report(&fixture, &[fixture.run()]);
    let page = text(&report);
    check_page(&page);
    check("measured.txt", &page);
    let provenance = Provenance { tool_version: "0.0.0", scenario_hash: "0123abcd", seed: 1 };
    let document: serde_json::Value =
        serde_json::from_str(&json(&report, &provenance).unwrap()).unwrap();
    let times = ["kernel_times", "collective_times"].map(|key| (key, &document[key]));
    let times: std::collections::BTreeMap<_, _> = times.into_iter().collect();
    check("measured_times.json", &(serde_json::to_string_pretty(&times).unwrap() + "\n"));
}

#[test]
fn nothing_makes_the_page_too_large() {
    let mut fixture = asked();
    fixture.lowered.memory[2] = memory(9.5);
    fixture.title = Some("Why? ".repeat(40));
    fixture.model.name = "m".repeat(100);
    for _ in 0..9 {
        let mut published = fixture.published[0].clone();
        published.source = "a long source of many words ".repeat(9);
        fixture.published.push(published);
    }
    let runs = [fixture.run(), fixture.run()];
    let mut report = report(&fixture, &runs);
    for i in 0..9 {
        let mut group = report.cluster.groups[0].clone();
        group.design = format!("design-with-a-long-name-{i}");
        report.cluster.groups.push(group);
        let mut card = report.card_types[0].clone();
        card.name = format!("Card with a very long name {i}");
        report.card_types.push(card);
    }
    let page = text(&report);
    check_page(&page);
    assert!(page.contains("OUT OF MEMORY"));
}

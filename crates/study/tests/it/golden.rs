//! The answer, for people, for programs and as a page, letter by letter. The verdicts are made up, so
//! that no model changes them. `UPDATE_GOLDEN=1` accepts.

use std::path::Path;

use motley_study::translate::Concern;
use motley_study::{
    Facts, Key, MemoryFigure, Part, Status, Validation, Verdict, json, markdown, text,
};

fn verdict(id: &str, status: Status, predicted_s: Option<f64>, measured_s: Option<f64>) -> Verdict {
    let source = id.split('-').next().unwrap();
    Verdict {
        id: id.to_owned(),
        source: format!("The {source} report"),
        url: None,
        facts: Facts::from([
            (Key::Source, source.to_owned()),
            (Key::Device, "a100-sxm-80".to_owned()),
            (Key::Family, "A100".to_owned()),
            (Key::Strategy, "dp+tp".to_owned()),
            (Key::Scale, "2-8 cards".to_owned()),
        ]),
        group: source.to_owned(),
        sweep: source.to_owned(),
        status,
        scenario_hash: (status != Status::Unsupported).then(|| "00ff".to_owned()),
        predicted_s,
        dominated_by: Vec::new(),
        measured_s,
        samples: Some(64),
        reason: None,
        concern: None,
        predicted_memory_bytes: None,
        measured_memory_bytes: None,
        memory_figure: MemoryFigure::Device,
        fitted: measured_s.map(|_| true),
        assumptions: Vec::new(),
    }
}

fn validation() -> Validation {
    let ok =
        |id: &str, predicted, measured| verdict(id, Status::Ok, Some(predicted), Some(measured));
    Validation::of(vec![
        ok("vtrain-1", 1.1, 1.0),
        ok("sweep-1", 0.9, 1.0),
        ok("sweep-2", 1.9, 2.0),
        Verdict {
            dominated_by: vec![
                Part { part: "compute", share_ratio: 0.61 },
                Part { part: "exposed DP", share_ratio: 0.23 },
            ],
            predicted_memory_bytes: Some(36e9),
            measured_memory_bytes: Some(40e9),
            memory_figure: MemoryFigure::Allocated,
            assumptions: vec!["recomputation not stated: none".to_owned()],
            ..ok("sweep-3", 3.6, 3.0)
        },
        ok("sweep-4", 3.5, 4.0),
        ok("sweep-5", 5.0, 5.0),
        Verdict {
            reason: Some("stage 0 needs 90 GiB".to_owned()),
            predicted_memory_bytes: Some(96e9),
            fitted: Some(false),
            ..verdict("hard-1", Status::Oom, None, None)
        },
        Verdict { fitted: Some(false), ..verdict("hard-2", Status::Fits, None, None) },
        Verdict {
            reason: Some("card `tpu-v4` is not in the catalogue".to_owned()),
            concern: Some(Concern::Hardware),
            ..verdict("hard-3", Status::Unsupported, None, Some(2.0))
        },
    ])
}

/// A found text and the file that it should be.
#[track_caller]
fn check(found: &str, file: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, found).unwrap();
    }
    assert!(found == std::fs::read_to_string(golden).unwrap(), "{file} has changed:\n{found}");
}

#[test]
fn for_people() {
    let page = text(&validation());
    check(&page, "answer.txt");
    assert!(page.lines().all(|line| line.chars().count() <= 80 && line.trim_end() == line));
}

#[test]
fn for_programs() {
    check(&json(&validation(), "0.0.0").unwrap(), "answer.json");
}

#[test]
fn as_a_page() {
    check(&markdown(&validation()), "answer.md");
}

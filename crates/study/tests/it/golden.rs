//! The answer, for people and for programs, letter by letter. The verdicts are made up, so that no
//! model changes them.

use motley_study::translate::Concern;
use motley_study::{MemoryFigure, Status, Validation, Verdict, json, text};

fn verdict(id: &str, status: Status, predicted_s: Option<f64>, measured_s: Option<f64>) -> Verdict {
    Verdict {
        id: id.to_owned(),
        group: id.split('-').next().unwrap().to_owned(),
        sweep: id.split('-').next().unwrap().to_owned(),
        status,
        scenario_hash: (status != Status::Unsupported).then(|| "00ff".to_owned()),
        predicted_s,
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
        ok("sweep-1", 0.9, 1.0),
        ok("sweep-2", 1.9, 2.0),
        Verdict {
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
fn check(found: &str, golden: &str) {
    assert!(found == golden, "the answer has changed:\n{found}");
}

#[test]
fn for_people() {
    let page = text(&validation());
    check(&page, include_str!("../golden/answer.txt"));
    assert!(page.lines().all(|line| line.chars().count() <= 110 && line.trim_end() == line));
}

#[test]
fn for_programs() {
    check(&json(&validation(), "0.0.0").unwrap(), include_str!("../golden/answer.json"));
}

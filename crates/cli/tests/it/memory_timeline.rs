//! `motley run --memory-timeline`.

use serde_json::Value;

use crate::command::{MIXED, folder_with, motley};

#[test]
fn both_forms_say_the_same_and_what_the_report_says() {
    let folder = folder_with("it.ron", MIXED);
    let run = |name: &str| {
        let arguments = ["run", "it.ron", "--format", "json", "--memory-timeline", name];
        let ran = motley(folder.path(), &arguments);
        let written = std::fs::read_to_string(folder.path().join(name)).unwrap();
        (serde_json::from_str::<Value>(&ran.stdout).unwrap(), written)
    };
    let (report, json) = run("memory.json");
    let (_, csv) = run("memory.csv");
    let cards: Vec<Value> = serde_json::from_str(&json).unwrap();
    let samples: usize = cards.iter().map(|card| card["samples"].as_array().unwrap().len()).sum();
    assert!(samples > 0);
    assert_eq!(csv.lines().count(), samples + 1);
    let columns = csv.lines().next().unwrap().split(',').count();
    assert!(csv.lines().all(|line| line.split(',').count() == columns));
    // Every stage's fullest card is one of those that are told of.
    for stage in report["stages"].as_array().unwrap() {
        let peak = stage["peak_memory_bytes"].as_f64().unwrap();
        let told = cards.iter().any(|card| {
            let same = card["stage_index"] == stage["stage_index"];
            same && (card["peak_bytes"].as_f64().unwrap() / peak - 1.0).abs() < 1e-9
        });
        assert!(told, "{stage}");
    }
}

#[test]
fn other_endings_are_refused_before_anything_runs() {
    let folder = folder_with("it.ron", MIXED);
    let ran = motley(folder.path(), &["run", "it.ron", "--memory-timeline", "memory.txt"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("neither in .csv nor in .json"), "{}", ran.stderr);
    assert!(!folder.path().join("memory.txt").exists());
}

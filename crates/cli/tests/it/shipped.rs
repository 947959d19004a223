//! The scenarios that come with the tool.

use std::path::{Path, PathBuf};

use crate::command::{answer, motley, root, unfolded};
use crate::{json, page};

/// A shipped scenario by its path from the root, and the overrides that make it small enough to be
/// run here.
type Shipped = (String, &'static [&'static str]);

/// Scenarios of a million cards show that the tool can; a test has 128.
const FEWER: [&str; 6] = [
    "--set",
    "cluster.groups[0].count=16",
    "--set",
    "plan.dp=1",
    "--set",
    "training.global_batch=16",
];

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("profiles") || path.ends_with("studies") {
            // Files that scenarios name, and those that name scenarios.
        } else if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "ron") {
            found.push(path);
        }
    }
}

fn shipped() -> Vec<Shipped> {
    let mut found = Vec::new();
    collect(&root().join("scenarios"), &mut found);
    found.sort();
    assert!(found.len() >= 30, "{found:?}");
    found
        .into_iter()
        .map(|path| {
            let path = path.strip_prefix(root()).unwrap();
            let overrides: &[&str] = if path.starts_with("scenarios/scale") { &FEWER } else { &[] };
            (path.to_str().unwrap().to_owned(), overrides)
        })
        .collect()
}

#[test]
fn pages_fit_a_terminal() {
    for (path, overrides) in shipped() {
        page::check(&answer(&root(), &[&["run", &path], overrides].concat()), &path);
    }
}

#[test]
fn documents_keep_their_contract() {
    for (path, overrides) in shipped() {
        let arguments = [&["run", &path, "--format", "json"], overrides].concat();
        let report = json::check(&answer(&root(), &arguments));
        assert!(report["title"].is_string(), "{path} asks no question");
        assert_eq!(report["fits"], true, "{path}");
        assert!(report["iteration_time"]["mean_s"].as_f64().unwrap() > 0.0, "{path}");
    }
}

/// How what is said of the times of a shipped scenario begins and ends.
fn times(path: &str) -> [&'static str; 2] {
    let path = path.strip_prefix("scenarios/").unwrap_or(path);
    if path == "a100_measured_collectives.ron" {
        ["kernel times: spec", "; collective times: profile (3 of 3, 100 % of time)"]
    } else if path.starts_with("measured/sailor/") {
        // All of their layers were measured.
        ["kernel times: profile (0 of 0 kernels, ", " layers); collective times: spec"]
    } else {
        ["all times: ", "spec"]
    }
}

#[test]
fn all_pass_the_check() {
    let (small, large): (Vec<Shipped>, Vec<Shipped>) =
        shipped().into_iter().partition(|(_, overrides)| overrides.is_empty());
    for (files, overrides) in [(small, &[][..]), (large, &FEWER)] {
        let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
        if paths.is_empty() {
            continue;
        }
        let ran = motley(&root(), &[&["check"], paths.as_slice(), overrides].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let verdicts = unfolded(&ran.stdout);
        assert_eq!(verdicts.lines().count(), paths.len(), "{}", ran.stdout);
        for (line, path) in verdicts.lines().zip(&paths) {
            let [first, last] = times(path);
            assert!(line.starts_with(&format!("{path}: ok; {first}")), "{line}");
            assert!(line.ends_with(last), "{line}");
        }
        assert_eq!(ran.stderr, "");
    }
}

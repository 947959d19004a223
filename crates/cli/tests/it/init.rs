//! `motley init`: scenarios to begin with.

use crate::command::{Ran, answer, motley};

const PRESETS: [&str; 4] = ["single", "mixed", "moe", "auto-plan"];

/// A run that says nothing on standard error but how long it took.
#[track_caller]
fn quiet(folder: &std::path::Path, arguments: &[&str]) -> Ran {
    let ran = motley(folder, arguments);
    assert_eq!(ran.code, Some(0), "{arguments:?} {}", ran.stderr);
    for line in ran.stderr.lines() {
        let time = ["simulated in ", "planned in "].iter().any(|start| line.starts_with(start));
        assert!(time, "{arguments:?}: {line}");
    }
    ran
}

#[test]
fn every_preset_runs_without_warnings() {
    for preset in PRESETS {
        let folder = tempfile::tempdir().unwrap();
        let ran = motley(folder.path(), &["init", "it.ron", "--preset", preset]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{}", ran.stderr);
        assert!(ran.stderr.starts_with("wrote it.ron; next:\n  motley "), "{}", ran.stderr);
        let text = std::fs::read_to_string(folder.path().join("it.ron")).unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
        let runs = if preset == "auto-plan" {
            quiet(folder.path(), &["plan", "it.ron", "--budget", "1s", "-o", "planned.ron"]);
            "planned.ron"
        } else {
            "it.ron"
        };
        let checked = quiet(folder.path(), &["check", runs]);
        assert_eq!(checked.stdout, format!("{runs}: ok; all times: spec\n"));
        let page = quiet(folder.path(), &["run", runs]).stdout;
        assert!(page.contains("Iteration ") && !page.contains("out of memory"), "{page}");
        // What comments propose to try can be tried, and makes a difference.
        for set in text.split("--set ").skip(1) {
            let set = set.split_whitespace().next().unwrap();
            assert_ne!(quiet(folder.path(), &["run", runs, "--set", set]).stdout, page, "{set}");
        }
    }
}

#[test]
fn presets_are_those_of_the_help() {
    let folder = tempfile::tempdir().unwrap();
    let help = answer(folder.path(), &["init", "--help"]);
    let offered: Vec<&str> = help
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("- "))
        .filter_map(|line| line.split(':').next())
        .map(str::trim)
        .collect();
    assert_eq!(offered, PRESETS, "{help}");
}

#[test]
fn nothing_is_overwritten_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.ron");
    let content = || std::fs::read_to_string(&file).unwrap();
    assert_eq!(motley(folder.path(), &["init"]).code, Some(0));
    let mixed = content();
    let again = motley(folder.path(), &["init", "--preset", "moe"]);
    assert_eq!(again.code, Some(2));
    assert_eq!(again.stderr, "error: scenario.ron is there already; --force overwrites it\n");
    assert_eq!(content(), mixed);
    assert_eq!(motley(folder.path(), &["init", "--preset", "moe", "--force"]).code, Some(0));
    assert_ne!(content(), mixed);
    // Nothing else is left behind.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let nowhere = motley(folder.path(), &["init", "no/such/folder/it.ron"]);
    assert_eq!(nowhere.code, Some(74));
    assert!(nowhere.stderr.contains("no/such/folder/it.ron"), "{}", nowhere.stderr);
}

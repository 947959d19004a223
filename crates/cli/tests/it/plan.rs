//! `motley plan`.

use crate::command::{answer, folder_with, motley, root};

const POOL: &str = "scenarios/pools/h800_a800_p100_llama2_13b.ron";

#[test]
fn the_page_fits_and_the_plan_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("planned.ron");
    let file = file.to_str().unwrap();
    let flags = folder.path().join("flags.txt");
    let keys = folder.path().join("keys.yaml");
    let arguments = ["plan", POOL, "--budget", "2s", "-o", file];
    let exports = ["--megatron", flags.to_str().unwrap(), "--flagscale", keys.to_str().unwrap()];
    let page = answer(&root(), &[&arguments[..], &exports].concat());
    assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    for part in ["Plan 1", "Bound", "Others", "uniform", "Metis", "Sailor", "HexiScale", "Without"]
    {
        assert!(page.contains(part), "{part} is missing:\n{page}");
    }
    let time = page.lines().find(|line| line.starts_with("Iteration")).unwrap();
    let time = time["Iteration".len()..].split(',').next().unwrap().trim();
    let run = answer(&root(), &["run", file]);
    assert!(run.contains(&format!("Iteration  {time}")), "{time} is not in\n{run}");
    // What is exported is one of the plans shown.
    let flags = std::fs::read_to_string(flags).unwrap();
    assert!(flags.contains("--pipeline-model-parallel-size"), "{flags}");
    let keys = std::fs::read_to_string(keys).unwrap();
    assert!(keys.contains("hetero_process_meshes: ["), "{keys}");
}

#[test]
fn documents_are_the_same_whatever_the_threads() {
    let with = |threads| {
        let arguments =
            ["plan", POOL, "--budget", "0.5s", "--format", "json", "--threads", threads];
        answer(&root(), &arguments)
    };
    let one = with("1");
    assert_eq!(one, with("3"));
    let document: serde_json::Value = serde_json::from_str(&one).unwrap();
    let plans = document["plans"].as_array().unwrap();
    assert!(!plans.is_empty());
    for plan in plans {
        assert!(plan["gap_to_lower_bound_ratio"].as_f64().unwrap() >= 0.0);
        assert_eq!(plan["frameworks"].as_array().unwrap().len(), 10);
    }
    let own = &document["choices"][0];
    assert_eq!(own["origin"], "scenario");
    assert!(own["over_best_ratio"].as_f64().unwrap() >= 0.0);
}

#[test]
fn an_open_plan_is_planned_first() {
    let text = std::fs::read_to_string(root().join(POOL)).unwrap();
    let (head, _) = text.split_once("    plan: Explicit").unwrap();
    let folder = folder_with("open.ron", format!("{head}    plan: Auto,\n)\n"));
    let ran = motley(folder.path(), &["run", "open.ron"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stdout);
    assert!(ran.stderr.contains("motley plan") && ran.stderr.contains("E0501"), "{}", ran.stderr);
    let page = answer(folder.path(), &["plan", "open.ron", "--budget", "0.5s", "--top", "1"]);
    assert!(page.contains("Plan 1") && !page.contains("Plan 2"), "{page}");
}

#[test]
fn budgets_are_times() {
    let ran = motley(&root(), &["plan", POOL, "--budget", "soon"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("30s"), "{}", ran.stderr);
}

//! `motley validate`: exit codes, streams, and that equal input gives equal bytes.

use serde_json::Value;

use crate::command::{answer, command, finish, folder_with, motley};

/// GPT 22B of Korthikanti et al. 2022 (arXiv 2205.05198), Table 5; the same asked without a figure;
/// and a card that does not exist.
const ROWS: &str = r#"{"id": "kort22-full", "source": {"name": "Korthikanti et al. 2022", "year": 2022}, "model": {"name": "GPT 22B", "layers": 48, "hidden": 6144, "heads": 64, "vocab": 51200, "seq": 2048, "gated_mlp": false, "tied_embeddings": true}, "hardware": {"device": "a100-sxm-80", "gpus": 8, "gpu_link": "nvswitch"}, "parallel": {"tp": 8, "sp": false, "pp": 1, "dp": 1, "mbs": 4, "gbs": 4, "recompute": "full", "precision": "fp16", "flash_attention": false}, "measured": {"iter_s": 1.42}}
{"id": "ask-full", "source": {"name": "Megatron-LM", "year": 2022}, "model": {"layers": 48, "hidden": 6144, "heads": 64, "vocab": 51200, "seq": 2048}, "hardware": {"device": "a100-sxm-80", "gpus": 8}, "parallel": {"tp": 8, "pp": 1, "dp": 1, "mbs": 4, "gbs": 4, "recompute": "full", "precision": "fp16"}}
{"id": "tpu-full", "hardware": {"device": "tpu-v4", "gpus": 8}, "parallel": {"tp": 8, "pp": 1, "mbs": 4, "gbs": 4}, "measured": {"iter_s": 1.0}}
"#;

#[test]
fn rows_as_json_in_their_order_and_always_the_same() {
    let folder = folder_with("runs.jsonl", ROWS);
    let arguments = ["validate", "--runs", "runs.jsonl", "--format", "json"];
    let text = answer(folder.path(), &arguments);
    let document: Value = serde_json::from_str(&text).unwrap();
    let rows = document["rows"].as_array().unwrap();
    let check = |index: usize, id: &str, status: &str| {
        assert_eq!(rows[index]["id"], id);
        assert_eq!(rows[index]["status"], status);
    };
    check(0, "kort22-full", "ok");
    check(1, "ask-full", "fits");
    check(2, "tpu-full", "unsupported");
    assert!(rows[0]["error_ratio"].as_f64().unwrap().abs() < 0.12);
    assert!(rows[2]["reason"].as_str().unwrap().contains("tpu-v4"));
    assert_eq!(document["summary"]["row_count"], 3);
    assert_eq!(document["groups"].as_array().unwrap().len(), 3);
    for threads in ["1", "3"] {
        let mut again = command(folder.path(), arguments);
        again.env("RAYON_NUM_THREADS", threads);
        assert_eq!(finish(again).stdout, text, "{threads} threads");
    }
}

#[test]
fn the_page_names_groups_and_choices_narrow_it() {
    let folder = folder_with("runs.jsonl", ROWS);
    let page = answer(folder.path(), &["validate", "--runs", "runs.jsonl", "--group", "source"]);
    for part in ["kort22 ", "ask ", "all ", "No scenario stands for 1 of 3 rows"] {
        assert!(page.contains(part), "{page}");
    }
    let one = ["validate", "--runs", "runs.jsonl", "--filter", "full", "--limit", "1"];
    assert!(!answer(folder.path(), &one).contains("ask "));
}

/// What is written says the same as the row: running it gives the row's prediction.
#[test]
fn scenarios_are_written_to_be_run() {
    let folder = folder_with("runs.jsonl", ROWS);
    let arguments = ["validate", "--runs", "runs.jsonl", "--scenarios", "a/b", "--format", "json"];
    let document: Value = serde_json::from_str(&answer(folder.path(), &arguments)).unwrap();
    let mut names: Vec<String> = std::fs::read_dir(folder.path().join("a/b"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["ask-full.ron", "kort22-full.ron"]);
    let ran = answer(folder.path(), &["run", "a/b/kort22-full.ron", "--format", "json"]);
    let ran: Value = serde_json::from_str(&ran).unwrap();
    let predicted = &document["rows"][0]["predicted_s"];
    assert_eq!(&ran["iteration_time"]["mean_s"], predicted, "{ran}");
    assert_eq!(ran["published"][0]["published_s"], 1.42, "{ran}");
}

#[test]
fn mistakes_and_missing_files() {
    let folder = folder_with("runs.jsonl", ROWS);
    std::fs::write(folder.path().join("typo.jsonl"), "{\"id\": \"a\", \"modle\": {}}\n").unwrap();
    let check = |arguments: &[&str], code: i32, part: &str| {
        let ran = motley(folder.path(), &[&["validate"], arguments].concat());
        assert_eq!(ran.code, Some(code), "{arguments:?}\n{}", ran.stderr);
        assert!(ran.stderr.contains(part), "{arguments:?}\n{}", ran.stderr);
        assert_eq!(ran.stdout, "", "{arguments:?}");
    };
    check(
        &["--runs", "typo.jsonl"],
        2,
        "typo.jsonl:1: `modle` is not a field of a row; did you mean `model`?",
    );
    check(&["--runs", "none.jsonl"], 74, "cannot read none.jsonl");
    check(&["--runs", "runs.jsonl", "--filter", "nothing"], 2, "none of the 3 rows is selected");
    check(&["--runs", "runs.jsonl", "--group", "devise"], 2, "did you mean `device`?");
    check(&["--runs", "runs.jsonl", "--scenarios", "runs.jsonl"], 74, "cannot make runs.jsonl");
    check(&["--format", "page"], 2, "markdown");
}

/// Without files it is the published runs that come with motley.
#[test]
fn published_runs_unless_files_are_given() {
    let folder = folder_with("runs.jsonl", ROWS);
    let source = ["validate", "--filter", "source=kort22"];
    let page = answer(folder.path(), &source);
    assert!(page.contains("Rows    8, 100.0 % of them expressed"), "{page}");
    assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    let json = answer(folder.path(), &[&source[..], &["--format", "json"]].concat());
    let document: Value = serde_json::from_str(&json).unwrap();
    let rows = document["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 8);
    for row in rows {
        assert_eq!(row["url"], "https://arxiv.org/abs/2205.05198");
        assert!(row["dominated_by"][0]["share_ratio"].as_f64().unwrap() > 0.3, "{row}");
    }
    let page = answer(folder.path(), &[&source[..], &["--format", "markdown"]].concat());
    assert!(page.starts_with("# Validation\n") && page.contains("\n## Sources\n"), "{page}");
    let own = ["validate", "--runs", "runs.jsonl", "--format", "markdown"];
    let page = answer(folder.path(), &own);
    assert!(page.starts_with("# Predicted against measured\n"), "{page}");
    assert!(!page.contains("\n## Sources\n"), "{page}");
}

//! `motley equivalent`, `value` and `design`.

use crate::command::{answer, folder_with, motley};

const OPEN: &str = r#"(
    cluster: (groups: [(design: "dgx-a100", count: 1)]),
    model: Preset("bert-large"),
    training: (global_batch: 64, sequence_length: 512, precision: Fp16),
    plan: Auto,
)"#;

fn document(arguments: &[&str]) -> serde_json::Value {
    let folder = folder_with("open.ron", OPEN);
    let arguments = [arguments, &["--budget", "0.2s", "--format", "json"]].concat();
    serde_json::from_str(&answer(folder.path(), &arguments)).unwrap()
}

#[test]
fn pages_fit() {
    let folder = folder_with("open.ron", OPEN);
    let check = |arguments: &[&str], parts: &[&str]| {
        let page = answer(folder.path(), &[arguments, &["--budget", "0.2s"]].concat());
        assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
        for part in parts {
            assert!(page.contains(part), "{part} is missing:\n{page}");
        }
    };
    check(
        &[
            "equivalent",
            "open.ron",
            "--with",
            "a800-sxm-80",
            "--models",
            "bert-base",
            "--times",
            "2",
        ],
        &["Answer", "Sure", "Bound      12.00 (1.50 for one)", "Binding", "Reference", "bert-base"],
    );
    check(&["value", "open.ron", "--add", "1 x dgx1-v100"], &["Answer", "Mixing", "Before"]);
    check(
        &[
            "design",
            "open.ron",
            "--tokens",
            "30B",
            "--days",
            "2",
            "--cards",
            "a100-sxm-80,v100-sxm2-32",
        ],
        &["Needed", "Answer", "days", "dgx1-v100"],
    );
}

#[test]
fn documents_carry_what_is_promised() {
    let found = document(&["equivalent", "open.ron", "--with", "a800-sxm-80"]);
    for key in ["equivalent_count", "hard_bound_count", "count_ratio"] {
        assert!(found[key].as_f64().unwrap() > 0.0, "{key}");
    }
    assert_eq!(found["hard_bound_count"].as_f64().unwrap().to_bits(), 12.0_f64.to_bits());
    assert!(found["interval"]["low_count"].as_f64() < found["equivalent_count"].as_f64());
    assert!(found["scenario_hash"].is_string());
    let found = document(&["value", "open.ron", "--add", "dgx1-v100"]);
    assert!(found["gain_ratio"].as_f64().unwrap() >= 0.0);
    let found = document(&[
        "design",
        "open.ron",
        "--tokens",
        "30B",
        "--days",
        "2",
        "--cards",
        "a100-sxm-80",
    ]);
    assert!(found["pools"][0]["cost_usd"].as_f64().unwrap() > 0.0);
}

#[test]
fn what_cannot_be_is_said_in_one_line() {
    let folder = folder_with("open.ron", OPEN);
    let check = |arguments: &[&str], code: i32, part: &str| {
        let ran = motley(folder.path(), &[arguments, &["--budget", "0.2s"]].concat());
        assert_eq!(ran.code, Some(code), "{arguments:?}\n{}", ran.stderr);
        let said = ran.stdout + &ran.stderr;
        assert!(said.contains(part), "{arguments:?}: {said}");
    };
    check(&["equivalent", "open.ron", "--with", "a80-sxm-80"], 2, "did you mean `a800-sxm-80`?");
    check(
        &["equivalent", "open.ron", "--with", "v100-sxm2-32", "--set", "training.precision=Bf16"],
        2,
        "no card of the cluster can run the training",
    );
    check(&["value", "open.ron", "--add", "8 y dgx1-v100"], 2, "is not a number of nodes");
    check(&["value", "open.ron", "--add", "v100"], 2, "several designs");
    check(
        &[
            "design", "open.ron", "--tokens", "1T", "--days", "0.1", "--cards", "p40", "--most",
            "64",
        ],
        2,
        "name one that takes it with --node",
    );
    check(
        &[
            "design",
            "open.ron",
            "--tokens",
            "9T",
            "--days",
            "1",
            "--cards",
            "a100-sxm-80",
            "--most",
            "16",
        ],
        1,
        "nothing that was offered is enough",
    );
    check(
        &[
            "design",
            "open.ron",
            "--tokens",
            "1T",
            "--days",
            "1",
            "--cards",
            "a100-sxm-80",
            "--stock",
            "x=8",
        ],
        2,
        "`x` is not among --cards",
    );
}

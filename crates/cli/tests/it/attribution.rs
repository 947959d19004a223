//! `losses`, `explain`, `whatif` and `compare` as their users meet them.

use std::path::Path;

use serde_json::Value;

use crate::command::{EXPLICIT, MIXED, answer, command, finish, folder_with, motley, root};
use crate::json;

/// The commands on a file, `it.ron`.
const COMMANDS: [&[&str]; 5] = [
    &["losses", "it.ron"],
    &["losses", "it.ron", "--shapley"],
    &["explain", "it.ron"],
    &["whatif", "it.ron", "--swap", "p100-sxm2=v100-sxm2-16", "--try", "plan.dp=8;plan.pp=1"],
    &["compare", "it.ron", "other.ron"],
];

/// A folder with a scenario and one in which layers are balanced.
fn folder(content: &str) -> tempfile::TempDir {
    let folder = folder_with("it.ron", content);
    let other =
        content.replace("micro_batch_size: 1)", "micro_batch_size: 1, layers: Proportional)");
    std::fs::write(folder.path().join("other.ron"), other).unwrap();
    folder
}

#[test]
fn pages_are_as_accepted_and_fit_a_terminal() {
    let folder = folder(MIXED);
    let mut all = String::new();
    for arguments in COMMANDS {
        let page = answer(folder.path(), arguments);
        for line in page.lines() {
            assert!(line.chars().count() <= 80, "{arguments:?}: {line:?}");
            assert_eq!(line.trim_end(), line, "{arguments:?}");
        }
        all.extend(["$ motley ", &arguments.join(" "), "\n", &page, "\n"]);
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/attribution.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &all).unwrap();
    }
    assert_eq!(all, std::fs::read_to_string(golden).unwrap(), "UPDATE_GOLDEN=1 accepts");
}

#[test]
fn documents_keep_their_contract_whatever_the_threads() {
    for content in [MIXED, EXPLICIT] {
        let folder = folder(content);
        for arguments in COMMANDS {
            // The cards that are swapped are those of the first scenario.
            if content == EXPLICIT && arguments.contains(&"--swap") {
                continue;
            }
            let arguments = [arguments, &["--format", "json"]].concat();
            let with = |threads: &str| {
                let mut command = command(folder.path(), &arguments);
                command.env("RAYON_NUM_THREADS", threads);
                finish(command).stdout
            };
            let one = with("1");
            json::check(&one);
            assert_eq!(one, with("4"), "{arguments:?}");
        }
    }
}

fn number(document: &Value, pointer: &str) -> f64 {
    document.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("{pointer}"))
}

fn sum(document: &Value, list: &str, key: &str) -> f64 {
    let rows = document.pointer(list).and_then(Value::as_array).unwrap();
    rows.iter().map(|row| row[key].as_f64().unwrap()).sum()
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1e-3), "{found} {expected}");
}

#[test]
fn figures_agree_with_each_other_and_with_the_run() {
    let folder = folder(MIXED);
    let of = |arguments: &[&str]| {
        json::check(&answer(folder.path(), &[arguments, &["--format", "json"]].concat()))
    };
    let run = number(&of(&["run", "it.ron"]), "/iteration_time/mean_s");
    for arguments in &COMMANDS[..2] {
        let losses = of(arguments);
        near(number(&losses, "/waterfall/iteration_time_s"), run);
        let ideal = number(&losses, "/waterfall/ideal_time_s");
        near(sum(&losses, "/waterfall/parts", "loss_s"), run - ideal);
        near(sum(&losses, "/waterfall/parts", "loss_ratio"), 1.0 - ideal / run);
    }
    let path = of(COMMANDS[2]);
    near(sum(&path, "/shares", "path_s"), number(&path, "/iteration_time_s"));
    near(sum(&path, "/card_types", "path_ratio"), 1.0);
    let changes = of(COMMANDS[3]);
    near(number(&changes, "/as_it_is/iteration_time_s"), run);
    let both = of(COMMANDS[4]);
    near(number(&both, "/first/iteration_time_s"), run);
    let difference = number(&both, "/second/iteration_time_s") - run;
    near(number(&both, "/difference_s"), difference);
    near(sum(&both, "/parts", "difference_s"), difference);
    for document in [&path, &changes, &both] {
        assert!(document["baseline"].as_str().is_some_and(|baseline| !baseline.is_empty()));
    }
}

#[test]
fn exit_codes() {
    let check = |arguments: &[&str], code: i32, says: &str| {
        let folder = folder(MIXED);
        let ran = motley(folder.path(), arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{arguments:?}: {}", ran.stderr);
    };
    for command in ["losses", "explain", "whatif"] {
        check(&[command, "none.ron"], 74, "cannot read none.ron");
        check(&[command, "it.ron", "--set", "plan.dp=3"], 2, "error");
        check(&[command, "it.ron", "--set", r#"model=Preset("llama-2-70b")"#], 1, "does not fit");
    }
    check(&["compare", "it.ron", "none.ron"], 74, "cannot read none.ron");
    check(&["whatif", "it.ron", "--swap", "v100"], 2, "is not CARD=CARD");
    check(
        &["whatif", "it.ron", "--swap", "v100=a100-sxm-80"],
        2,
        "the scenario has no card `v100`",
    );
    check(&["whatif", "it.ron", "--nic", "cx7"], 2, "the catalogue has no NIC `cx7`");
}

/// Whatever the schedule and the strategy.
#[test]
fn shipped_scenarios_can_be_explained() {
    for path in [
        "scenarios/a800_h800_gpt_oss_120b_dualpipe.ron",
        "scenarios/a800_h800_llama2_13b_zero_bubble.ron",
        "scenarios/a800_h800_llama3_8b_128k_offload.ron",
        "scenarios/a800_h800_mixtral_8x7b_equal.ron",
        "scenarios/v100_p100_gpt_1_3b_zb_v.ron",
    ] {
        let path_of = answer(&root(), &["explain", path, "--format", "json"]);
        let document = json::check(&path_of);
        near(sum(&document, "/shares", "path_ratio"), 1.0);
        let losses = json::check(&answer(&root(), &["losses", path, "--format", "json"]));
        let ideal = number(&losses, "/waterfall/ideal_time_s");
        let time = number(&losses, "/waterfall/iteration_time_s");
        near(sum(&losses, "/waterfall/parts", "loss_s"), time - ideal);
    }
}

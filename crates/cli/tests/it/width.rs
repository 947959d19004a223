//! Pages for people fit into a terminal of 80 columns.

use unicode_width::UnicodeWidthStr as _;

use crate::command::{MIXED, changed, folder_with, motley, root};

/// Columns of a terminal.
const WIDTH: usize = 80;

/// No line of a page is wider, but for single words, such as addresses, that are wider than the room for them;
/// and there are no colours.
#[track_caller]
fn check(folder: &std::path::Path, arguments: &[&str]) {
    let ran = motley(folder, arguments);
    assert!(matches!(ran.code, Some(0 | 1)), "{arguments:?} {}", ran.stderr);
    assert!(!ran.stdout.is_empty(), "{arguments:?}");
    for line in ran.stdout.lines() {
        let one_word = line.split_whitespace().count() == 1;
        assert!(line.width() <= WIDTH || one_word, "{arguments:?}: {} {line}", line.width());
        assert!(!line.contains('\u{1b}') && line == line.trim_end(), "{arguments:?}: {line:?}");
    }
}

/// Scenarios of each kind, small enough for commands that replay often.
const SCENARIOS: [&str; 8] = [
    "scenarios/a100_40_80_llama2_13b_fsdp_memory.ron",
    "scenarios/a100_measured_collectives.ron",
    "scenarios/a800_h800_llama2_70b_balanced.ron",
    "scenarios/a800_h800_qwen3_30b_forwarded.ron",
    "scenarios/four_types_llama2_13b_balanced.ron",
    "scenarios/v100_p100_bert_large_equal.ron",
    "scenarios/v100_p100_resnet50_balanced.ron",
    "scenarios/v100_t4_llama2_7b_lora.ron",
];

#[test]
fn pages_about_scenarios() {
    for scenario in SCENARIOS {
        for command in [
            &["run"][..],
            &["losses"],
            &["explain"],
            &["whatif"],
            &["check"],
            &["export", "schedule"],
        ] {
            check(&root(), &[command, &[scenario]].concat());
        }
        check(&root(), &["compare", SCENARIOS[0], scenario]);
    }
    check(&root(), &["plan", "--budget", "1s", "scenarios/pools/a100_v100_llama2_7b.ron"]);
}

#[test]
fn other_pages() {
    for kind in ["devices", "nodes", "nics", "fabrics", "models", "sources"] {
        check(&root(), &["catalog", kind]);
    }
    check(&root(), &["catalog"]);
    check(&root(), &["explain", "--list"]);
    check(&root(), &["validate", "--limit", "60"]);
    check(&root(), &["validate", "--limit", "60", "--group", "source,device,family,strategy"]);
}

/// Names in other scripts, and paths of any length.
#[test]
fn wide_letters_and_long_names() {
    let question = "日本語の質問 ".repeat(20);
    let text = changed(MIXED, &[("What does the mix cost?", question.trim())]);
    let name = format!("{}.ron", "a-long-name-".repeat(8));
    let folder = folder_with(&name, text);
    for command in ["run", "losses", "explain", "whatif", "check"] {
        check(folder.path(), &[command, &name]);
    }
}

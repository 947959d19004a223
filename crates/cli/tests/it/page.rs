//! The page of text: it fits a terminal window, whatever the scenario.

use crate::command::{MIXED, changed, folder_with, motley};

/// At most 24 lines of 80 columns, without trailing spaces or tabs, with the parts that every page
/// has.
pub(crate) fn check(page: &str, what: &str) {
    let lines: Vec<&str> = page.lines().collect();
    assert!(lines.len() <= 24, "{what}: {} lines\n{page}", lines.len());
    for line in &lines {
        assert!(line.chars().count() <= 80, "{what}: {line:?}");
        assert_eq!(line.trim_end(), *line, "{what}");
        assert!(!line.contains(|c: char| c.is_control()), "{what}: {line:?}");
    }
    for part in ["Cluster ", "Model ", "Plan ", "Iteration ", "Speed ", "Time goes "] {
        assert!(lines.iter().any(|line| line.starts_with(part)), "{what}: no {part}\n{page}");
    }
}

fn check_changed(changes: &[(&str, &str)], code: i32) {
    let folder = folder_with("it.ron", changed(MIXED, changes));
    let ran = motley(folder.path(), &["run", "it.ron"]);
    assert_eq!(ran.code, Some(code), "{changes:?}: {}", ran.stderr);
    check(&ran.stdout, &format!("{changes:?}"));
}

#[test]
fn long_words_do_not_widen_the_page() {
    let question = "What does the mix cost?";
    for words in [
        "x".repeat(500),
        "word ".repeat(200),
        "日本語の質問です".repeat(20),
        "a\\nb\\tc\\rd".to_owned(),
        "a\\u{1b}[31mred\\u{7}".to_owned(),
        String::new(),
    ] {
        check_changed(&[(question, &words)], 0);
    }
    let name = format!(r#"(name: "{}", design:"#, "n".repeat(200));
    check_changed(&[("(design:", &name)], 0);
    let shape = format!(
        r#"Shape(name: "{}", layers: 24, hidden: 1024, heads: 16, vocab: 51200, positions: Rotary)"#,
        "m".repeat(300)
    );
    check_changed(&[(r#"Preset("gpt3-350m")"#, &shape)], 0);
}

#[test]
fn many_rows_do_not_lengthen_the_page() {
    let designs = ["pcie8-dual-root", "pcie8-v100", "dgx-a100", "hgx-h800", "hgx-a100-40"];
    let groups = designs.map(|design| format!("(design: \"{design}\", count: 2),")).concat();
    check_changed(
        &[("groups: [", &format!("groups: [{groups}")), ("dp: 4", "dp: 24"), ("64", "96")],
        0,
    );
    let figure = r#"(what: "figure", value: TokensPerSec(1e5), source: "a page of a paper"),"#;
    let published = figure.repeat(12);
    check_changed(&[("cluster:", &format!("published: [{published}], cluster:"))], 0);
    // Out of memory on two kinds of cards, with noise.
    check_changed(
        &[
            ("gpt3-350m", "gpt3-13b"),
            ("dp: 4, tp: 2, pp: 2", "dp: 1, tp: 1, pp: 16, layers: Proportional"),
            ("noise:", "iterations: 3, noise:"),
        ],
        1,
    );
}

/// A model with rotary positions takes sequences of any length.
const ROTARY: &str =
    r#"Shape(name: "long", layers: 24, hidden: 1024, heads: 16, vocab: 51200, positions: Rotary)"#;

#[test]
fn absurd_memory_does_not_widen_the_page() {
    check_changed(
        &[
            (r#"Preset("gpt3-350m")"#, ROTARY),
            ("sequence_length: 1024", "sequence_length: 131072"),
            ("global_batch: 64", "global_batch: 4096"),
            ("micro_batch_size: 1", "micro_batch_size: 1024"),
        ],
        1,
    );
}

#[test]
fn what_takes_longer_than_time_reaches_is_refused() {
    let changes = [
        (r#"Preset("gpt3-350m")"#, ROTARY),
        ("sequence_length: 1024", "sequence_length: 16777216"),
        ("global_batch: 64", "global_batch: 65536"),
        ("micro_batch_size: 1", "micro_batch_size: 16384"),
    ];
    let folder = folder_with("it.ron", changed(MIXED, &changes));
    let ran = motley(folder.path(), &["run", "it.ron"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stdout);
    assert!(ran.stderr.contains("longer than the 213 days"), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
}

//! `motley plot`: tables of results as pictures.

use std::path::Path;

use roxmltree::{Document, Node};
use tempfile::TempDir;

use crate::command::{MIXED, answer, folder_with, motley};

/// Three axes, one of texts; one point that does not fit and one without a cost.
const RESULTS: &str = "\
point_index,replica_index,status,axis_cards,axis_tp,axis_card,tokens_per_s,mfu_ratio,cost_usd,error
0,0,ok,8,1,a100,100,0.4,1.5,
1,0,ok,16,1,a100,190,0.38,1.6,
2,0,ok,32,1,a100,350,0.35,,
3,0,ok,8,2,a100,90,0.36,1.7,
4,0,ok,16,2,a100,185,0.37,1.8,
5,0,out_of_memory,32,2,a100,,,,too little
6,0,ok,8,1,h100,220,0.44,2.5,
7,0,ok,16,1,h100,430,0.43,2.6,
8,0,ok,32,1,h100,840,0.42,2.7,
";

fn results() -> TempDir {
    folder_with("r.csv", RESULTS)
}

fn drawn(folder: &Path, arguments: &[&str]) -> String {
    answer(folder, &[&["plot", "r.csv"], arguments].concat())
}

/// How many elements of that name.
fn count(svg: &str, name: &str) -> usize {
    let document = Document::parse(svg).unwrap();
    document.descendants().filter(|node| node.tag_name().name() == name).count()
}

/// All texts, title and description included.
fn texts(svg: &str) -> Vec<String> {
    let document = Document::parse(svg).unwrap();
    document
        .descendants()
        .filter(Node::is_text)
        .map(|node| node.text().unwrap().trim().to_owned())
        .collect()
}

#[track_caller]
fn check(svg: &str, expected: &[&str]) {
    let texts = texts(svg);
    for text in expected {
        assert!(texts.iter().any(|found| found == text), "{text:?} is not in {texts:?}");
    }
}

#[test]
fn lines() {
    let folder = results();
    let one = drawn(
        folder.path(),
        &["--x", "cards", "--y", "tokens_per_s", "--where", "tp=1", "--where", "card=h100"],
    );
    check(&one, &["tokens/s by cards", "cards", "tokens/s", "8", "16", "32"]);
    assert_eq!(count(&one, "circle"), 3);
    let by = drawn(
        folder.path(),
        &[
            "--x",
            "axis_cards",
            "--y",
            "mfu_ratio",
            "--by",
            "card",
            "--where",
            "tp=1",
            "--log-x",
            "--title",
            "T & U",
        ],
    );
    check(&by, &["T & U", "a100", "h100", "MFU (%)"]);
    // The description says what the lines show, in the unit of the axis.
    let said = texts(&by).into_iter().find(|text| text.starts_with("Horizontal axis")).unwrap();
    assert!(said.contains("Series a100: 3 points, from 40 at 8 to 35 at 32."), "{said}");
    let numbers = drawn(
        folder.path(),
        &["--x", "cards", "--y", "mfu_ratio", "--by", "tp", "--where", "card=a100"],
    );
    check(&numbers, &["tp 1", "tp 2"]);
    // Several values of a column are alternatives; numbers are numbers however they are written.
    let two = drawn(
        folder.path(),
        &[
            "--x",
            "cards",
            "--y",
            "mfu_ratio",
            "--where",
            "tp=1.0",
            "--where",
            "card=h100",
            "--where",
            "cards=8",
            "--where",
            "cards=16",
        ],
    );
    assert_eq!(count(&two, "circle"), 2);
}

#[test]
fn bars_and_maps() {
    let folder = results();
    let bars = drawn(
        folder.path(),
        &["--x", "card", "--y", "tokens_per_s", "--by", "cards", "--where", "tp=1"],
    );
    check(&bars, &["a100", "h100", "cards 8", "cards 32", "840"]);
    let map = drawn(
        folder.path(),
        &[
            "--x",
            "cards",
            "--y",
            "mfu_ratio",
            "--heat",
            "tp",
            "--where",
            "card=a100",
            "--centre",
            "0.36",
        ],
    );
    // The point that does not fit has no number.
    check(&map, &["cards", "tp", "MFU (%)", "36", "38", "–"]);
}

#[test]
fn rows_without_a_number_are_counted() {
    let folder = results();
    let ran = motley(
        folder.path(),
        &[
            "plot",
            "r.csv",
            "--x",
            "cards",
            "--y",
            "cost_usd",
            "--by",
            "tp",
            "--where",
            "card=a100",
            "-o",
            "o.svg",
        ],
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
    assert_eq!(ran.stderr, "left out: 1 rows without `cost_usd`\n");
    let svg = std::fs::read_to_string(folder.path().join("o.svg")).unwrap();
    check(&svg, &["cost (USD) by cards and tp"]);
}

#[test]
fn replicas_are_a_mean_in_a_range() {
    let folder = folder_with(
        "r.csv",
        "point_index,replica_index,axis_x,time_s\n0,0,1,2\n1,1,1,4\n2,0,2,5\n3,1,2,7\n",
    );
    let svg = drawn(folder.path(), &["--x", "x", "--y", "time_s"]);
    let said = texts(&svg).into_iter().find(|text| text.contains("Horizontal axis")).unwrap();
    assert!(said.starts_with("Each value is the mean of its replicas"), "{said}");
    assert!(said.contains("from 3 at 1 to 6 at 2."), "{said}");
    assert_eq!(count(&svg, "polygon"), 1, "the band");
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let folder = results();
    std::fs::write(folder.path().join("same.csv"), "axis_x,time_s\n1,2\n1,3\n").unwrap();
    std::fs::write(folder.path().join("empty.csv"), "axis_x,time_s\n").unwrap();
    std::fs::write(folder.path().join("r.txt"), RESULTS).unwrap();
    let refused = |arguments: &[&str], code: i32, parts: &[&str]| {
        let ran = motley(folder.path(), &[&["plot"], arguments].concat());
        assert_eq!(ran.code, Some(code), "{arguments:?} {}", ran.stderr);
        assert_eq!(ran.stdout, "");
        for part in parts {
            assert!(ran.stderr.contains(part), "{part:?} is not in {}", ran.stderr);
        }
    };
    refused(
        &["r.csv", "--x", "cards", "--y", "tokens_per_s"],
        2,
        &["`tp` (1, 2) and `card` (a100, h100)", "--where tp=1 --where card=a100", "--by"],
    );
    refused(&["r.csv", "--x", "crads", "--y", "mfu_ratio"], 2, &["did you mean `cards`?"]);
    refused(
        &["r.csv", "--x", "cards", "--y", "card"],
        2,
        &["no column that can stand there", "mfu_ratio"],
    );
    refused(
        &["r.csv", "--x", "cards", "--y", "mfu_ratio", "--by", "cards"],
        2,
        &["is --x already"],
    );
    let selected = ["r.csv", "--x", "cards", "--y", "mfu_ratio", "--where"];
    refused(&[&selected[..], &["tp=3"]].concat(), 2, &["`tp` has 1, 2"]);
    refused(&[&selected[..], &["tp"]].concat(), 2, &["expected COLUMN=VALUE"]);
    refused(&[&selected[..], &["tp=2", "--where", "card=h100"]].concat(), 2, &["nothing to draw"]);
    refused(&["same.csv", "--x", "x", "--y", "time_s"], 2, &["several rows have x = 1"]);
    refused(&["empty.csv", "--x", "x", "--y", "time_s"], 2, &["nothing to draw"]);
    refused(&["no.csv", "--x", "x", "--y", "time_s"], 74, &["no.csv"]);
    refused(&["r.txt", "--x", "x", "--y", "time_s"], 2, &[".csv"]);
    std::fs::write(folder.path().join("zero.csv"), "axis_x,time_s\n0,2\n1,3\n").unwrap();
    refused(&["zero.csv", "--x", "x", "--y", "time_s", "--log-x"], 2, &["use a linear one"]);
}

/// From a study to a picture, whatever the format of the table.
#[test]
fn results_of_a_sweep_can_be_drawn() {
    let folder = folder_with("base.ron", MIXED);
    let study = r#"Study(
        question: "Does a larger batch help?",
        base: "base.ron",
        axes: [Axis(name: "batch", set: ["training.global_batch={}"], values: List([64, 128, 256]))],
    )"#;
    std::fs::write(folder.path().join("study.ron"), study).unwrap();
    answer(folder.path(), &["sweep", "study.ron", "-o", "out"]);
    let mut pictures = Vec::new();
    for name in ["t.csv", "t.jsonl", "t.parquet"] {
        answer(folder.path(), &["sweep", "merge", "out", "-o", name]);
        pictures
            .push(answer(folder.path(), &["plot", name, "--x", "batch", "--y", "tokens_per_s"]));
    }
    check(&pictures[0], &["Does a larger batch help?", "batch", "tokens/s", "256"]);
    assert!(pictures.iter().all(|picture| *picture == pictures[0]));
}

//! `motley export schedule`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use roxmltree::{Document, Node};

use crate::command::{answer, changed, folder_with, motley};

const STAGES: u32 = 4;
const MICRO_BATCHES: u32 = 8;

/// Two pipelines of four stages with one card each.
const FOUR: &str = r#"Scenario(
    cluster: (groups: [(design: "dgx1-v100", count: 1)]),
    model: Preset("gpt3-350m"),
    training: (global_batch: 16, sequence_length: 1024, precision: Fp16),
    plan: Uniform(dp: 2, tp: 1, pp: 4, micro_batch_size: 1, schedule: OneFOneB),
)
"#;

/// Schedules, how many chunks of the model a stage has, and how many routes micro-batches take.
const SCHEDULES: &[(&str, u32, u32)] = &[
    ("GPipe", 1, 1),
    ("OneFOneB", 1, 1),
    ("Interleaved(chunks: 2)", 2, 1),
    ("Interleaved(chunks: 3)", 3, 1),
    ("ZeroBubble(order: H1)", 1, 1),
    ("ZeroBubble(order: H2)", 1, 1),
    ("ZeroBubble(order: Automatic)", 1, 1),
    ("ZeroBubble(order: Automatic, activations: Stages(2))", 1, 1),
    ("ZeroBubble(order: V)", 2, 1),
    ("DualPipe", 2, 2),
    ("DualPipeV", 2, 1),
];

fn scenario(schedule: &str) -> String {
    changed(FOUR, &[("schedule: OneFOneB", &format!("schedule: {schedule}"))])
}

fn draw(folder: &Path, arguments: &[&str]) -> String {
    answer(folder, &[&["export", "schedule", "it.ron"], arguments].concat())
}

/// The names of the passes in a line, wherever they stand.
fn names(line: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut open = false;
    for letter in line.chars() {
        if "FBWfbw".contains(letter) {
            names.push(letter.to_string());
            open = true;
        } else if open && (letter.is_ascii_digit() || letter == '.') {
            names.last_mut().unwrap().push(letter);
        } else {
            open = false;
        }
    }
    names
}

/// What the passes of a stage are called if each is there once; W only where B stands apart from it.
fn expected(chunks: u32, routes: u32, stage: u32, split: &BTreeSet<String>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for chunk in 0..chunks {
        for micro_batch in 0..MICRO_BATCHES {
            // With two routes, each chunk has the micro-batches of one of them.
            if routes == 2 && micro_batch % 2 != chunk {
                continue;
            }
            for letter in ['F', 'B', 'W'] {
                let name = match (chunks, chunk) {
                    (2, 1) => format!("{}{micro_batch}", letter.to_ascii_lowercase()),
                    (3.., _) => format!("{letter}{micro_batch}.{chunk}"),
                    _ => format!("{letter}{micro_batch}"),
                };
                if letter != 'W' || split.contains(&name) {
                    names.insert(name);
                }
            }
        }
    }
    assert!(stage < STAGES);
    names
}

#[test]
fn every_pass_is_written_once() {
    let mut all = String::new();
    for &(schedule, chunks, routes) in SCHEDULES {
        let folder = folder_with("it.ron", scenario(schedule));
        let text = draw(folder.path(), &["--width", "1000"]);
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("stage ")).collect();
        assert_eq!(rows.len(), STAGES as usize, "{text}");
        for (stage, row) in rows.iter().enumerate() {
            let found = names(&row["stage 0".len()..]);
            let once: BTreeSet<String> = found.iter().cloned().collect();
            assert_eq!(once.len(), found.len(), "{schedule}: {row}");
            assert_eq!(once, expected(chunks, routes, stage as u32, &once), "{schedule}: {row}");
            if schedule.starts_with("ZeroBubble") {
                let split = once.iter().filter(|name| name.starts_with(['W', 'w'])).count() as u32;
                assert_eq!(split, chunks * MICRO_BATCHES, "{schedule}: {row}");
            }
        }
        // Both pipelines are alike.
        assert_eq!(draw(folder.path(), &["--width", "1000", "--pipeline", "1"]), text);
        all.push_str(&text);
        all.push('\n');
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/schedules.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &all).unwrap();
    }
    assert_eq!(all, std::fs::read_to_string(golden).unwrap(), "UPDATE_GOLDEN=1 accepts");
}

#[test]
fn text_keeps_within_its_width_and_says_what_is_cut() {
    for &(schedule, ..) in SCHEDULES {
        let folder = folder_with("it.ron", scenario(schedule));
        for times in ["unit", "simulated"] {
            let mut whole = 0;
            for width in [40, 80, 1000] {
                let text = draw(folder.path(), &["--times", times, "--width", &width.to_string()]);
                for line in text.lines() {
                    assert!(line.chars().count() <= width && line.trim_end() == line, "{line}");
                }
                let cut = text.lines().find(|line| line.starts_with("cut: "));
                let widest = text.lines().filter(|line| line.starts_with("stage ")).map(str::len);
                match cut {
                    // It says how much room the whole takes.
                    Some(_) => {
                        let tail = text
                            .split("columns; ")
                            .nth(1)
                            .or_else(|| text.split("columns;\n").nth(1));
                        whole = tail.unwrap().split_whitespace().next().unwrap().parse().unwrap();
                        assert!(whole > width, "{text}");
                    }
                    None => assert!(whole == 0 || widest.max().unwrap() <= whole, "{text}"),
                }
                assert_eq!(cut.is_none(), width == 1000 || whole == 0, "{text}");
            }
        }
    }
}

fn number(node: Node<'_, '_>, attribute: &str) -> f64 {
    node.attribute(attribute).unwrap().parse().unwrap()
}

/// Reads a picture: everything lies within it; blocks in the same place of a row come one after
/// another. How many blocks its rows have.
fn check_svg(svg: &str, what: &str) -> usize {
    let document = Document::parse(svg).unwrap_or_else(|error| panic!("{what}: {error}"));
    let picture = document.root_element();
    assert_eq!(picture.tag_name().name(), "svg");
    let (width, height) = (number(picture, "width"), number(picture, "height"));
    let mut lanes: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    // The first is the ground.
    let elements = picture.children().filter(Node::is_element).skip(1);
    for node in elements.filter(|node| node.tag_name().name() == "rect") {
        let (x, y) = (number(node, "x"), number(node, "y"));
        let (right, bottom) = (x + number(node, "width"), y + number(node, "height"));
        assert!(0.0 <= x && right <= width && 0.0 <= y && bottom <= height, "{what}: {node:?}");
        // The legend lies above, and each row on a ground of its own.
        if y > 60.0 && node.has_attribute("stroke") {
            lanes.entry(format!("{y}")).or_default().push((x, right));
        }
    }
    for blocks in lanes.values_mut() {
        blocks.sort_by(|a, b| a.0.total_cmp(&b.0));
        for pair in blocks.windows(2) {
            assert!(pair[0].1 <= pair[1].0 + 0.02, "{what}: {pair:?}");
        }
    }
    let texts: Vec<&str> = picture.descendants().filter_map(|node| node.text()).collect();
    for stage in 0..STAGES {
        assert!(texts.contains(&&*format!("stage {stage}")), "{what}");
    }
    lanes.values().map(Vec::len).sum()
}

#[test]
fn pictures_are_well_formed_and_hold_every_pass() {
    for &(schedule, chunks, routes) in SCHEDULES {
        let folder = folder_with("it.ron", scenario(schedule));
        let text = draw(folder.path(), &["--width", "1000"]);
        let passes: usize = text
            .lines()
            .filter(|line| line.starts_with("stage "))
            .map(|row| names(&row["stage 0".len()..]).len())
            .sum();
        assert!(passes as u32 >= 2 * STAGES * MICRO_BATCHES * chunks / routes);
        let picture = draw(folder.path(), &["--format", "svg"]);
        assert_eq!(check_svg(&picture, schedule), passes, "{schedule}");
        let simulated = ["--format", "svg", "--times", "simulated"];
        // With an optimizer step on each stage.
        let picture = draw(folder.path(), &simulated);
        assert_eq!(check_svg(&picture, schedule), passes + STAGES as usize, "{schedule}");
        assert_eq!(draw(folder.path(), &simulated), picture, "the same bytes");
    }
}

/// A picture of a replay tells the same share of the bubble as the report of it.
#[test]
fn the_bubble_is_that_of_the_report() {
    for &(schedule, ..) in SCHEDULES {
        let folder = folder_with("it.ron", scenario(schedule));
        let json = answer(folder.path(), &["run", "it.ron", "--format", "json"]);
        let report: serde_json::Value = serde_json::from_str(&json).unwrap();
        let iteration = report["iteration_time"]["mean_s"].as_f64().unwrap();
        let stages = report["stages"].as_array().unwrap();
        let busy: f64 = stages.iter().map(|stage| stage["compute_s"].as_f64().unwrap()).sum();
        let idle = 100.0 * (1.0 - busy / (iteration * stages.len() as f64));
        let text = draw(folder.path(), &["--times", "simulated"]);
        let expected = format!("bubble and communication {idle:.1} %");
        assert!(text.contains(&expected), "{schedule}: {expected} is not in\n{text}");
    }
}

#[test]
fn answers_go_to_a_file_or_name_what_is_wrong() {
    let folder = folder_with("it.ron", FOUR);
    let text = draw(folder.path(), &[]);
    assert_eq!(draw(folder.path(), &["-o", "it.txt"]), "");
    assert_eq!(std::fs::read_to_string(folder.path().join("it.txt")).unwrap(), text);
    for times in ["unit", "simulated"] {
        let arguments = ["export", "schedule", "it.ron", "--times", times, "--pipeline", "2"];
        let ran = motley(folder.path(), &arguments);
        assert_eq!((ran.code, &*ran.stdout), (Some(2), ""));
        assert!(ran.stderr.contains("pipelines 0 to 1"), "{}", ran.stderr);
    }
}

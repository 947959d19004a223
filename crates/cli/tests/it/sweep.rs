//! `motley sweep`: the same table however it comes about, and nothing lost.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::command::{MIXED, answer, command, finish, motley, root};

/// 24 points of which 4 are skipped, 4 do not fit their plan and 8 not into memory.
const STUDY: &str = r#"Study(
    question: "Which way of counting gives another table?",
    base: "base.ron",
    axes: [
        Axis(name: "port_gbps", set: ["cluster.fabric.port=Gbps({})"], values: List([25, 100])),
        Cases(name: "plan", cases: [
            (label: "mixed"),
            (label: "large", set: ["model=Preset(\"gpt3-13b\")"]),
            (label: "three", set: ["plan.dp=3"]),
        ]),
        Axis(name: "size", set: ["plan.micro_batch_size={}"], values: List([1, 2])),
    ],
    skip: ["plan == 'three' and size == 2"],
    replicas: 2,
)
"#;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(study: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("base.ron"), MIXED).unwrap();
        std::fs::write(folder.path().join("study.ron"), study).unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.file(name)).unwrap()
    }

    /// Runs a command that must end with this code; what it says.
    #[track_caller]
    fn ends(&self, code: i32, arguments: &[&str]) -> String {
        let ran = motley(self.path(), arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?}\n{}{}", ran.stdout, ran.stderr);
        ran.stdout + &ran.stderr
    }
}

#[test]
fn tables_do_not_depend_on_threads_or_shards() {
    let folder = Folder::new(STUDY);
    // Points without an answer are told by the exit code.
    let said = folder.ends(3, &["sweep", "study.ron", "-o", "whole", "--threads", "1"]);
    assert!(said.starts_with("20 points: 8 ok, 8 out of memory, 4 invalid -> "), "{said}");
    let expected = folder.bytes("whole/results.csv");
    let text = String::from_utf8(expected.clone()).unwrap();
    assert_eq!(text.lines().count(), 21);
    assert!(
        text.starts_with(
            "point_index,axis_port_gbps,axis_plan,axis_size,replica_index,seed,status,"
        )
    );
    assert!(text.contains("[E0501]") && text.contains(" GiB short"), "{text}");
    for format in ["jsonl", "parquet"] {
        folder.ends(0, &["sweep", "merge", "whole", "-o", &format!("whole.{format}")]);
    }
    for (shards, threads) in [(1, 2), (3, 1), (7, 2), (64, 1)] {
        let name = format!("{shards}");
        folder.ends(0, &["sweep", "plan", "study.ron", "-o", &name, "--shards", &name]);
        folder.ends(3, &["sweep", "merge", &name, "-o", "none.csv"]);
        // The last first: shards know nothing of each other.
        for shard in (0..shards).rev() {
            let (shard, threads) = (shard.to_string(), threads.to_string());
            let ran = motley(
                folder.path(),
                &["sweep", "shard", &name, "--shard", &shard, "--threads", &threads],
            );
            assert!(matches!(ran.code, Some(0 | 3)), "{}", ran.stderr);
        }
        for format in ["csv", "jsonl", "parquet"] {
            let output = format!("{shards}.{format}");
            folder.ends(0, &["sweep", "merge", &name, "-o", &output]);
            let expected = match format {
                "csv" => expected.clone(),
                _ => folder.bytes(&format!("whole.{format}")),
            };
            assert!(folder.bytes(&output) == expected, "{shards} shards, {format}");
        }
    }
}

#[test]
fn a_part_that_is_not_what_was_written_is_found_and_done_again() {
    let folder = Folder::new(STUDY);
    folder.ends(0, &["sweep", "plan", "study.ron", "-o", "d", "--shards", "5"]);
    for shard in ["0", "1", "2", "4"] {
        motley(folder.path(), &["sweep", "shard", "d", "--shard", shard]);
    }
    let part = folder.file("d/parts/part-00002.jsonl");
    let whole = std::fs::read(&part).unwrap();
    let digit = whole.iter().rposition(|byte| *byte == b'.').unwrap() + 1;
    let spoilt: [Vec<u8>; 4] = [
        // A digit, a missing row, another part, the end.
        [&whole[..digit], b"7", &whole[digit + 1..]].concat(),
        whole.split_inclusive(|byte| *byte == b'\n').skip(1).collect::<Vec<_>>().concat(),
        folder.bytes("d/parts/part-00001.jsonl"),
        whole[..whole.len() - 20].to_vec(),
    ];
    for bytes in spoilt {
        std::fs::write(&part, bytes).unwrap();
        let said = folder.ends(3, &["sweep", "status", "d"]);
        assert!(said.contains("done     3 of 5: 0-1,4"), "{said}");
        assert!(
            said.contains("missing  1 of 5: 3") && said.contains("corrupt  1 of 5: 2"),
            "{said}"
        );
        assert_eq!(folder.ends(3, &["sweep", "status", "d", "--missing"]), "2-3\n");
        let said = folder.ends(3, &["sweep", "merge", "d", "-o", "none.csv"]);
        assert!(said.contains("2 of 5 shards are not done: 2-3"), "{said}");
        assert!(!folder.file("none.csv").exists());
        motley(folder.path(), &["sweep", "shard", "d", "--shard", "2"]);
        assert!(std::fs::read(&part).unwrap() == whole);
    }
    motley(folder.path(), &["sweep", "shard", "d", "--shard", "3"]);
    assert_eq!(folder.ends(0, &["sweep", "status", "d", "--missing"]), "");
}

/// 300 points, none of them worth waiting for.
fn long() -> String {
    STUDY
        .replace("List([25, 100])", "Linear(from: 1, to: 100, count: 100)")
        .replace("(label: \"large\", set: [\"model=Preset(\\\"gpt3-13b\\\")\"]),", "")
        .replace("(label: \"three\", set: [\"plan.dp=3\"]),", "")
        .replace("skip: [\"plan == 'three' and size == 2\"],", "")
        .replace("List([1, 2])", "List([1, 2, 4])")
        .replace("replicas: 2", "replicas: 1")
}

/// How many points of a sweep are finished.
fn finished(folder: &Folder, sweep: &str) -> u64 {
    let said = motley(folder.path(), &["sweep", "status", sweep]).stdout;
    let line = said.lines().find_map(|line| line.strip_prefix("points   ")).unwrap();
    line.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn twenty_kills_lose_nothing() {
    let folder = Folder::new(&long());
    folder.ends(0, &["sweep", "study.ron", "-o", "calm", "--shards", "3"]);
    folder.ends(0, &["sweep", "plan", "study.ron", "-o", "d", "--shards", "3"]);
    let mut before = 0;
    // Any moments will do; these are the same in every run of the test.
    let mut moment: u64 = 7;
    for _ in 0..20 {
        moment =
            moment.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut child =
            command(folder.path(), ["sweep", "study.ron", "-o", "d", "--shards", "3", "--resume"]);
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(10 + (moment >> 33) % 80));
        // SIGKILL on Unix.
        child.kill().unwrap();
        child.wait().unwrap();
        let now = finished(&folder, "d");
        assert!(now >= before, "{before} points were finished, now {now}");
        before = now;
    }
    assert!(before > 0);
    folder.ends(0, &["sweep", "study.ron", "-o", "d", "--shards", "3", "--resume"]);
    assert!(folder.bytes("d/results.csv") == folder.bytes("calm/results.csv"));
    assert!(
        folder.bytes("d/parts/part-00001.jsonl") == folder.bytes("calm/parts/part-00001.jsonl")
    );
    let parts = folder.file("d/parts").read_dir().unwrap();
    let left: Vec<PathBuf> = parts
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "log"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[cfg(unix)]
#[test]
fn an_interrupted_sweep_keeps_what_is_finished() {
    let folder = Folder::new(&long());
    let mut child = command(folder.path(), ["sweep", "study.ron", "-o", "d", "--threads", "1"]);
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // As soon as it is at work.
    while !folder.file("d/parts/part-00000.log").metadata().is_ok_and(|log| log.len() > 0) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(130), "{said}");
    assert!(said.contains("finished points are kept"), "{said}");
    assert!(!folder.file("d/results.csv").exists());
    assert!(finished(&folder, "d") > 0);

    let said = folder.ends(2, &["sweep", "study.ron", "-o", "d"]);
    assert!(said.contains("--resume"), "{said}");
    folder.ends(0, &["sweep", "study.ron", "-o", "d", "--resume"]);
    folder.ends(0, &["sweep", "study.ron", "-o", "calm"]);
    assert!(folder.bytes("d/results.csv") == folder.bytes("calm/results.csv"));
}

#[test]
fn too_many_failures_end_a_sweep_and_more_may_be_allowed() {
    let folder = Folder::new(STUDY);
    let start = ["sweep", "study.ron", "-o", "d", "--threads", "1", "--max-failures", "2"];
    let said = folder.ends(3, &start);
    assert!(said.contains("3 points have no answer, more than --max-failures"), "{said}");
    assert!(!folder.file("d/results.csv").exists());
    let said =
        folder.ends(3, &["sweep", "study.ron", "-o", "d", "--resume", "--max-failures", "4"]);
    assert!(said.starts_with("20 points: "), "{said}");
}

#[test]
fn a_plan_holds_all_that_its_shards_need() {
    let folder = Folder::new(STUDY);
    folder.ends(0, &["sweep", "plan", "study.ron", "-o", "d", "--shards", "2"]);
    folder.ends(3, &["sweep", "study.ron", "-o", "calm"]);
    std::fs::write(folder.file("base.ron"), "no scenario any more").unwrap();
    std::fs::remove_file(folder.file("study.ron")).unwrap();
    for shard in ["0", "1"] {
        motley(folder.path(), &["sweep", "shard", "d", "--shard", shard]);
    }
    folder.ends(0, &["sweep", "merge", "d", "-o", "d.csv"]);
    assert!(folder.bytes("d.csv") == folder.bytes("calm/results.csv"));

    // What was changed behind its back is not used.
    let mut study = std::fs::read_to_string(folder.file("d/study.ron")).unwrap();
    study = study.replace("[25, 100]", "[25, 200]");
    std::fs::write(folder.file("d/study.ron"), study).unwrap();
    let said = folder.ends(2, &["sweep", "shard", "d", "--shard", "0"]);
    assert!(said.contains("changed after it was planned"), "{said}");
}

#[test]
fn wrong_folders_and_numbers_are_refused() {
    let folder = Folder::new(STUDY);
    let check = |arguments: &[&str], part: &str| {
        let said = folder.ends(2, arguments);
        assert!(said.contains(part), "{said}");
    };
    check(&["sweep", "shard", "none", "--shard", "0"], "no sweep is planned here");
    folder.ends(0, &["sweep", "plan", "study.ron", "-o", "d", "--shards", "2"]);
    check(&["sweep", "shard", "d", "--shard", "2"], "there are 2, numbered from 0");
    check(&["sweep", "plan", "study.ron", "-o", "d", "--shards", "3"], "planned in 2 shards");
    std::fs::write(folder.file("study.ron"), STUDY.replace("replicas: 2", "replicas: 1")).unwrap();
    check(&["sweep", "plan", "study.ron", "-o", "d", "--shards", "2"], "another study");
    std::fs::write(folder.file("study.ron"), STUDY.replace("size == 2", "siz == 2")).unwrap();
    check(&["sweep", "study.ron", "-o", "e"], "did you mean `size`?");
    assert!(!folder.file("e").exists());
    check(&["sweep", "study.ron", "-o", "e"], "study.ron:13:");
    check(&["best", "study.ron"], "tables are .csv, .jsonl or .parquet");
}

#[test]
fn answers_about_tables_are_the_same_from_every_format() {
    let folder = Folder::new(STUDY);
    folder.ends(3, &["sweep", "study.ron", "-o", "d"]);
    let questions: [&[&str]; 4] = [
        &["best", "--top", "3"],
        &["best", "--pareto", "iteration_time_s,peak_memory_bytes"],
        &["sensitivity", "--metric", "tokens_per_s"],
        &["break-even", "--axis", "port_gbps", "--against", "size=2:1"],
    ];
    for format in ["csv", "jsonl", "parquet"] {
        folder.ends(0, &["sweep", "merge", "d", "-o", &format!("t.{format}")]);
    }
    for question in questions {
        for also in [&[][..], &["--format", "json"]] {
            let said = ["csv", "jsonl", "parquet"].map(|format| {
                let table = format!("t.{format}");
                let arguments = [&question[..1], &[&table], &question[1..], also].concat();
                answer(folder.path(), &arguments)
            });
            assert_eq!(said[0], said[1]);
            assert_eq!(said[0], said[2]);
            if !also.is_empty() {
                let document: serde_json::Value = serde_json::from_str(&said[0]).unwrap();
                assert_eq!(document["plan_hash"].as_str().unwrap().len(), 64);
            }
        }
    }
}

#[test]
fn shipped_studies_ask_a_question_and_can_be_planned() {
    let studies = root().join("scenarios/studies");
    let mut count = 0;
    let folders = [studies.clone(), studies.join("large")];
    let entries = folders.iter().flat_map(|folder| folder.read_dir().unwrap());
    for path in entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("question: \""), "{}", path.display());
        let folder = tempfile::tempdir().unwrap();
        let ran = finish(command(
            folder.path(),
            ["sweep".as_ref(), "plan".as_ref(), path.as_os_str(), "-o".as_ref(), "d".as_ref()],
        ));
        assert_eq!(ran.code, Some(0), "{}: {}", path.display(), ran.stderr);
        count += 1;
    }
    assert!(count >= 6);
}

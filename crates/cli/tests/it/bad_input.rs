//! Bad input ends with exit code 2 (74 where a file cannot be read or written) and one message for
//! each mistake, at its place.

use crate::command::{EXPLICIT, MIXED, changed, folder_with, motley, unfolded};

/// A mistake: where it is, and parts of its message. The place is a piece of the text with a bar
/// where the mistake begins, or line and column.
type Mistake<'a> = (&'a str, &'a [&'a str]);

/// A place as messages give it: file, line, column in characters, from 1.
fn place(text: &str, place: &str) -> String {
    let Some((before, after)) = place.split_once('|') else { return format!("it.ron:{place}") };
    let piece = format!("{before}{after}");
    let at = text.find(&piece).unwrap_or_else(|| panic!("{piece:?} is not in {text}"));
    assert_eq!(text.rfind(&piece), Some(at), "{piece:?} is twice in {text}");
    let upto = &text[..at + before.len()];
    let line = 1 + upto.matches('\n').count();
    let column = 1 + upto.rsplit('\n').next().unwrap_or("").chars().count();
    format!("it.ron:{line}:{column}")
}

/// Nothing that looks like a crash or like colours in a pipe.
#[track_caller]
fn is_calm(stderr: &str) {
    for sign in ["panicked", "RUST_BACKTRACE", "stack backtrace", "overflowed", "\u{1b}"] {
        assert!(!stderr.contains(sign), "{sign:?} in {stderr}");
    }
}

/// Every command that reads scenarios refuses `content`, says nothing on standard output, and has
/// exactly these mistakes to report, in this order.
fn check(content: impl AsRef<[u8]>, mistakes: &[Mistake<'_>]) {
    let text = String::from_utf8_lossy(content.as_ref()).into_owned();
    let folder = folder_with("it.ron", content);
    for arguments in [
        &["run", "it.ron"][..],
        &["check", "it.ron"],
        &["losses", "it.ron"],
        &["explain", "it.ron"],
        &["whatif", "it.ron"],
        &["compare", "it.ron", "it.ron"],
        &["export", "dot", "it.ron"],
    ] {
        let ran = motley(folder.path(), arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{arguments:?}");
        is_calm(&ran.stderr);
        let messages: Vec<&str> = ran.stderr.split("error[").skip(1).collect();
        assert!(ran.stderr.starts_with("error[E"), "{}", ran.stderr);
        assert_eq!(messages.len(), mistakes.len(), "{}", ran.stderr);
        for (message, (at, parts)) in messages.iter().zip(mistakes) {
            let arrow = message.lines().find(|line| line.trim_start().starts_with("-->")).unwrap();
            assert_eq!(arrow.trim().trim_start_matches("--> "), place(&text, at), "{message}");
            for part in *parts {
                assert!(message.contains(part), "{part:?} is not in {message}");
            }
        }
    }
}

fn mixed(changes: &[(&str, &str)], mistakes: &[Mistake<'_>]) {
    check(changed(MIXED, changes), mistakes);
}

fn explicit(changes: &[(&str, &str)], mistakes: &[Mistake<'_>]) {
    check(changed(EXPLICIT, changes), mistakes);
}

#[test]
fn files_that_are_not_scenarios() {
    check("", &[("1:1", &["the file is empty"])]);
    check(" \n// nothing\n", &[("3:1", &["the file is empty"])]);
    let half = MIXED.find("sequence_length").unwrap();
    check(MIXED[..half].trim_end(), &[("batch: 64,|", &["the file ends too early"])]);
    check(b"Scenario(\n  \xff", &[("2:3", &["the file is not UTF-8"])]);
    check(b"\x7fELF\x02\x01\x01\0\0\0", &[("1:1", &["E0101"])]);
    check("[1, 2]", &[("1:1", &["E0"])]);
}

#[test]
fn ten_megabytes_of_brackets() {
    for bracket in ["(", "[", "{", "Some("] {
        let folder = folder_with("it.ron", bracket.repeat(10_000_000 / bracket.len()));
        let ran = motley(folder.path(), &["run", "it.ron"]);
        assert_eq!(ran.code, Some(2));
        is_calm(&ran.stderr);
        assert_eq!(ran.stderr.matches("error[").count(), 1);
        assert!(ran.stderr.contains(" it.ron:1:"), "{}", ran.stderr);
        assert!(ran.stderr.len() < 2_000, "{} bytes", ran.stderr.len());
    }
}

#[test]
fn names_that_do_not_exist() {
    mixed(
        &[("\"dgx1-v100\"", "\"dgx1-v100\", device: \"v100-sxm2-33\"")],
        &[("|\"v100-sxm2-33", &["unknown device \"v100-sxm2-33\"", "did you mean \"v100-sxm2-3"])],
    );
    mixed(
        &[("dgx1-v100", "dgx1v100")],
        &[("|\"dgx1v100", &["unknown node design", "did you mean \"dgx1-v100\"?"])],
    );
    mixed(
        &[("dgx1-v100\"", "dgx1-v100\", nic: \"ed\"")],
        &[("|\"ed\"", &["unknown nic \"ed\"", "did you mean \"edr\"?"])],
    );
    mixed(
        &[("gpt3-350m", "gpt-350m")],
        &[("model: Preset(|", &["unknown model preset", "did you mean \"gpt3-350m\"?"])],
    );
    mixed(
        &[("count: 1", "cuont: 1")],
        &[("|cuont", &["unknown field `cuont`", "did you mean `count`?"])],
    );
    mixed(
        &[("precision: Fp16", "precision: Fp61")],
        &[("|Fp61", &["unknown value `Fp61`", "did you mean `Fp16`?"])],
    );
    mixed(&[("Uniform(", "Unifrom(")], &[("|Unifrom", &["unknown", "did you mean `Uniform`?"])]);
}

#[test]
fn counts() {
    for (count, message) in [
        ("0", "`cluster.groups[0].count` is 0, expected 1 to "),
        ("-1", "a count cannot be negative"),
        ("1.5", "not a whole number"),
        ("200001", "`cluster.groups[0].count` is 200001"),
        ("4294967296", "too large"),
        ("99999999999999999999999999", "too large"),
    ] {
        let (field, at) = (format!("count: {count}"), format!("count: |{count})"));
        mixed(&[("count: 1", &field)], &[(&at, &[message])]);
    }
    mixed(
        &[("global_batch: 64", "global_batch: 0"), ("1024", "0"), ("dp: 4", "dp: 0")],
        &[
            ("global_batch: |0", &["global_batch` is 0"]),
            ("sequence_length: |0", &["sequence_length` is 0"]),
            ("dp: |0", &["`plan.dp` is 0"]),
        ],
    );
    mixed(&[("dp: 4", "dp: 4294967295")], &[("dp: |4294967295", &["`plan.dp` is 4294967295"])]);
    mixed(
        &[("size: 1", "size: 65")],
        &[("size: |65", &["64 sequences does not divide into micro-batches of 65"])],
    );
    explicit(
        &[("micro_batches: 12", "micro_batches: 0")],
        &[
            ("|pipelines: [", &["8 sequences", "the global batch has 20"]),
            ("micro_batches: |0", &["0 micro-batches"]),
        ],
    );
}

#[test]
fn quantities() {
    for (quantity, message) in [
        ("Gbps(NaN)", "a quantity must be a finite number"),
        ("Gbps(inf)", "a quantity must be a finite number"),
        ("Gbps(1e400)", "a quantity must be a finite number"),
        ("Gbps(-5)", "a quantity cannot be negative"),
        ("Gbps(0)", "a rate of at least 125 B/s"),
        ("Gbit(100)", "unknown unit `Gbit`"),
        ("100", "write `Gbps(100)`"),
        ("\"100 Gb/s\"", "with its unit"),
    ] {
        mixed(&[("Gbps(100)", quantity)], &[(&format!("port: |{quantity}"), &[message])]);
    }
    mixed(
        &[("tion: 1.0", "tion: NaN")],
        &[("tion: |NaN", &["`cluster.fabric.oversubscription` is NaN"])],
    );
    mixed(
        &[("0.05", "NaN"), ("0.02", "-1.0")],
        &[
            ("jitter: |NaN", &["`noise.kernel_jitter` is NaN"]),
            ("spread: |-1.0", &["`noise.card_spread` is -1"]),
        ],
    );
}

#[test]
fn layers_that_do_not_sum() {
    for (counts, message) in [
        ("[12, 13]", "the layer counts sum to 25, the model has 24 layers"),
        ("[24]", "1 layer counts for 2 virtual stages"),
        ("[4294967295, 4294967295]", "the layer counts sum to 8589934590"),
    ] {
        let field = format!("pp: 2, layers: Counts({counts}),");
        mixed(&[("pp: 2,", &field)], &[("layers: |Counts(", &[message])]);
    }
    explicit(
        &[("14..24", "15..24")],
        &[("|15..24", &["layers 14..15 are missing", "expected this range to start at 14"])],
    );
    explicit(&[("14..24", "13..24")], &[("|13..24", &["layers 13..14 are held twice"])]);
    explicit(&[("14..24", "14..23")], &[("|(micro_batches: 12", &["23 layers, the model has 24"])]);
    explicit(&[("14..24", "14..25")], &[("|(micro_batches: 12", &["25 layers, the model has 24"])]);
    explicit(&[("0..24", "0..23")], &[("|(micro_batches: 8", &["23 layers, the model has 24"])]);
    // Both ends may be without layers, but somebody must have them.
    explicit(&[("0..24", "5..5")], &[("|5..5", &["0..5"])]);
    let field = "dp: 1, tp: 4, pp: 4, layers: Counts([12, 0, 12, 0]),";
    mixed(
        &[("dp: 4, tp: 2, pp: 2,", field)],
        &[("layers: |Counts(", &["without layers", "only the first and the last one"])],
    );
}

#[test]
fn cards_and_batches_that_do_not_fit() {
    explicit(
        &[("gpus: 2..4", "gpus: 1..3")],
        &[("|1..3", &["GPU 1 is already used by stage 1 of pipeline 0"])],
    );
    explicit(
        &[("gpus: 2..4", "gpus: [2, 2]")],
        &[("|[2, 2]", &["GPU 2 is already used by stage 0 of pipeline 1"])],
    );
    explicit(
        &[("gpus: 2..4", "gpus: 7..9")],
        &[("|7..9", &["GPU 8 does not exist; the cluster has GPUs 0 to 7"])],
    );
    explicit(
        &[("global_batch: 20", "global_batch: 21")],
        &[("|pipelines: [", &["20 sequences", "the global batch has 21"])],
    );
    mixed(
        &[("global_batch: 64", "global_batch: 63")],
        &[("dp: |4", &["63 micro-batches", "do not divide over dp 4", "Proportional"])],
    );
    mixed(
        &[("dp: 4", "dp: 8")],
        &[("plan: |Uniform", &["dp 8 x tp 2 x pp 2 = 32 ranks, but the cluster has 16 cards"])],
    );
    mixed(
        &[("dp: 4, tp: 2, pp: 2", "dp: 1, tp: 1, pp: 16")],
        &[("plan: |Uniform", &["24 layers do not divide into 16"])],
    );
}

#[test]
fn arithmetic_that_a_card_lacks() {
    let lacks = |card: &'static str| -> [&'static str; 4] {
        [card, "no Bf16 arithmetic", "name as fallback", "Fp16"]
    };
    let at = "precision: |Bf16";
    mixed(
        &[("precision: Fp16", "precision: Bf16")],
        &[(at, &lacks("v100-sxm2-32")), (at, &lacks("p100-sxm2"))],
    );
    explicit(&[("precision: Fp16", "precision: Bf16")], &[(at, &lacks("v100-sxm2-32"))]);
    explicit(
        &[("precision: Fp16", "precision: Bf16, fallback: Tf32")],
        &[(at, &["v100-sxm2-32", "Tf32"])],
    );
    explicit(
        &[("precision: Fp16", "precision: Fp16, attention: Flash")],
        &[("precision: |Fp16", &["v100-sxm2-32", "FlashAttention"])],
    );
}

#[test]
fn nodes_that_cannot_reach_each_other() {
    mixed(
        &[("fabric: (technology: InfiniBand, port: Gbps(100), oversubscription: 1.0),", "")],
        &[("|cluster: (", &["2 nodes need a fabric", "add `fabric: (technology: InfiniBand)`"])],
    );
    mixed(
        &[("InfiniBand", "RoCE")],
        &[("|\"dgx1-v100\"", &["NIC `edr` speaks InfiniBand, the fabric RoCE"])],
    );
    mixed(
        &[("\"dgx1-p100\"", "\"dgx1-p100\", nic: \"eth-100\"")],
        &[("|\"eth-100\"", &["NIC `eth-100` speaks Ethernet, the fabric InfiniBand"])],
    );
}

#[test]
fn several_mistakes_at_once() {
    mixed(
        &[("count: 1", "cuont: -1"), ("Gbps(100)", "100"), ("Fp16", "Fp61"), ("tp: 2, ", "")],
        &[
            ("|cuont", &["unknown field `cuont`"]),
            ("cuont: |-1", &["cannot be negative"]),
            ("port: |100", &["with its unit"]),
            ("|Fp61", &["unknown value `Fp61`"]),
            ("|Uniform", &["missing field `tp`"]),
        ],
    );
    mixed(
        &[("dgx1-v100", "x"), ("gpt3-350m", "y"), ("global_batch: 64", "global_batch: 0")],
        &[
            ("|\"x\"", &["unknown node design \"x\""]),
            ("Preset(|\"y\")", &["unknown model preset \"y\""]),
            ("global_batch: |0", &["global_batch"]),
        ],
    );
}

/// Overrides are refused at their own place.
#[test]
fn overrides() {
    let folder = folder_with("it.ron", MIXED);
    for (set, place, message) in [
        ("plan.dpp=3", "--set:1:6", "did you mean `dp`?"),
        ("plan.dp=x", "--set:1:9", "expected a whole number"),
        ("plan.dp=NaN", "--set:1:9", "not a whole number"),
        ("plan.dp=0", "--set:1:9", "`plan.dp` is 0"),
        ("plan.dp=", "--set:1:9", ""),
        ("plan.dp", "--set:1:1", "expected `path=value`"),
        ("", "--set:1:1", "expected `path=value`"),
        ("=3", "--set:1:1", ""),
        ("cluster.groups[9].count=1", "--set:1:15", "it has 2"),
        ("cluster.groups[x].count=1", "--set:1:15", ""),
        ("cluster.groups[0].count=(", "--set:1:26", ""),
        ("cluster.groups[0].device=\"v\"", "--set:1:26", "unknown device"),
        ("nonsense.deep=1", "--set:1:1", "no `nonsense`"),
        ("cluster.fabric.port=Gbps(NaN)", "--set:1:21", "finite"),
    ] {
        for command in ["run", "check"] {
            let ran = motley(folder.path(), &[command, "it.ron", "--set", set]);
            assert_eq!(ran.code, Some(2), "{set}: {}", ran.stderr);
            assert_eq!(ran.stdout, "", "{set}");
            is_calm(&ran.stderr);
            assert_eq!(ran.stderr.matches("error[").count(), 1, "{set}: {}", ran.stderr);
            assert!(ran.stderr.contains(&format!("--> {place}\n")), "{set}: {}", ran.stderr);
            assert!(ran.stderr.contains(message), "{set}: {}", ran.stderr);
        }
    }
}

/// Usage, and files that cannot be read or written: one line that says what, no scenario shown.
#[test]
fn usage_and_files() {
    let folder = folder_with("it.ron", MIXED);
    let check = |arguments: &[&str], code: i32, parts: &[&str]| {
        let ran = motley(folder.path(), arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{arguments:?}");
        is_calm(&ran.stderr);
        let found = ran.stderr.lines().filter(|line| line.starts_with("error")).count();
        assert_eq!(found, 1, "{}", ran.stderr);
        for part in parts {
            assert!(ran.stderr.contains(part), "{part:?} is not in {}", ran.stderr);
        }
    };
    check(&["frobnicate"], 2, &["unrecognized subcommand 'frobnicate'"]);
    check(&["rum", "it.ron"], 2, &["unrecognized subcommand 'rum'", "run"]);
    check(&["run"], 2, &["<SCENARIO>"]);
    check(&["run", "it.ron", "--sed", "1"], 2, &["'--sed'", "'--seed'"]);
    check(&["run", "it.ron", "--seed", "x"], 2, &["'x'", "--seed"]);
    check(&["run", "it.ron", "--seed", "-1"], 2, &["-1"]);
    check(&["run", "it.ron", "--iterations", "0"], 2, &["--iterations", "0"]);
    check(&["run", "it.ron", "--format", "xml"], 2, &["'xml'", "json"]);
    check(&["run", "missing.ron"], 74, &["cannot read missing.ron", "No such file"]);
    check(&["check", "missing.ron"], 74, &["cannot read missing.ron"]);
    check(&["export", "dot", "missing.ron"], 74, &["cannot read missing.ron"]);
    check(&["run", "."], 74, &["cannot read ."]);
    let nowhere = "no/such/folder/it.pftrace";
    check(&["run", "it.ron", "--trace", nowhere], 74, &["cannot write", nowhere]);
    check(&["run", "it.ron", "--trace", "."], 74, &["cannot write"]);
    check(&["export", "dot", "it.ron", "-o", "no/such.dot"], 74, &["cannot write", "no/such.dot"]);
}

/// Of several files each is judged, and the worst sets the exit code.
#[test]
fn check_judges_every_file() {
    let folder = folder_with("good.ron", MIXED);
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("bad.ron", &changed(MIXED, &[("count: 1", "count: 0")]));
    write("large.ron", &changed(MIXED, &[("gpt3-350m", "gpt3-13b")]));
    let check = |files: &[&str], code: i32, lines: &[&str], errors: usize| {
        let ran = motley(folder.path(), &[&["check"], files].concat());
        assert_eq!(ran.code, Some(code), "{files:?}");
        let verdicts = unfolded(&ran.stdout);
        let found: Vec<&str> = verdicts.lines().collect();
        assert_eq!(found.len(), lines.len(), "{}", ran.stdout);
        for (found, part) in found.iter().zip(lines) {
            assert!(found.contains(part), "{part:?} is not in {found}");
        }
        let found = ran.stderr.lines().filter(|line| line.starts_with("error")).count();
        assert_eq!(found, errors, "{}", ran.stderr);
    };
    check(&["good.ron", "good.ron"], 0, &["good.ron: ok"; 2], 0);
    check(&["bad.ron", "good.ron"], 2, &["good.ron: ok"], 1);
    check(&["missing.ron", "bad.ron", "good.ron"], 74, &["good.ron: ok"], 2);
    check(
        &["large.ron", "good.ron"],
        1,
        &["large.ron: does not fit: stage 1", "large.ron: does not fit: stage 0", "good.ron: ok"],
        0,
    );
}

/// A plan that does not fit into memory is an answer, with the breakdown.
#[test]
fn out_of_memory_is_an_answer() {
    let folder = folder_with("it.ron", changed(MIXED, &[("gpt3-350m", "gpt3-13b")]));
    let text = motley(folder.path(), &["run", "it.ron"]);
    assert_eq!(text.code, Some(1), "{}", text.stderr);
    for part in [
        "OUT OF MEMORY on 16 of 16 cards",
        "Tesla P100 SXM2 16 GB",
        "weights",
        "gradients",
        "optimizer",
        "activations",
        "Iteration",
    ] {
        assert!(text.stdout.contains(part), "{part:?} is not in {}", text.stdout);
    }
    assert!(!text.stderr.contains("error"), "{}", text.stderr);
    let json = motley(folder.path(), &["run", "it.ron", "--format", "json"]);
    assert_eq!(json.code, Some(1));
    let report: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(report["fits"], false);
    for row in report["out_of_memory"].as_array().unwrap() {
        let number = |value: &serde_json::Value| value.as_f64().unwrap();
        // What is cached need not fit.
        let parts: f64 = row["parts"].as_object().unwrap().values().map(number).sum();
        let parts = parts - number(&row["parts"]["cached_bytes"]);
        let [needed, capacity, short] =
            ["needed_bytes", "capacity_bytes", "short_bytes"].map(|key| number(&row[key]));
        assert!((parts - needed).abs() < 1.0, "{row}");
        assert!((needed - capacity - short).abs() < 1.0 && short > 0.0, "{row}");
    }
}

/// Tensor parallelism across nodes is legal in Megatron-LM; it is rarely meant, so there is a
/// warning, and the answer.
#[test]
fn tensor_parallelism_across_nodes_is_a_warning() {
    let wide = ("dp: 4, tp: 2, pp: 2", "dp: 1, tp: 16, pp: 1");
    let folder = folder_with("it.ron", changed(MIXED, &[wide]));
    for (arguments, expected) in [(["run", "it.ron"], "Iteration"), (["check", "it.ron"], ": ok")] {
        let ran = motley(folder.path(), &arguments);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stdout.contains(expected), "{}", ran.stdout);
        assert!(ran.stderr.starts_with("warning[W0501]"), "{}", ran.stderr);
        assert_eq!(ran.stderr.matches("warning").count(), 1);
        assert!(ran.stderr.contains("--> it.ron:12:30"), "{}", ran.stderr);
    }
    let explicit = [
        ("count: 1)])", "count: 2)], fabric: (technology: InfiniBand))"),
        ("gpus: 2..4", "gpus: [7, 8]"),
    ];
    let folder = folder_with("it.ron", changed(EXPLICIT, &explicit));
    let ran = motley(folder.path(), &["run", "it.ron"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("--> it.ron:12:24"), "{}", ran.stderr);
}

//! Every mistake gives one message, at its place, with what would be right.

use motley_scenario::{Rejected, load_text};

use crate::base::{EXPLICIT, UNIFORM, changed};

fn rejected(text: &str) -> Rejected {
    let Err(rejected) = load_text("test.ron", text, &[]) else { panic!("accepted: {text}") };
    rejected
}

/// The messages about `text` are as many as `expected`, in its order, and each contains its part.
pub(crate) fn check(text: &str, expected: &[&str]) {
    let rejected = rejected(text);
    let shown: Vec<String> = rejected
        .diagnostics
        .iter()
        .map(|diagnostic| diagnostic.render(&rejected.source, false))
        .collect();
    assert_eq!(shown.len(), expected.len(), "{}", shown.join("\n\n"));
    for (message, part) in shown.iter().zip(expected) {
        assert!(message.contains(part), "expected\n{part}\nin\n{message}");
    }
}

fn uniform(changes: &[(&str, &str)], expected: &[&str]) {
    check(&changed(UNIFORM, changes), expected);
}

fn explicit(changes: &[(&str, &str)], expected: &[&str]) {
    check(&changed(EXPLICIT, changes), expected);
}

#[test]
fn texts_that_are_not_ron() {
    check("", &["error[E0101]: the file is empty"]);
    check("  // nothing\n", &["error[E0101]: the file is empty"]);
    check("Scenario(\n", &["the file ends too early"]);
    let half = &UNIFORM[..UNIFORM.len() / 2];
    check(half, &["E0101"]);
    uniform(&[("count: 2),", "count: 2,")], &["expected the name of a field or `)`, found `(`"]);
    uniform(
        &[("count: 2, device", "count: 2 device")],
        &["\
7 |             (name: \"old\", design: \"pcie8-dual-root\", count: 2 device: \"p100-pcie-16\", nic: \"edr\"),
  |             - this bracket is open                           ^ a comma is missing here"],
    );
    uniform(&[("\"What", "“What")], &["write text between straight quotes"]);
    uniform(&[("What do P100 cost?\"", "What do P100 cost?")], &["E0101"]);
    check("\u{feff}(", &["the file ends too early"]);
    check(&format!("{UNIFORM}\n)"), &["expected the end of the file, found `)`"]);
}

#[test]
fn deep_nesting_is_one_message() {
    for bracket in ["(", "[", "{", "Some("] {
        check(&bracket.repeat(10_000_000), &["E010"]);
    }
    check(&"(".repeat(10_000_000), &["error[E0102]: values are nested deeper than 128 levels"]);
    check(&"/*".repeat(5_000_000), &["a comment is not closed"]);
    check(&"(a: ".repeat(100), &["the file ends too early"]);
}

#[test]
fn a_long_line_is_shown_in_part() {
    let text = changed(UNIFORM, &[("(design", &format!("{}(design", " ".repeat(1_000_000)))]);
    let text = text.replace("count: 2)", "cuont: 2)");
    let shown = rejected(&text).render(false);
    assert!(shown.len() < 2_000, "{}", shown.len());
}

#[test]
fn names_of_fields_and_values() {
    uniform(
        &[("count: 2)", "cuont: 2)")],
        &["\
error[E0201]: unknown field `cuont` in `cluster.groups[0]`
 --> test.ron:6:35
  |
6 |             (design: \"dgx1-v100\", cuont: 2),
  |                                   ^^^^^ did you mean `count`?
  |
  = help: the fields are `name`, `design`, `count`, `device`, `nic` and `scale`"],
    );
    uniform(
        &[("precision: Fp16", "precision: Fp61")],
        &["unknown value `Fp61` for `training.precision`"],
    );
    uniform(&[("plan:", "fidelity: Pairwize, plan:")], &["^ did you mean `Pairwise`?"]);
    uniform(&[("precision: Fp16", "precision: \"fp16\"")], &["^ write `Fp16`, without quotes"]);
    uniform(&[("\"p100-pcie-16\"", "p100")], &["^ write `\"p100\"`"]);
    uniform(&[(", precision: Fp16", "")], &["missing field `precision` in `training`"]);
    uniform(
        &[("tp: 8", "tp: 8, dp: 2")],
        &["field `dp` is given more than once in `plan.Uniform`"],
    );
    uniform(&[("Scenario(", "Scenery(")], &["unknown name `Scenery`"]);
    uniform(&[("Uniform(", "Unifrom(")], &["^ did you mean `Uniform`?"]);
    uniform(
        &[("plan: Uniform(dp: 2, tp: 8, pp: 2, micro_batch_size: 1),", "")],
        &["missing field `plan`"],
    );
    uniform(
        &[("(global_batch: 256, sequence_length: 512, precision: Fp16)", "3")],
        &["`training`: expected fields in parentheses"],
    );
}

#[test]
fn quantities_and_numbers() {
    uniform(
        &[("Gbps(100)", "100")],
        &["\
error[E0206]: `port`: expected a rate with its unit, found `100`
 --> test.ron:9:48
  |
9 |         fabric: (technology: InfiniBand, port: 100, oversubscription: 2.0),
  |                                                ^^^ write `Gbps(100)`
  |
  = help: a rate is written in `Bps`, `MBps`, `GBps`, `TBps`, `Mbps`, `Gbps` or `Tbps`"],
    );
    uniform(&[("Gbps(100)", "100gbps")], &["^ write `Gbps(100)`"]);
    uniform(&[("Gbps(100)", "Gbp(100)")], &["error[E0206]: unknown unit `Gbp`"]);
    uniform(&[("Gbps(100)", "Gbps(-1)")], &["a quantity cannot be negative, found -1"]);
    uniform(&[("Gbps(100)", "Gbps(NaN)")], &["a quantity must be a finite number"]);
    uniform(&[("Gbps(100)", "Gbps(100, 200)")], &["a unit takes one number"]);
    uniform(&[("Gbps(100)", "Gbps")], &["^^^^ expected `Gbps(1)`"]);
    uniform(&[("Gbps(100)", "Gbps(0)")], &["a switch port needs a rate of at least 125 B/s"]);
    uniform(&[("count: 2)", "count: 2.5)")], &["^^^ not a whole number"]);
    uniform(&[("count: 2)", "count: -2)")], &["^^ a count cannot be negative"]);
    uniform(&[("count: 2)", "count: 2e3)")], &["^^^ not a whole number"]);
    uniform(&[("count: 2)", "count: 99999999999)")], &["^^^^^^^^^^^ too large"]);
    uniform(
        &[("count: 2)", "count: 0)")],
        &["`cluster.groups[0].count` is 0, expected 1 to 200000"],
    );
    uniform(&[("count: 2)", "count: 200001)")], &["^^^^^^ too large"]);
    uniform(
        &[("count: 2)", "count: 2, scale: (compute: 0, memory: 2))")],
        &["`cluster.groups[0].scale.compute` is 0, expected 0.001 to 1000"],
    );
    uniform(
        &[("nic: \"edr\"", "nic: \"edr\", scale: (card_links: 2)")],
        &["^ nothing to multiply"],
    );
    uniform(
        &[("count: 2)", "count: 200000)"), ("count: 2,", "count: 200000,")],
        &["the cluster has 400000 nodes, expected 1 to 200000", "the cluster has 3200000 cards"],
    );
    uniform(&[("tion: 2.0", "tion: NaN")], &["`cluster.fabric.oversubscription` is NaN"]);
    uniform(&[("tion: 2.0", "tion: 0.5")], &["expected 1.0 or more"]);
    uniform(&[("tion: 2.0", "tion: inf")], &["is inf, expected 1.0 or more"]);
    uniform(
        &[("plan:", "noise: (kernel_jitter: NaN, card_spread: -0.5), iterations: 0, plan:")],
        &["`noise.kernel_jitter` is NaN", "`noise.card_spread` is -0.5", "`iterations` is 0"],
    );
    uniform(&[("dp: 2", "dp: 4294967295")], &["`plan.dp` is 4294967295"]);
    uniform(
        &[("question", "published: [(what: \"MFU\", value: Mfu(NaN), source: \"x\")], question")],
        &["a published figure must be"],
    );
    for field in ["gradient_bytes", "reduce_bytes"] {
        let bytes = format!("precision: Fp16, {field}: 3");
        let message = format!("`training.{field}` is 3, expected 2 or 4");
        uniform(&[("precision: Fp16", &bytes)], &[&message]);
    }
}

#[test]
fn catalogue_names() {
    uniform(
        &[("\"p100-pcie-16\"", "\"p100-pcie\"")],
        &["\
error[E0401]: unknown device \"p100-pcie\"
 --> test.ron:7:72
  |
7 |             (name: \"old\", design: \"pcie8-dual-root\", count: 2, device: \"p100-pcie\", nic: \"edr\"),
  |                                                                        ^^^^^^^^^^^ did you mean \"p100-pcie-12\"?
  |
  = help: `motley catalog` lists every device"],
    );
    uniform(&[("dgx1-v100", "dgx1v100")], &["did you mean \"dgx1-v100\"?"]);
    uniform(&[("\"edr\"", "\"zzz\"")], &["^^^^^ not in the catalogue"]);
    uniform(&[("bert-large", "bert-larg")], &["did you mean \"bert-large\"?"]);
    uniform(
        &[("dgx1-v100", "x"), ("\"edr\"", "\"y\""), ("bert-large", "z")],
        &["unknown node design \"x\"", "unknown nic \"y\"", "unknown model preset \"z\""],
    );
}

#[test]
fn fabrics_by_name() {
    const WRITTEN: &str = "(technology: InfiniBand, port: Gbps(100), oversubscription: 2.0)";
    let fabric = |text: &str, expected: &[&str]| uniform(&[(WRITTEN, text)], expected);
    fabric(
        "Preset(\"hpn\")",
        &["\
error[E0401]: unknown fabric \"hpn\"
 --> test.ron:9:24
  |
9 |         fabric: Preset(\"hpn\"),
  |                        ^^^^^ did you mean \"hpn7\"?
  |
  = help: `motley catalog` lists every fabric"],
    );
    fabric(
        "Prezet(\"hpn7\")",
        &["\
error[E0202]: `cluster.fabric`: expected `Preset` before the bracket, found `Prezet`
 --> test.ron:9:17
  |
9 |         fabric: Prezet(\"hpn7\"),
  |                 ^^^^^^^^^^^^^^ write `Preset(\"hpn7\")`"],
    );
    fabric("(\"superpod\")", &["expected `Preset` before the bracket, found no name"]);
    fabric(
        "Preset(technology: InfiniBand)",
        &["expected no name before the bracket, found `Preset`"],
    );
    fabric("Preset(\"meta24k\")", &["NIC `edr` speaks InfiniBand, the fabric RoCE"]);
    // Each beside another mistake, which it does not hide.
    let other = ["expected `Preset(\"name\")`, or a fabric in parentheses", "unknown value `Fp61`"];
    for text in ["\"superpod\"", "superpod", "Preset", "Preset()", "7", "[]"] {
        uniform(&[(WRITTEN, text), ("Fp16", "Fp61")], &other);
    }
    uniform(
        &[(WRITTEN, "(tecnology: InfiniBand)"), ("count: 2)", "count: 2.5)")],
        &["not a whole number", "unknown field `tecnology` in `cluster.fabric`"],
    );
    uniform(
        &[("technology: InfiniBand, ", "")],
        &["missing field `technology` in `cluster.fabric`"],
    );
}

#[test]
fn parts_that_do_not_fit_together() {
    uniform(
        &[("technology: InfiniBand", "technology: RoCE")],
        &["NIC `edr` speaks InfiniBand, the fabric RoCE"],
    );
    explicit(&[("count: 1", "count: 2")], &["add `fabric: (technology: InfiniBand)`"]);
    uniform(&[("groups: [", "groups: [], old: [")], &["unknown field `old`"]);
    uniform(
        &[("(design: \"dgx1", "(name: \"old\", design: \"dgx1")],
        &["two groups are called \"old\""],
    );
    uniform(&[("sequence_length: 512", "sequence_length: 513")], &["^^^ expected at most 512"]);
    let shape = |rest: &str| {
        format!("Shape(name: \"mine\", layers: 24, vocab: 9, positions: Rotary, {rest})")
    };
    let preset = "Preset(\"bert-large\")";
    uniform(
        &[(preset, &shape("hidden: 1000, heads: 16"))],
        &["hidden 1000 is not a multiple of heads 16"],
    );
    uniform(
        &[(preset, &shape("hidden: 1024, heads: 16, kv_heads: 3"))],
        &["kv_heads must divide heads"],
    );
    uniform(&[(preset, &shape("hidden: 0, heads: 16"))], &["`hidden` is 0"]);
}

#[test]
fn plans_that_cannot_run() {
    uniform(
        &[("pp: 2", "pp: 4")],
        &["dp 2 x tp 8 x pp 4 = 64 ranks, but the cluster has 32 cards"],
    );
    uniform(&[("global_batch: 256", "global_batch: 257")], &["do not divide over dp 2"]);
    uniform(
        &[("precision: Fp16", "precision: Bf16")],
        &["error[E0404]: v100", "error[E0404]: p100"],
    );
    uniform(&[("micro_batch_size: 1", "micro_batch_size: 0")], &["`plan.micro_batch_size` is 0"]);
    let wide = ("dp: 2, tp: 8, pp: 2", "dp: 1, tp: 32, pp: 1");
    uniform(&[wide], &["heads 16 cannot be split over tensor_parallel 32"]);
    explicit(
        &[("14..24", "15..24")],
        &["\
9 |                 (gpus: [2], layers: 15..24, recompute: Selective),
  |                                     ^^^^^^"],
    );
    explicit(&[("[3..6, 7]", "[3..6, 1]")], &["GPU 1 is already used by stage 0 of pipeline 0"]);
    explicit(&[("[3..6, 7]", "[3..6, 8]")], &["GPU 8 does not exist; the cluster has GPUs 0 to 7"]);
    explicit(&[("[3..6, 7]", "5..3")], &["the range 5..3 holds no card"]);
    explicit(&[("0..14", "0..=13")], &["ranges exclude their end: found `..=`"]);
    explicit(&[("0..14", "14")], &["`layers`: expected a range of layers"]);
    explicit(
        &[("0..14", "[0, 14]")],
        &["`layers`: expected a range of layers", "expected a range of layers"],
    );
    explicit(&[("gpus: 0..2", "gpus: [a]")], &["expected the number of a card"]);
    explicit(&[("gpus: 0..2", "gpus: 0..4294967295")], &["uses more than 2097152 cards"]);
    explicit(
        &[("micro_batches: 4,", "micro_batches: 4, repeat: (count: 9, stride: 4294967295),")],
        &["copy 1 begins beyond card 2097152"],
    );
    explicit(
        &[("micro_batches: 4,", "repeat: (count: 2, stride: 0), micro_batches: 2,")],
        &["GPU 3 is already used by stage 0 of pipeline 1"],
    );
    explicit(
        &[("pipelines:", "schedule: Interleaved(chunks: 2), pipelines:")],
        &["1 ranges of layers, expected 2"; 3],
    );
}

#[test]
fn schedules_that_cannot_run() {
    let schedule = |schedule: &'static str, more: &[(&str, &str)], expected: &[&str]| {
        let written = format!("pp: 2, schedule: {schedule}");
        uniform(&[&[("pp: 2", written.as_str())], more].concat(), expected);
    };
    schedule("Interleaved(chunks: 0)", &[], &["`plan.schedule.chunks` is 0"]);
    schedule("Interleaved", &[], &["`schedule`: expected opening `(`"]);
    schedule(
        "Interleaved(chunks: 2)",
        &[("global_batch: 256", "global_batch: 250")],
        &["the interleaved schedule needs a multiple of the 2 stages, found 125 micro-batches"],
    );
    schedule("ZeroBubble", &[], &["`schedule`: expected opening `(`"]);
    schedule("ZeroBubble()", &[], &["missing field `order`"]);
    schedule("ZeroBubble(order: H3)", &[], &["unknown value `H3`"]);
    schedule("ZeroBubble(order: H1, optimizer_step: Sync)", &[], &["unknown value `Sync`"]);
    schedule(
        "ZeroBubble(order: H1, activations: Stages(1))",
        &[],
        &["the order H1 holds what it holds, whatever the limit"],
    );
    for limit in ["0", "-1", "1e9", "inf"] {
        let written =
            format!("pp: 2, schedule: ZeroBubble(order: V, activations: Stages({limit}))");
        uniform(&[("pp: 2", &written)], &["expected a number above 0"]);
    }
    schedule("DualPipe(chunks: 2)", &[], &["more than fits here"]);
    let three = [("dp: 2, tp: 8", "dp: 4, tp: 2"), ("count: 2)", "count: 1)"), ("pp: 2", "pp: 3")];
    schedule("DualPipe", &[three[0], three[1], three[2]], &["an even number of stages, found 3"]);
    schedule(
        "DualPipe",
        &[("global_batch: 256", "global_batch: 250")],
        &["an even number of micro-batches, found 125"],
    );
    for name in ["DualPipe", "DualPipeV"] {
        let written = format!("pp: 2, schedule: {name}");
        uniform(
            &[("pp: 2", &written), ("global_batch: 256", "global_batch: 4")],
            &["over 2 stages needs at least 4 micro-batches, found 2"],
        );
    }
    schedule(
        "ZeroBubble(order: V), layers: Counts([12, 12])",
        &[],
        &["2 layer counts for 4 virtual stages"],
    );
    // A V needs two ranges of layers in each stage, in their order.
    let vee = ("pipelines:", "schedule: DualPipeV, pipelines:");
    explicit(&[vee], &["1 model chunks, but DualPipeV takes 2 a stage"; 2]);
    explicit(
        &[
            ("pipelines:", "schedule: ZeroBubble(order: H1), pipelines:"),
            ("0..14", "[0..7, 7..14]"),
            ("14..24", "[14..20, 20..24]"),
        ],
        &["2 model chunks, but ZB-H1 takes 1 a stage"],
    );
    let down_and_up = [
        ("pipelines:", "schedule: ZeroBubble(order: V), pipelines:"),
        ("layers: 0..14", "layers: [0..7, 14..24]"),
        ("layers: 14..24", "layers: [7..10, 10..14]"),
        ("layers: 0..24", "layers: [0..12, 12..24]"),
    ];
    load_text("test.ron", &changed(EXPLICIT, &down_and_up), &[]).unwrap();
    let mut round_and_round = down_and_up;
    round_and_round[1].1 = "layers: [0..7, 10..14]";
    round_and_round[2].1 = "layers: [7..10, 14..24]";
    explicit(&round_and_round, &["layers"]);
}

#[test]
fn several_at_once() {
    uniform(
        &[("count: 2)", "cuont: -2)"), ("Gbps(100)", "100"), ("Fp16", "Fp61"), ("tp: 8, ", "")],
        &[
            "unknown field `cuont`",
            "a count cannot be negative",
            "expected a rate with its unit, found `100`",
            "unknown value `Fp61`",
            "missing field `tp`",
        ],
    );
    uniform(
        &[("count: 2)", "count: 0)"), ("bert-large", "bert"), ("256", "0"), ("dp: 2", "dp: 0")],
        &["`cluster.groups[0].count` is 0", "unknown model preset", "global_batch", "`plan.dp`"],
    );
    let missing = ["cluster", "model", "training", "plan"].map(|f| format!("missing field `{f}`"));
    check("()", &missing.each_ref().map(String::as_str));
}

/// Columns are counted in characters, whatever the line ends, tabs and letters before.
#[test]
fn columns() {
    uniform(&[("count: 2)", "cuont: 2)")], &["test.ron:6:35"]);
    let windows = UNIFORM.replace("count: 2)", "cuont: 2)").replace('\n', "\r\n");
    check(&windows, &["test.ron:6:35"]);
    let tabs = UNIFORM
        .replace("            (design: \"dgx1-v100\", count", "\t(design: \"dgx1-v100\", cuont");
    check(&tabs, &["test.ron:6:24"]);
    let letters = "(name: \"日本語é\", design: \"dgx1-v100\", cuont";
    uniform(&[("(design: \"dgx1-v100\", count", letters)], &["test.ron:6:49"]);
}

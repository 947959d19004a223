//! Numbers that nobody means: every scenario either runs or is refused in words.

use motley::load_text;
use proptest::prelude::*;
use proptest::sample::select;

use crate::setup::{DEEP, Setup, report};

/// Two nodes, a small model with experts.
const BANK: &str = r#"Stack(name: "bank", embedding: Tokens(vocab: 256, hidden: 512), layers: [
    (repeat: 4, layers: [Transformer(
        attention: (heads: 8, positions: Rotary, projections: Grouped(kv_heads: 4, head_dim: 64)),
        norm: RmsNorm,
        feed_forward: Experts(experts: 16, top_k: 2, expert: (ffn: 256), shared: (ffn: 512)))]),
], head: Language(norm: RmsNorm))"#;

const UNIFORM: &str = "Uniform(dp: 4, tp: 2, cp: 2, pp: 1, ep: 4, etp: 2, micro_batch_size: 1, \
    sequence_parallel: true, zero: (stage: 3, group: 2, prefetch: 1))";

const EXPLICIT: &str = "Explicit(sequence_parallel: true, zero: (stage: 3, group: 2, prefetch: 1),
    pipelines: [(micro_batches: 4, micro_batch_size: 2, repeat: (count: 4, stride: 4),
        stages: [(gpus: 0..4, layers: 0..4, cp: 2, ep: 4, etp: 2)])])";

/// What can be set in the shorthand, in the plan that is written out, and in both.
const OF_UNIFORM: [&str; 9] = [
    "plan.dp",
    "plan.tp",
    "plan.cp",
    "plan.pp",
    "plan.ep",
    "plan.etp",
    "plan.micro_batch_size",
    "plan.schedule",
    "plan.context_exchange",
];
const OF_EXPLICIT: [&str; 8] = [
    "plan.pipelines[0].micro_batches",
    "plan.pipelines[0].micro_batch_size",
    "plan.pipelines[0].repeat.count",
    "plan.pipelines[0].repeat.stride",
    "plan.pipelines[0].stages[0].gpus",
    "plan.pipelines[0].stages[0].cp",
    "plan.pipelines[0].stages[0].ep",
    "plan.pipelines[0].stages[0].etp",
];
const OF_BOTH: [&str; 8] = [
    "plan.zero.stage",
    "plan.zero.group",
    "plan.zero.prefetch",
    "plan.zero.shares",
    "training.sequence_length",
    "training.global_batch",
    "training.expert_load.imbalance",
    "training.expert_load.capacity",
];

const NUMBERS: [&str; 16] = [
    "0",
    "1",
    "2",
    "3",
    "4",
    "7",
    "8",
    "16",
    "64",
    "4096",
    "65535",
    "2097152",
    "16777216",
    "2147483648",
    "4294967295",
    "18446744073709551616",
];
const OTHERS: [&str; 12] = [
    "-1",
    "0.5",
    "NaN",
    "inf",
    "1e300",
    "None",
    "0..0",
    "0..2097152",
    "[0..2, 2..4]",
    "AllToAll",
    "Memory",
    "Padded(1e300)",
];

fn settings(of_plan: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    let path = prop_oneof![select(of_plan), select(&OF_BOTH[..])];
    let value = prop_oneof![4 => select(&NUMBERS[..]), 1 => select(&OTHERS[..])];
    let setting = (path, value).prop_map(|(path, value)| format!("{path}={value}"));
    prop::collection::vec(setting, 1..4)
}

/// Whether the scenario runs.
fn check(plan: &str, settings: &[String]) -> bool {
    let setup = Setup {
        groups: r#"(design: "dgx-a100", count: 2)"#,
        model: BANK,
        training: "global_batch: 32, sequence_length: 512, precision: Bf16, expert_load: ()",
        plan,
        ..DEEP
    };
    match load_text("test.ron", &setup.text(), settings) {
        Ok(scenario) => {
            let report = report(&scenario);
            assert!(report.iteration_time.mean.as_secs_f64() > 0.0);
            true
        }
        Err(rejected) => {
            let words = rejected.to_string();
            assert!(words.contains("error[E"), "{settings:?}: {words}");
            false
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn shorthands(settings in settings(&OF_UNIFORM)) {
        check(UNIFORM, &settings);
    }

    #[test]
    fn written_out(settings in settings(&OF_EXPLICIT)) {
        check(EXPLICIT, &settings);
    }
}

#[test]
fn as_they_are() {
    for plan in [UNIFORM, EXPLICIT] {
        assert!(check(plan, &[]), "{plan}");
        for setting in ["plan.zero.prefetch=1000", "training.sequence_length=4096"] {
            assert!(check(plan, &[setting.to_owned()]), "{setting}");
        }
    }
}

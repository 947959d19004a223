//! What links do to a job.

use motley::Scenario;
use motley_hardware::Cited;

use crate::setup::{DEEP, Setup, near, report, seconds};

/// Jobs with tensor parallelism over a whole node.
const TENSOR_PARALLEL: [(&str, &str); 4] = [
    ("global_batch: 8, sequence_length: 4096", "tp: 8, pp: 1, micro_batch_size: 1"),
    (
        "global_batch: 16, sequence_length: 4096",
        "tp: 8, pp: 1, micro_batch_size: 4, sequence_parallel: true",
    ),
    (
        "global_batch: 8, sequence_length: 512",
        "tp: 8, pp: 1, micro_batch_size: 1, overlap_weight_gradient: false",
    ),
    (
        "global_batch: 8, sequence_length: 2048",
        "tp: 4, pp: 2, micro_batch_size: 1, recompute: Full",
    ),
];

/// The card with its NVLink cut is never faster than the one it was made from, and slower where
/// tensor parallelism sends large messages.
fn check_cut(original: &str, cut: &str) {
    let mut losses = Vec::new();
    for (training, plan) in TENSOR_PARALLEL {
        let training = format!("{training}, precision: Bf16");
        let plan = format!("Uniform(dp: 1, {plan})");
        let time = |design: &str| {
            let groups = format!("(design: \"{design}\", count: 1)");
            Setup { groups: &groups, training: &training, plan: &plan, ..DEEP }.seconds()
        };
        let (whole, less) = (time(original), time(cut));
        assert!(less >= whole, "{plan}: {cut} {less} s, {original} {whole} s");
        losses.push(less / whole - 1.0);
    }
    assert!(losses.iter().any(|&loss| loss > 0.02), "{cut}: {losses:?}");
}

#[test]
fn cut_nvlink_costs_tensor_parallelism() {
    check_cut("dgx-a100", "hgx-a800");
    check_cut("dgx-h100", "hgx-h800");
}

/// The scenario on nodes that have only every `step`-th of their NICs.
fn with_every(step: u32, scenario: &Scenario) -> Scenario {
    let mut fewer = scenario.clone();
    for group in &mut fewer.cluster.groups {
        let mut layout = group.design.pcie.get().clone();
        for switch in &mut layout.switches {
            switch.nics.retain(|nic| nic.is_multiple_of(step));
            switch.nics.iter_mut().for_each(|nic| *nic /= step);
        }
        group.design.pcie = Cited::Assumed(layout, "fewer NICs".to_owned());
    }
    fewer
}

/// Eight tensor-parallel ranks average their gradients with those of another node in eight rings at
/// the same time. Over one NIC each gets an eighth of it.
#[test]
fn gradient_rings_of_a_node_share_its_nics() {
    let scenario = Setup {
        groups: r#"(design: "dgx-a100", count: 2)"#,
        training: "global_batch: 2, sequence_length: 2048, precision: Bf16",
        plan: "Uniform(dp: 2, tp: 8, pp: 1, micro_batch_size: 1)",
        ..DEEP
    }
    .scenario();
    let exposed = |step: u32| {
        let report = report(&with_every(step, &scenario));
        report.breakdown.exposed_data_parallel.as_secs_f64()
    };
    let all = exposed(1);
    for step in [2, 4, 8] {
        let what = format!("every {step}th NIC against all");
        near(exposed(step) / all, f64::from(step), 0.05, &what);
    }
}

/// An oversubscribed fabric slows what crosses it and nothing else.
#[test]
fn oversubscription_slows_what_crosses_the_spine() {
    let time = |shape: &str, oversubscription: f64| {
        let shape = format!("{shape}, oversubscription: {oversubscription:?}");
        Setup {
            groups: r#"(design: "dgx-a100", count: 4)"#,
            shape: &shape,
            training: "global_batch: 32, sequence_length: 2048, precision: Bf16",
            plan: "Uniform(dp: 32, tp: 1, pp: 1, micro_batch_size: 1)",
            ..DEEP
        }
        .seconds()
    };
    let one_leaf = "LeafSpine(nodes_per_leaf: 4, spines: 4)";
    let two_leaves = "LeafSpine(nodes_per_leaf: 2, spines: 4)";
    near(time(one_leaf, 8.0), time(one_leaf, 1.0), 1e-12, "one leaf");
    let (full, eighth) = (time(two_leaves, 1.0), time(two_leaves, 8.0));
    assert!(eighth > 1.05 * full, "{full} s, {eighth} s");
    near(full, time("SingleSwitch", 1.0), 0.01, "without oversubscription");
}

/// The same cards on a slower network take longer, in a job that uses it.
#[test]
fn a_slower_network_is_slower() {
    let time = |nic: &str| {
        let groups = format!("(design: \"dgx1-v100\", count: 2, nic: \"{nic}\")");
        let text = Setup {
            groups: &groups,
            training: "global_batch: 16, sequence_length: 512, precision: Fp16",
            plan: "Uniform(dp: 16, tp: 1, pp: 1, micro_batch_size: 1)",
            model: r#"Preset("bert-large")"#,
            ..DEEP
        }
        .text();
        seconds(&report(&crate::setup::scenario(&text.replace("InfiniBand", "Ethernet"))))
    };
    let [ten, twenty_five, fifty, hundred] = ["eth-10", "eth-25", "eth-50", "eth-100"].map(time);
    assert!(ten > twenty_five && twenty_five > fifty && fifty > hundred);
}

//! How the iteration time follows the work and the machine.

use motley::Scenario;
use motley_hardware::Cited;

use crate::setup::{BERT, DEEP, HEADLESS, Setup, near, report, seconds};

/// A machine that does all at twice the rate; latencies and launches stay.
fn twice_as_fast(scenario: &Scenario) -> Scenario {
    fn twice<T: Clone>(cited: &mut Cited<T>, double: impl Fn(&mut T)) {
        let mut value = cited.get().clone();
        double(&mut value);
        *cited = Cited::Assumed(value, "twice the original".to_owned());
    }
    let mut faster = scenario.clone();
    for group in &mut faster.cluster.groups {
        let device = &mut group.device;
        let peaks = &mut device.peaks;
        for peak in [
            &mut peaks.fp32,
            &mut peaks.tf32,
            &mut peaks.fp16_vector,
            &mut peaks.fp16_tensor,
            &mut peaks.bf16_tensor,
            &mut peaks.fp8_tensor,
            &mut peaks.mxfp8_tensor,
            &mut peaks.fp4_tensor,
        ]
        .into_iter()
        .flatten()
        {
            twice(peak, |rate| rate.0 *= 2.0);
        }
        twice(&mut device.memory_bandwidth, |rate| rate.0 *= 2.0);
        twice(&mut device.boost_clock, |rate| rate.0 *= 2.0);
        // Or its power limit would hold the clock down.
        twice(&mut device.tdp, |power| power.0 *= 2.0);
        if let Some(nvlink) = &mut device.nvlink {
            twice(&mut nvlink.per_link, |rate| rate.0 *= 2.0);
        }
        // The next generation of PCI Express is twice as fast.
        device.pcie.generation += 1;
        twice(&mut group.design.pcie, |layout| {
            layout.generation += 1;
            layout.socket_link.0 *= 2.0;
        });
        twice(&mut group.nic.rate, |rate| rate.0 *= 2.0);
    }
    if let Some(port) = &mut faster.cluster.fabric.port {
        port.0 *= 2.0;
    }
    faster
}

/// Jobs of large kernels and large messages, in which launches and latencies are small.
const LARGE: [Setup; 4] = [
    DEEP,
    Setup {
        training: "global_batch: 32, sequence_length: 8192, precision: Bf16",
        plan: "Uniform(dp: 8, tp: 1, pp: 1, micro_batch_size: 4)",
        ..DEEP
    },
    Setup {
        groups: r#"(design: "dgx-a100", count: 4)"#,
        training: "global_batch: 16, sequence_length: 8192, precision: Fp16, attention: Unfused",
        plan: "Uniform(dp: 8, tp: 1, pp: 4, micro_batch_size: 1)",
        ..DEEP
    },
    Setup {
        groups: r#"(design: "dgx1-v100", count: 1), (design: "dgx1-p100", count: 1)"#,
        training: "global_batch: 256, sequence_length: 512, precision: Fp16, attention: Unfused",
        plan: "Uniform(dp: 16, tp: 1, pp: 1, micro_batch_size: 16)",
        ..BERT
    },
];

#[test]
fn a_machine_twice_as_fast_takes_half_the_time() {
    for job in LARGE {
        let scenario = job.scenario();
        let (slow, fast) =
            (seconds(&report(&scenario)), seconds(&report(&twice_as_fast(&scenario))));
        let ratio = fast / slow;
        assert!((0.5..0.53).contains(&ratio), "{}: {slow} s -> {fast} s, {ratio}", job.plan);
    }
}

/// Small kernels and messages gain less, never more, and never lose.
#[test]
fn a_machine_twice_as_fast_is_never_slower() {
    for plan in [
        "Uniform(dp: 2, tp: 8, pp: 1, micro_batch_size: 1)",
        "Uniform(dp: 2, tp: 4, pp: 2, micro_batch_size: 1, schedule: Interleaved(chunks: 2))",
        "Uniform(dp: 16, tp: 1, pp: 1, micro_batch_size: 1, \
         gradient_sync: Overlapped(bucket: MiB(1)))",
    ] {
        let scenario = Setup { plan, ..BERT }.scenario();
        let (slow, fast) =
            (seconds(&report(&scenario)), seconds(&report(&twice_as_fast(&scenario))));
        assert!((0.5..1.0).contains(&(fast / slow)), "{plan}: {slow} s -> {fast} s");
    }
}

/// Once a pipeline is full, each further micro-batch costs the same.
#[test]
fn time_is_linear_in_micro_batches() {
    for (plan, training) in [
        ("dp: 1, tp: 1, pp: 8", "sequence_length: 4096, precision: Bf16"),
        ("dp: 1, tp: 1, pp: 8, schedule: GPipe", "sequence_length: 4096, precision: Bf16"),
        (
            "dp: 1, tp: 1, pp: 8, schedule: Interleaved(chunks: 2)",
            "sequence_length: 4096, precision: Bf16",
        ),
        ("dp: 2, tp: 2, pp: 2", "sequence_length: 1024, precision: Fp16, attention: Unfused"),
        ("dp: 1, tp: 8, pp: 1", "sequence_length: 2048, precision: Bf16"),
    ] {
        let time = |batch: u32| {
            let training = format!("global_batch: {batch}, {training}");
            let plan = format!("Uniform({plan}, micro_batch_size: 1)");
            Setup { training: &training, plan: &plan, ..DEEP }.seconds()
        };
        let [one, two, four] = [16, 32, 64].map(time);
        near(four - two, 2.0 * (two - one), 0.01, plan);
        assert!(two < 2.0 * one, "{plan}");
    }
}

/// Twice the layers on twice the stages at the same micro-batches: the stages are as long, and
/// only filling and draining the pipeline takes longer.
#[test]
fn more_stages_for_more_layers_cost_their_bubble_only() {
    let time = |stages: u32| {
        let model = HEADLESS.replace("layers: 16", &format!("layers: {}", 2 * stages));
        let plan = format!(
            "Explicit(pipelines: [(micro_batches: 32, micro_batch_size: 1, stages: [{}])])",
            (0..stages)
                .map(|s| format!("(gpus: [{s}], layers: {}..{})", 2 * s, 2 * s + 2))
                .collect::<Vec<_>>()
                .join(", ")
        );
        Setup {
            model: &model,
            training: "global_batch: 32, sequence_length: 8192, precision: Bf16, optimizer: Sgd",
            plan: &plan,
            ..DEEP
        }
        .seconds()
    };
    near(time(8) / time(4), (32.0 + 7.0) / (32.0 + 3.0), 0.01, "8 against 4 stages");
    near(time(4) / time(2), (32.0 + 3.0) / (32.0 + 1.0), 0.01, "4 against 2 stages");
}

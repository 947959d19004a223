//! Kernel times against measured kernels, and laws that hold for any card.

use motley_hardware::{Architecture, Catalog, Cited, Device};
use motley_units::{Bytes, BytesPerSec, FlopsPerSec};
use motley_workload::{
    AttentionKernel, Deferral, FlashAttention, Fp8Recipe, GroupedGemm, KernelModel, Operands,
    Operator, Pass, Precision, Preset, Shard, Training, Work, blocks, card_path, optimizer_step,
};
use proptest::prelude::*;

fn card(id: &str) -> (&'static Device, &'static Architecture) {
    let device = Catalog::builtin().device(id).expect("in the catalogue");
    (device, Catalog::builtin().architecture(&device.architecture).expect("in the catalogue"))
}

fn training(precision: Precision) -> Training {
    Training {
        precision,
        fallback: Some(Precision::Fp16),
        attention: AttentionKernel::Flash,
        ..crate::common::training(1024)
    }
}

fn op(work: Work) -> Operator {
    Operator { name: "kernel", work, operands: Operands::Stored, deferral: Deferral::None }
}

fn gemm(m: u64, n: u64, k: u64, batch: u64) -> Operator {
    op(Work::Gemm { m, n, k, batch })
}

fn seconds(
    device: &Device,
    architecture: &Architecture,
    precision: Precision,
    op: &Operator,
) -> f64 {
    let path = card_path(device, architecture, &training(precision)).expect("the card runs it");
    KernelModel::new(device, architecture, path).time(op).0
}

/// FlashAttention 2 on an H100, whose newest is version 3: TFLOP/s forward, 16,384 tokens, heads of
/// 128 under a causal mask (figures of github.com/Dao-AILab/flash-attention); and what a version that
/// the card has no constants for comes to.
#[test]
fn software_without_the_newest_attention_runs_an_earlier_one() {
    let (device, architecture) = card("h100-sxm");
    let rate = |newest: Option<u8>, sequence: u64| {
        let attention = FlashAttention {
            batch: 16384 / sequence,
            heads: 16,
            kv_heads: 16,
            queries: sequence,
            keys: sequence,
            key_dim: 128,
            value_dim: 128,
            visible: 0.5,
            pass: Pass::Forward,
        };
        let training = Training { flash_version: newest, ..training(Precision::Bf16) };
        let path = card_path(device, architecture, &training).unwrap();
        let time = KernelModel::new(device, architecture, path);
        // Scores and values, half of them masked.
        let flops = 4.0 * 16384.0 * 16.0 * 128.0 * sequence as f64 * 0.5;
        flops / time.time(&op(Work::FlashAttention(attention))).0 / 1e12
    };
    for (sequence, measured) in [(1024, 260.0), (2048, 298.0), (4096, 319.0), (16384, 335.0)] {
        let found = rate(Some(2), sequence) / architecture.sustained.get() / measured;
        assert!((0.85..1.15).contains(&found), "{sequence}: {found:.3}");
        assert!(rate(None, sequence) > 1.2 * rate(Some(2), sequence), "{sequence}");
    }
    assert_eq!(rate(None, 4096).to_bits(), rate(Some(3), 4096).to_bits());
    // Version 1 is taken to be half as fast; there is none before it.
    assert!((rate(Some(1), 4096) / rate(Some(2), 4096) - 0.5).abs() < 0.01);
    assert_eq!(rate(Some(0), 4096).to_bits(), rate(Some(1), 4096).to_bits());
}

/// Measured isolated kernels that no constant was fitted to, in microseconds: aiconfigurator
/// (A100, H100), DeepBench (V100, T4, P100). The model's sustained clock is taken out.
#[test]
fn measured_products_are_met() {
    use Precision::{Bf16, Fp16, Fp32};
    let measured = [
        ("a100-sxm-80", Bf16, (256, 4096, 12288), 121.5),
        ("a100-sxm-80", Bf16, (8192, 8192, 8192), 4188.5),
        ("a100-sxm-80", Bf16, (2048, 4096, 1024), 89.0),
        ("a100-sxm-80", Bf16, (16384, 16384, 5120), 11150.8),
        ("a100-sxm-80", Bf16, (4096, 12288, 1024), 437.7),
        ("h100-sxm", Bf16, (1024, 16384, 5120), 223.1),
        ("h100-sxm", Bf16, (2048, 5120, 5120), 138.7),
        ("h100-sxm", Bf16, (256, 16384, 2048), 34.6),
        ("h100-sxm", Bf16, (4096, 2048, 12288), 255.3),
        ("h100-sxm", Bf16, (64, 8192, 16384), 95.6),
        ("v100-sxm2-16", Fp16, (1024, 24000, 2816), 1349.0),
        ("v100-sxm2-16", Fp16, (512, 48000, 2816), 1402.0),
        ("v100-sxm2-16", Fp16, (1760, 7000, 1760), 485.0),
        ("v100-sxm2-16", Fp16, (4096, 7000, 4096), 2092.0),
        ("v100-sxm2-16", Fp32, (1024, 48000, 2560), 19612.0),
        ("v100-sxm2-16", Fp32, (512, 24000, 1530), 2902.0),
        ("v100-sxm2-16", Fp32, (5124, 9124, 2560), 18587.0),
        ("t4", Fp16, (7680, 24000, 2560), 23653.0),
        ("t4", Fp16, (3072, 48000, 1024), 8410.0),
        ("t4", Fp16, (5124, 9124, 2048), 4941.0),
        ("p100-pcie-16", Fp32, (5124, 9124, 2048), 22603.0),
        ("p100-pcie-16", Fp32, (3072, 24000, 1024), 16994.0),
        ("p100-pcie-16", Fp16, (1760, 7000, 1760), 5058.0),
        ("p100-pcie-16", Fp16, (512, 48000, 1530), 8404.0),
    ];
    let mut errors: Vec<f64> = Vec::new();
    for (id, precision, (m, n, k), microseconds) in measured {
        let (device, architecture) = card(id);
        let mut isolated = architecture.clone();
        isolated.sustained = Cited::Assumed(1.0, "isolated kernel".to_owned());
        let found = 1e6 * seconds(device, &isolated, precision, &gemm(m, n, k, 1));
        let error = (found / microseconds - 1.0).abs();
        assert!(error < 0.2, "{id} {precision:?} {m}x{n}x{k}: {found} us, not {microseconds}");
        errors.push(error);
    }
    errors.sort_by(f64::total_cmp);
    assert!(errors[errors.len() / 2] < 0.06, "median error {}", errors[errors.len() / 2]);
}

/// FlashAttention 2 on an A100 SXM, forward and backward together, TFLOP/s of 16k tokens at hidden
/// 2048 (figures of the FlashAttention repository).
#[test]
fn measured_attention_is_met() {
    let (device, architecture) = card("a100-sxm-80");
    let mut isolated = architecture.clone();
    isolated.sustained = Cited::Assumed(1.0, "isolated kernel".to_owned());
    let measured = [
        (512, 64, true, 88.0),
        (4096, 64, true, 156.0),
        (16384, 64, false, 176.0),
        (512, 128, false, 151.0),
        (2048, 128, true, 155.0),
        (16384, 128, true, 189.0),
    ];
    for (sequence, head_dim, causal, tflops) in measured {
        let kernel = |pass| {
            let heads = 2048 / head_dim;
            let batch = 16384 / sequence;
            op(Work::FlashAttention(FlashAttention {
                batch,
                heads,
                kv_heads: heads,
                queries: sequence,
                keys: sequence,
                key_dim: head_dim,
                value_dim: head_dim,
                visible: if causal { 0.5 } else { 1.0 },
                pass,
            }))
        };
        let (forward, backward) = (kernel(Pass::Forward), kernel(Pass::Backward));
        let time = |op: &Operator| seconds(device, &isolated, Precision::Bf16, op);
        let work = forward.work.flops().0 + backward.work.flops().0;
        let found = work / (time(&forward) + time(&backward)) / 1e12;
        assert!((found / tflops - 1.0).abs() < 0.15, "{sequence} {head_dim}: {found}");
    }
}

/// Products of many experts and attention with wide keys on an A100 PCIe, as shares of the peak
/// (SimuMax, configs/system/a100_pcie.json). Attention counts the full square.
#[test]
fn measured_kernels_of_experts_and_latent_attention_are_met() {
    let (device, architecture) = card("a100-pcie-80");
    let mut isolated = architecture.clone();
    isolated.sustained = Cited::Assumed(1.0, "isolated kernel".to_owned());
    let share = |op: &Operator, flops: f64| {
        flops / seconds(device, &isolated, Precision::Bf16, op) / 312e12
    };
    let mut errors: Vec<f64> = Vec::new();
    let mut meet = |what: String, found: f64, measured: f64, tolerance: f64| {
        let error = (measured / found - 1.0).abs();
        assert!(error < tolerance, "{what}: {found}, not {measured}");
        errors.push(error);
    };
    // Experts, rows of each, outputs, inputs; forward, input gradient, weight gradient.
    let products = [
        (40, 616.0, 3072.0, 5120.0, [0.6313, 0.6791, 0.5197]),
        (40, 616.0, 5120.0, 1536.0, [0.6293, 0.6582, 0.5198]),
        (20, 1232.0, 3072.0, 5120.0, [0.7074, 0.7039, 0.6036]),
        (20, 1232.0, 5120.0, 1536.0, [0.6755, 0.6572, 0.6372]),
    ];
    for (groups, rows, outputs, inputs, measured) in products {
        let shapes = [
            ((rows, outputs, inputs), None),
            ((rows, inputs, outputs), None),
            ((outputs, inputs, rows), Some(4)),
        ];
        for (((m, n, k), sum_bytes), measured) in shapes.into_iter().zip(measured) {
            let op = op(Work::GroupedGemm(GroupedGemm { m, n, k, groups, sum_bytes }));
            let found = share(&op, op.work.flops().0);
            meet(format!("{groups} x {m}x{n}x{k}"), found, measured, 0.21);
        }
    }
    for (heads, forward, backward) in
        [(128, 1.073, 0.8018), (64, 1.0544, 0.7943), (32, 1.0153, 0.7799), (16, 0.9159, 0.7521)]
    {
        for (pass, measured, products) in
            [(Pass::Forward, forward, 1.0), (Pass::Backward, backward, 2.5)]
        {
            let (queries, keys) = (4096, 4096);
            let op = op(Work::FlashAttention(FlashAttention {
                batch: 1,
                heads,
                kv_heads: heads,
                queries,
                keys,
                key_dim: 192,
                value_dim: 128,
                visible: 0.5,
                pass,
            }));
            let square = products * 2.0 * (192.0 + 128.0) * heads as f64 * 4096.0 * 4096.0;
            meet(format!("{heads} heads {pass:?}"), share(&op, square), measured, 0.19);
        }
    }
    errors.sort_by(f64::total_cmp);
    assert!(errors[errors.len() / 2] < 0.08, "median error {}", errors[errors.len() / 2]);
}

/// Many small experts cost more than few large ones of the same work, and cards that cannot run them
/// in one kernel pay for a launch each.
#[test]
fn small_experts_pay_for_tiles_and_launches() {
    let product = |groups: u64| {
        let m = 8192.0 / groups as f64;
        op(Work::GroupedGemm(GroupedGemm { m, n: 1536.0, k: 4096.0, groups, sum_bytes: None }))
    };
    for id in ["h100-sxm", "a100-sxm-80", "v100-sxm2-16"] {
        let (device, architecture) = card(id);
        let time = |groups| seconds(device, architecture, Precision::Fp16, &product(groups));
        assert!(time(256) > 1.3 * time(8), "{id}: {} {}", time(256), time(8));
    }
    let (device, architecture) = card("v100-sxm2-16");
    let one = seconds(device, architecture, Precision::Fp16, &gemm(512, 1536, 4096, 1));
    let many = seconds(device, architecture, Precision::Fp16, &product(16));
    assert!((many / (16.0 * one) - 1.0).abs() < 1e-12);
}

/// Everything that a step of every preset runs, on every card: never faster than the peak and the
/// memory allow.
#[test]
fn no_kernel_beats_the_card() {
    let shard = Shard::new(1, false, 2);
    for device in Catalog::builtin().devices.values() {
        let Some(architecture) = Catalog::builtin().architecture(&device.architecture) else {
            continue;
        };
        let fp8 = [Fp8Recipe::Delayed, Fp8Recipe::Current, Fp8Recipe::Block].map(Precision::Fp8);
        let wide = [Precision::Fp32, Precision::Tf32, Precision::Fp16, Precision::Bf16];
        let narrow = [Precision::Mxfp8, Precision::Nvfp4];
        for precision in wide.into_iter().chain(fp8).chain(narrow) {
            let Ok(path) = card_path(device, architecture, &training(precision)) else { continue };
            let kernels = KernelModel::new(device, architecture, path);
            let (peak, bandwidth) =
                (device.peak(path.math).unwrap().0, device.memory_bandwidth.get().0);
            for preset in Preset::all() {
                let model = preset.build();
                let mut training = training(precision);
                training.sequence_length =
                    training.sequence_length.filter(|_| model.tokens().is_some());
                let mut all = optimizer_step(&training, &path, 1e8, 1e8);
                for part in model.distinct_parts() {
                    for block in blocks(&model, part, &training, &path, &shard) {
                        all.extend(block.forward);
                        all.extend(block.backward);
                    }
                }
                for op in all {
                    let time = kernels.time(&op).0;
                    let bytes = op.bytes(&path).0;
                    // Winograd's filtering does with 16 products what takes 36 of a window of 3 x 3.
                    let saved = if matches!(op.work, Work::Convolution(_)) { 2.25 } else { 1.0 };
                    let floor = (op.work.flops().0 / saved / peak).max(bytes / bandwidth);
                    assert!(
                        time.is_finite() && time > floor,
                        "{} {}: {time} < {floor}",
                        device.id,
                        op.name
                    );
                }
            }
        }
    }
}

#[test]
fn arithmetic_follows_the_peak_and_streams_follow_the_memory() {
    let (device, architecture) = card("a100-sxm-80");
    let time = |device: &Device, op: &Operator| seconds(device, architecture, Precision::Bf16, op);
    let mut faster = device.clone();
    faster.peaks.bf16_tensor = Some(Cited::Assumed(FlopsPerSec(624e12), "twice".to_owned()));
    let mut wider = device.clone();
    wider.memory_bandwidth = Cited::Assumed(BytesPerSec(4.08e12), "twice".to_owned());

    let product = gemm(8192, 8192, 8192, 1);
    let ratio = time(device, &product) / time(&faster, &product);
    assert!((ratio - 2.0).abs() < 0.01, "{ratio}");
    assert!((time(&wider, &product) / time(device, &product) - 1.0).abs() < 1e-12);

    let stream = op(Work::Elementwise { bytes: Bytes(1e9) });
    let ratio = time(device, &stream) / time(&wider, &stream);
    assert!((ratio - 2.0).abs() < 0.02, "{ratio}");
    assert!((time(&faster, &stream) / time(device, &stream) - 1.0).abs() < 1e-12);
}

#[test]
fn old_cards_pay_for_what_they_lack() {
    let product = gemm(4096, 4096, 4096, 1);
    let time = |id, precision| {
        let (device, architecture) = card(id);
        seconds(device, architecture, precision, &product)
    };
    // fp16 on a P100 saves bytes, not arithmetic.
    let gain = time("p100-sxm2", Precision::Fp32) / time("p100-sxm2", Precision::Fp16);
    assert!((0.9..1.1).contains(&gain), "{gain}");
    // On a V100 it moves to the tensor cores.
    let gain = time("v100-sxm2-16", Precision::Fp32) / time("v100-sxm2-16", Precision::Fp16);
    assert!((5.0..9.0).contains(&gain), "{gain}");
    // Each generation is faster.
    let fp16 = ["p100-sxm2", "v100-sxm2-16", "a100-sxm-80", "h100-sxm"]
        .map(|id| time(id, Precision::Fp16));
    assert!(fp16.is_sorted_by(|older, newer| older > newer), "{fp16:?}");
}

proptest! {
    /// A product takes no longer than a larger one, in any dimension.
    #[test]
    fn larger_products_take_longer(
        m in 1_u64..20_000, n in 1_u64..20_000, k in 1_u64..20_000, batch in 1_u64..64,
        grow in 0_usize..4, by in 1_u64..5_000,
    ) {
        let (device, architecture) = card("v100-sxm2-16");
        let mut larger = [m, n, k, batch];
        larger[grow] += by;
        let time = |[m, n, k, batch]: [u64; 4]| {
            seconds(device, architecture, Precision::Fp16, &gemm(m, n, k, batch))
        };
        prop_assert!(time(larger) >= time([m, n, k, batch]) * (1.0 - 1e-12));
    }

    /// Rows and columns can change places.
    #[test]
    fn products_are_symmetric(m in 1_u64..20_000, n in 1_u64..20_000, k in 1_u64..20_000) {
        let (device, architecture) = card("h100-sxm");
        let time = |m, n| seconds(device, architecture, Precision::Bf16, &gemm(m, n, k, 1));
        prop_assert!((time(m, n) / time(n, m) - 1.0).abs() < 1e-12);
    }
}

/// FlashAttention 2 on an H100 SXM, in TFLOP/s of 16,384 tokens and a width of 2048: figures of
/// github.com/Dao-AILab/flash-attention, isolated kernels. Version 1 is around half as fast (arXiv
/// 2307.08691).
#[test]
fn older_versions_of_flash_attention_are_met() {
    let (device, architecture) = card("h100-sxm");
    let sustained = *architecture.sustained.get();
    let rate = |version: u8, sequence: u64, width: u64, causal: bool, passes: &[Pass]| {
        let training = Training { flash_version: Some(version), ..training(Precision::Bf16) };
        let path = card_path(device, architecture, &training).expect("the card runs it");
        let model = KernelModel::new(device, architecture, path);
        let (mut flops, mut time) = (0.0, 0.0);
        for &pass in passes {
            let work = FlashAttention {
                batch: 16384 / sequence,
                heads: 2048 / width,
                kv_heads: 2048 / width,
                queries: sequence,
                keys: sequence,
                key_dim: width,
                value_dim: width,
                visible: if causal { 0.5 } else { 1.0 },
                pass,
            };
            let op = op(Work::FlashAttention(work));
            flops += op.work.flops().0;
            time += model.time(&op).0;
        }
        flops / time / sustained / 1e12
    };
    let both = [Pass::Forward, Pass::Backward];
    let measured = [
        (512, 64, true, &both[..], 141.0),
        (2048, 64, true, &both[..], 232.0),
        (16384, 64, true, &both[..], 284.0),
        (1024, 128, true, &both[..], 221.0),
        (4096, 128, true, &both[..], 294.0),
        (2048, 64, false, &both[..], 274.0),
        (8192, 128, false, &both[..], 335.0),
        (1024, 128, true, &both[..1], 260.0),
        (16384, 128, true, &both[..1], 335.0),
    ];
    for (sequence, width, causal, passes, expected) in measured {
        let found = rate(2, sequence, width, causal, passes);
        let error = (found / expected - 1.0).abs();
        assert!(error < 0.15, "{sequence} x {width}: {found:.0} TFLOP/s, measured {expected}");
        let slower = found / rate(1, sequence, width, causal, passes);
        assert!((1.7..=3.0).contains(&slower), "version 1 is {slower} times slower");
        assert!(rate(3, sequence, width, causal, passes) > found);
    }
    // What a card lacks falls back to what it has.
    let same = |version: u8| rate(version, 4096, 128, true, &both).to_bits();
    assert_eq!(same(9), same(3));
}

//! What each card makes of each precision.

use motley_hardware::{Catalog, MathPath};
use motley_units::Bytes;
use motley_workload::{
    AttentionKernel, CardPath, Deferral, Fp8Recipe, KernelModel, Operands, Operator, Precision,
    Training, Unsupported, Work, card_path,
};

fn ask(
    device: &str,
    precision: Precision,
    fallback: Option<Precision>,
    attention: AttentionKernel,
    attention_fallback: bool,
) -> Result<CardPath, Unsupported> {
    let catalog = Catalog::builtin();
    let device = catalog.device(device).expect("in the catalogue");
    let architecture = catalog.architecture(&device.architecture).expect("in the catalogue");
    let training = Training {
        precision,
        fallback,
        attention,
        attention_fallback,
        ..crate::common::training(1024)
    };
    card_path(device, architecture, &training)
}

#[test]
fn each_card_runs_what_its_units_allow() {
    use MathPath::{Bf16Tensor, Fp16Tensor, Fp16Vector, Fp32, Tf32};
    let table = [
        ("p100-sxm2", [Some(Fp32), None, Some(Fp16Vector), None]),
        ("p100-pcie-16", [Some(Fp32), None, Some(Fp16Vector), None]),
        ("v100-sxm2-16", [Some(Fp32), None, Some(Fp16Tensor), None]),
        ("v100-pcie-16", [Some(Fp32), None, Some(Fp16Tensor), None]),
        ("t4", [Some(Fp32), None, Some(Fp16Tensor), None]),
        ("a100-sxm-80", [Some(Fp32), Some(Tf32), Some(Fp16Tensor), Some(Bf16Tensor)]),
        ("a800-sxm-80", [Some(Fp32), Some(Tf32), Some(Fp16Tensor), Some(Bf16Tensor)]),
        ("h100-sxm", [Some(Fp32), Some(Tf32), Some(Fp16Tensor), Some(Bf16Tensor)]),
        ("h800-sxm", [Some(Fp32), Some(Tf32), Some(Fp16Tensor), Some(Bf16Tensor)]),
    ];
    let precisions = [Precision::Fp32, Precision::Tf32, Precision::Fp16, Precision::Bf16];
    for (device, expected) in table {
        for (precision, math) in precisions.into_iter().zip(expected) {
            let found = ask(device, precision, None, AttentionKernel::Unfused, false);
            assert_eq!(found.ok().map(|path| path.math), math, "{device} {precision:?}");
        }
    }
}

#[test]
fn narrow_precisions_need_the_cards_that_have_them() {
    use MathPath::{Fp4Tensor, Fp8BlockTensor, Fp8Tensor, Mxfp8Tensor};
    let precisions = [
        Precision::Fp8(Fp8Recipe::Delayed),
        Precision::Fp8(Fp8Recipe::Current),
        Precision::Fp8(Fp8Recipe::Block),
        Precision::Mxfp8,
        Precision::Nvfp4,
    ];
    let hopper = [Some(Fp8Tensor), Some(Fp8Tensor), Some(Fp8BlockTensor), None, None];
    let blackwell = [
        Some(Fp8Tensor),
        Some(Fp8Tensor),
        Some(Fp8BlockTensor),
        Some(Mxfp8Tensor),
        Some(Fp4Tensor),
    ];
    let table = [
        ("p100-sxm2", [None; 5]),
        ("v100-sxm2-16", [None; 5]),
        ("a800-sxm-80", [None; 5]),
        ("h100-sxm", hopper),
        ("h800-sxm", hopper),
        ("h200-sxm", hopper),
        ("gh200-96", hopper),
        ("b200", blackwell),
        ("gb300", blackwell),
    ];
    let bf16 = Precision::Bf16;
    for (device, expected) in table {
        for (precision, math) in precisions.into_iter().zip(expected) {
            let found = |fallback| ask(device, precision, fallback, AttentionKernel::Flash, true);
            assert_eq!(found(None).ok().map(|path| path.math), math, "{device} {precision:?}");
            let refused = found(None).err().map(|unsupported| unsupported.to_string());
            if let Some(refused) = &refused {
                let why = format!("{device}: the card has no {precision:?} arithmetic");
                assert!(refused.starts_with(&why) && refused.contains("fallback"), "{refused}");
            }
            // With a fallback Ampere and later run bf16, and quantise nothing.
            if refused.is_some() && !matches!(device, "p100-sxm2" | "v100-sxm2-16") {
                let path = found(Some(bf16)).unwrap();
                assert_eq!((path.precision, path.quantisation), (bf16, None), "{device}");
            }
        }
    }
    let refused = ask("h100-sxm", Precision::Mxfp8, None, AttentionKernel::Flash, true);
    assert!(refused.unwrap_err().to_string().contains("Fp8(Block)"));
}

#[test]
fn a_fallback_is_taken_only_where_it_is_needed_and_named() {
    let unfused = AttentionKernel::Unfused;
    let bf16 = |device, fallback| ask(device, Precision::Bf16, fallback, unfused, false);
    let precision = |found: Result<CardPath, Unsupported>| found.map(|path| path.precision);
    assert_eq!(precision(bf16("a100-sxm-80", Some(Precision::Fp16))), Ok(Precision::Bf16));
    assert_eq!(precision(bf16("v100-sxm2-16", Some(Precision::Fp16))), Ok(Precision::Fp16));
    assert_eq!(precision(bf16("p100-sxm2", Some(Precision::Fp16))), Ok(Precision::Fp16));

    let refused = bf16("v100-sxm2-16", None).unwrap_err().to_string();
    for part in ["v100-sxm2-16", "Bf16", "Fp16", "fallback"] {
        assert!(refused.contains(part), "{refused} lacks {part}");
    }
    // A fallback that does not help either is refused for its own reason.
    let refused = bf16("v100-sxm2-16", Some(Precision::Tf32)).unwrap_err().to_string();
    assert!(refused.contains("Tf32 arithmetic"), "{refused}");
}

#[test]
fn kernels_keep_some_multiprocessors() {
    let catalog = Catalog::builtin();
    let device = catalog.device("h800-sxm").expect("in the catalogue");
    let architecture = catalog.architecture(&device.architecture).expect("in the catalogue");
    let ask = |kept: u32| {
        let training =
            Training { communication_multiprocessors: kept, ..crate::common::training(1024) };
        card_path(device, architecture, &training)
    };
    let has = *device.sm_count.get();
    assert_eq!(ask(has - 1).map(|path| path.communication_multiprocessors), Ok(has - 1));
    let refused = ask(has).unwrap_err().to_string();
    for part in ["h800-sxm", "132 multiprocessors", "communication_multiprocessors lower"] {
        assert!(refused.contains(part), "{refused} lacks {part}");
    }

    // A product of whole waves slows in proportion; what streams does not.
    let time = |kept: u32, work: Work| {
        let kernels = KernelModel::new(device, architecture, ask(kept).unwrap());
        kernels
            .time(&Operator {
                name: "",
                work,
                operands: Operands::Stored,
                deferral: Deferral::None,
            })
            .0
    };
    let stream = Work::Elementwise { bytes: Bytes(1e9) };
    assert!((time(20, stream) - time(0, stream)).abs() < 1e-15);
    let product = Work::Gemm { m: 65_536, n: 65_536, k: 65_536, batch: 1 };
    let slower = time(20, product) / time(0, product);
    assert!((slower / (132.0 / 112.0) - 1.0).abs() < 0.01, "{slower}");
}

#[test]
fn flash_attention_needs_ampere_and_sixteen_bits() {
    let flash = |device, precision, fallback| {
        ask(device, precision, None, AttentionKernel::Flash, fallback).map(|path| path.attention)
    };
    let (on, off) = (AttentionKernel::Flash, AttentionKernel::Unfused);
    for device in ["a100-sxm-80", "h100-sxm"] {
        assert_eq!(flash(device, Precision::Bf16, false), Ok(on));
        assert_eq!(flash(device, Precision::Tf32, true), Ok(off));
        let refused = flash(device, Precision::Tf32, false).unwrap_err().to_string();
        assert!(refused.contains("fp16 and bf16 only"), "{refused}");
    }
    for device in ["p100-sxm2", "v100-sxm2-32", "t4"] {
        assert_eq!(flash(device, Precision::Fp16, true), Ok(off));
        let refused = flash(device, Precision::Fp16, false).unwrap_err().to_string();
        assert!(refused.contains("FlashAttention 2") && refused.contains("Unfused"), "{refused}");
    }
}

//! The arithmetic.

use motley_workload::{Fp8Recipe, Precision};

use super::assumptions::Assumptions;
use super::{Concern, Software, Unsupported};
use crate::runs::Row;

/// From this year on large models are trained in bf16: BLOOM, LLaMA and what followed.
const BF16_SINCE: u32 = 2022;

/// What a row's word for it stands for.
pub(super) fn precision(
    row: &Row,
    software: Software,
    assumptions: &mut Assumptions,
) -> Result<Precision, Unsupported> {
    let stated = row.parallel.precision.as_deref();
    match stated.map(str::to_lowercase).as_deref() {
        Some("fp32") if ["tf32 possible", "(tf32"].iter().any(|part| words(row).contains(part)) => {
            assumptions.note("fp32 taken as TF32, which NVIDIA's containers turn on for products");
            Ok(Precision::Tf32)
        }
        Some("fp32") => Ok(Precision::Fp32),
        Some("tf32") => Ok(Precision::Tf32),
        Some("fp16") => Ok(Precision::Fp16),
        Some("bf16") => Ok(Precision::Bf16),
        Some("fp8") => Ok(Precision::Fp8(recipe(row, software, assumptions))),
        Some("mxfp8") => Ok(Precision::Mxfp8),
        Some("nvfp4") => Ok(Precision::Nvfp4),
        Some(other) => {
            let reason = format!("precision `{other}` is not modelled");
            Err(Unsupported::new(Concern::Precision, reason))
        }
        None => {
            let bf16 = row.source.year.is_some_and(|year| year >= BF16_SINCE);
            let (rule, name) =
                if bf16 { (Precision::Bf16, "bf16") } else { (Precision::Fp16, "fp16") };
            assumptions.note(format!("precision not stated: {name}, usual in its year"));
            Ok(rule)
        }
    }
}

/// What the source says of it.
fn words(row: &Row) -> String {
    row.parallel.precision_text.as_deref().unwrap_or_default().to_lowercase()
}

/// Where scales come from: Transformer Engine's delayed ones, unless the source speaks of current ones
/// or of blocks; the recipes of Megatron-Bridge that its tables call FP8 have current ones (`fp8_cs`).
fn recipe(row: &Row, software: Software, assumptions: &mut Assumptions) -> Fp8Recipe {
    let words = words(row);
    if words.contains("-cs") || words.contains("current") {
        Fp8Recipe::Current
    } else if words.contains("block") {
        Fp8Recipe::Block
    } else if software == Software::MegatronBridge {
        assumptions
            .note("scales of fp8 not stated: current, as Megatron-Bridge's recipes have them");
        Fp8Recipe::Current
    } else {
        assumptions.note("scales of fp8 not stated: delayed, Transformer Engine's");
        Fp8Recipe::Delayed
    }
}

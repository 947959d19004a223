//! What the benchmark recipes of Megatron-Bridge set and its tables do not print
//! (github.com/NVIDIA-NeMo/Megatron-Bridge, `scripts/performance/configs` up to 0.5, `perf_recipes`
//! since).

use motley_workload::{Moments, Precision, Recompute, RecomputeModule};

use super::assumptions::Assumptions;
use super::plan::Degrees;
use super::precision::precision;
use super::{Software, rack};
use crate::runs::Row;

/// The release from which on recipes for Blackwell run forward and backward passes of mixtures
/// together.
const PAIRED_ON_BLACKWELL: (u32, u32) = (26, 6);

/// Whether forward and backward passes run together, so that each computes while tokens of the other
/// travel (`overlap_moe_expert_parallel_comm`). On nodes of eight cards wherever stages have several
/// chunks, which Megatron-Core asks for; on racks in MXFP8 from 26.06 on, but for Kimi K2, whose
/// recipe never does.
pub(super) fn pairs_passes(row: &Row, software: Software, degrees: &Degrees) -> bool {
    let experts = row.model.moe.is_some() && degrees.ep > 1;
    if software != Software::MegatronBridge || !experts || (degrees.pp > 1 && degrees.vpp == 1) {
        return false;
    }
    if row.hardware.gpu_link.as_deref() != Some(rack::LINK) {
        return degrees.vpp > 1;
    }
    let mxfp8 = precision(row, software, &mut Assumptions::default()) == Ok(Precision::Mxfp8);
    let kimi = row.model.name.as_deref().is_some_and(|name| name.to_lowercase().contains("kimi"));
    mxfp8 && !kimi && release(row).is_some_and(|release| release >= PAIRED_ON_BLACKWELL)
}

/// How Adam's moments are stored: recipes for DeepSeek-V3 ask for `use_precision_aware_optimizer` with
/// both in bf16, as it was trained.
pub(super) fn moments(row: &Row, software: Software, assumptions: &mut Assumptions) -> Moments {
    let name = row.model.name.as_deref().unwrap_or_default().to_lowercase();
    if software == Software::MegatronBridge && name.contains("deepseek-v3") {
        assumptions.note("moments in bf16, as Megatron-Bridge's recipe for DeepSeek-V3 has them");
        return Moments::Bf16;
    }
    Moments::Fp32
}

/// What recipes for mixtures compute again (`recompute_modules`), in the releases 0.2 (25.11) to 0.5 (26.06);
/// those of other models nothing.
pub(super) fn recompute(
    row: &Row,
    software: Software,
    assumptions: &mut Assumptions,
) -> Option<Recompute> {
    use RecomputeModule::{LayerNorm, MlaUpProj, Mlp, MoeAct};
    if software != Software::MegatronBridge || row.model.moe.is_none() {
        return None;
    }
    let name = row.model.name.as_deref().unwrap_or_default().to_lowercase();
    let device = row.hardware.device.as_deref().unwrap_or_default();
    let (hopper, release) = (device.starts_with("h100"), release(row).unwrap_or_default());
    let mxfp8 = precision(row, software, &mut Assumptions::default()) == Ok(Precision::Mxfp8);
    let tuned = mxfp8 && release >= PAIRED_ON_BLACKWELL;
    let modules: &[RecomputeModule] = if name.contains("deepseek-v3") {
        match device {
            "gb300" if tuned => &[],
            "gb300" if release < (26, 2) => &[MoeAct],
            "b200" if tuned => &[MlaUpProj, Mlp],
            _ if hopper => &[MlaUpProj, Mlp],
            _ => &[MlaUpProj],
        }
    } else if name.contains("kimi") {
        if hopper { &[MlaUpProj, Mlp] } else { &[MlaUpProj] }
    } else if name.contains("gpt-oss") {
        match device {
            "gb300" | "b300" => &[],
            "gb200" if tuned => &[],
            _ => &[LayerNorm, MoeAct],
        }
    } else {
        &[]
    };
    if modules.is_empty() {
        return None;
    }
    let recompute = Recompute::Modules(modules.iter().copied().collect());
    assumptions.note(format!("{recompute} computed again, as the recipe has it"));
    Some(recompute)
}

/// Modules for multi-token prediction: DeepSeek-V3's, but in rows that say otherwise.
pub(super) fn predicted_ahead(row: &Row, software: Software) -> u32 {
    let name = row.model.name.as_deref().unwrap_or_default().to_lowercase();
    let without = row.id.to_lowercase().contains("womtp");
    let trained = software == Software::MegatronBridge && name.contains("deepseek-v3") && !without;
    u32::from(trained)
}

/// How recipes cut the 61 layers of DeepSeek-V3 and Kimi K2 (`_get_deepseek_v3_pipeline_layout`,
/// `_get_kimi_k2_pipeline_layout`): equal parts as long as layers last; over 32 virtual stages one layer
/// beside the embedding and none beside the head.
pub(super) fn cut(row: &Row, software: Software, stages: u32, layers: u32) -> Option<Vec<u32>> {
    let name = row.model.name.as_deref().unwrap_or_default().to_lowercase();
    let known = name.contains("deepseek-v3") || name.contains("kimi");
    if software != Software::MegatronBridge || !known || stages < 2 {
        return None;
    }
    let mut counts = match stages {
        32 => vec![2; 32],
        _ => vec![layers.div_ceil(stages); stages as usize],
    };
    counts[0] -= u32::from(stages == 32);
    let before: u32 = counts[..stages as usize - 1].iter().sum();
    counts[stages as usize - 1] = layers.checked_sub(before)?;
    Some(counts)
}

/// Year and month of a release, the second word of the id: `mbridge-26.06.01-...`.
fn release(row: &Row) -> Option<(u32, u32)> {
    let mut parts = row.id.split('-').nth(1)?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_that_run_together() {
        let check = |id: &str, model: &str, link: &str, pp: u32, vpp: u32, expected: bool| {
            let text = format!(
                r#"{{"id": "{id}", "source": {{"name": "Megatron-Bridge"}},
                    "model": {{"name": "{model}", "moe": {{"experts": 64, "topk": 8}}}},
                    "hardware": {{"gpus": {}, "gpu_link": "{link}"}},
                    "parallel": {{"tp": 1, "pp": {pp}, "vpp": {vpp}, "dp": 8, "ep": 8, "mbs": 1,
                                  "gbs": 64, "precision": "mxfp8"}}}}"#,
                8 * pp
            );
            let row: Row = serde_json::from_str(&text).unwrap();
            let degrees = Degrees::of(&row, &mut Assumptions::default()).unwrap();
            let found = pairs_passes(&row, Software::of(&row), &degrees);
            assert_eq!(found, expected, "{text}");
        };
        check("mbridge-26.06.01-x", "Qwen3-30B", "nvl72", 1, 1, true);
        check("mbridge-26.04-x", "Qwen3-30B", "nvl72", 1, 1, false);
        check("mbridge-26.08-x", "DeepSeek-V3", "nvl72", 4, 4, true);
        check("mbridge-26.08-x", "Kimi K2", "nvl72", 4, 4, false);
        check("mbridge-26.08-x", "DeepSeek-V3", "nvl72", 8, 1, false);
        check("mbridge-26.08-x", "Qwen3-235B", "nvswitch", 8, 1, false);
        check("mbridge-25.11-x", "Qwen3-235B", "nvswitch", 8, 4, true);
        check("x", "Qwen3-30B", "nvl72", 1, 1, false);
    }

    #[test]
    fn modules_that_are_computed_again() {
        let check = |id: &str, model: &str, device: &str, precision: &str, expected: &str| {
            let text = format!(
                r#"{{"id": "{id}", "source": {{"name": "Megatron-Bridge"}},
                    "model": {{"name": "{model}", "moe": {{"experts": 64, "topk": 8}}}},
                    "hardware": {{"device": "{device}"}},
                    "parallel": {{"precision": "{precision}"}}}}"#
            );
            let row: Row = serde_json::from_str(&text).unwrap();
            let found = recompute(&row, Software::of(&row), &mut Assumptions::default());
            let found = found.map(|recompute| recompute.to_string()).unwrap_or_default();
            assert_eq!(found, expected, "{text}");
        };
        check("mbridge-26.06-x", "DeepSeek-V3", "gb300", "mxfp8", "");
        check("mbridge-26.02-x", "DeepSeek-V3", "gb300", "mxfp8", "mla_up_proj");
        check("mbridge-25.11-x", "DeepSeek-V3", "gb300", "mxfp8", "moe_act");
        check("mbridge-26.06-x", "DeepSeek-V3", "gb200", "mxfp8", "mla_up_proj");
        check("mbridge-25.09-x", "DeepSeek-V3", "h100-sxm", "fp8", "mla_up_proj mlp");
        check("mbridge-26.04-x", "GPT-OSS 120B", "b200", "bf16", "moe_act layernorm");
        check("mbridge-26.06-x", "GPT-OSS 120B", "gb200", "mxfp8", "");
        check("mbridge-26.04-x", "GPT-OSS 120B", "b300", "bf16", "");
        check("mbridge-26.04-x", "Qwen3-30B-A3B", "b200", "mxfp8", "");
    }

    #[test]
    fn layers_that_the_layouts_hold() {
        let row: Row = serde_json::from_str(
            r#"{"id": "mbridge-26.04-x", "source": {"name": "Megatron-Bridge"},
                "model": {"name": "Kimi-K2 1T"}}"#,
        )
        .unwrap();
        for stages in [4, 8, 16, 32] {
            let counts = cut(&row, Software::of(&row), stages, 61).unwrap();
            assert_eq!((counts.len(), counts.iter().sum()), (stages as usize, 61));
        }
        assert_eq!(cut(&row, Software::of(&row), 8, 61).unwrap(), [8, 8, 8, 8, 8, 8, 8, 5]);
        assert_eq!(cut(&row, Software::of(&row), 1, 61), None);
    }
}

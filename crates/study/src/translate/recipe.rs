//! What the benchmark recipes of Megatron-Bridge set and its tables do not print
//! (github.com/NVIDIA-NeMo/Megatron-Bridge, `scripts/performance/configs` up to 0.5, `perf_recipes`
//! since).

use motley_workload::{Moments, Precision};

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
}

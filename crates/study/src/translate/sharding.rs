//! ZeRO and FSDP: what data-parallel ranks keep a part of.

use motley_scenario::raw::{RawReduction, RawShares, RawZero};
use motley_workload::Precision;

use super::assumptions::Assumptions;
use super::plan::Degrees;
use super::{Concern, Software, Unsupported};
use crate::runs::Row;

/// What replicas share out. Among one rank there is nothing to share: every stage is then the same
/// as none. `overlapped` is whether gradients are averaged over the backward pass.
pub(super) fn zero(
    row: &Row,
    software: Software,
    degrees: &Degrees,
    precision: Precision,
    overlapped: bool,
    assumptions: &mut Assumptions,
) -> Result<Option<RawZero>, Unsupported> {
    if degrees.dp * degrees.cp == 1 {
        return Ok(None);
    }
    let rule = format!("ZeRO not stated: none, as {} has it unless asked", software.name());
    let stage = assumptions.fill(row.parallel.zero, 0, rule);
    match stage {
        0 => Ok(None),
        1..=3 => Ok(Some(RawZero {
            stage,
            group: None,
            shares: RawShares::Equal,
            // Megatron-Core's recipes ask for `--overlap-grad-reduce` and `--overlap-param-gather`
            // together.
            overlap_gather: (stage < 3 && software.is_megatron_core() && overlapped)
                .then_some(true),
            prefetch: None,
            reshard_after_forward: None,
            reduction: (stage == 1 && software.reduces_whole(precision))
                .then_some(RawReduction::Whole),
        })),
        _ => {
            let reason = format!("there is no ZeRO stage {stage}");
            Err(Unsupported::new(Concern::Sharding, reason))
        }
    }
}

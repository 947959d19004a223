//! The order of passes.

use motley_scenario::raw::{RawActivations, RawOptimizerStep, RawSchedule, RawZeroBubble};

use super::assumptions::Assumptions;
use super::plan::Degrees;
use super::{Concern, Software, Unsupported, recipe};
use crate::runs::Row;

/// What a row's word for it stands for. One stage has one order.
pub(super) fn schedule(
    row: &Row,
    software: Software,
    degrees: &Degrees,
    assumptions: &mut Assumptions,
) -> Result<RawSchedule, Unsupported> {
    let stated = row.parallel.schedule.as_deref().map(str::to_lowercase);
    if recipe::pairs_passes(row, software, degrees) {
        assumptions.note("forward and backward passes run together, as the recipe has it");
        return Ok(RawSchedule::Paired { chunks: degrees.vpp });
    }
    if degrees.pp == 1 {
        return Ok(RawSchedule::OneFOneB);
    }
    let optimizer_step = if row.parallel.overlap_words().contains("synchronous optimizer") {
        RawOptimizerStep::Synchronous
    } else {
        RawOptimizerStep::PostValidation
    };
    let automatic = |stages| RawSchedule::ZeroBubble {
        order: RawZeroBubble::Automatic,
        activations: Some(RawActivations::Stages(stages)),
        optimizer_step,
    };
    let handcrafted = |order| RawSchedule::ZeroBubble { order, activations: None, optimizer_step };
    match stated.as_deref() {
        Some("gpipe") => Ok(RawSchedule::GPipe),
        Some("zb-1p") => Ok(automatic(1.0)),
        Some("zb-2p") => Ok(automatic(2.0)),
        Some("zb-h1") => Ok(handcrafted(RawZeroBubble::H1)),
        Some("zb-h2") => Ok(handcrafted(RawZeroBubble::H2)),
        None | Some("1f1b" | "interleaved") if degrees.vpp > 1 => {
            Ok(RawSchedule::Interleaved { chunks: degrees.vpp })
        }
        None | Some("1f1b") => Ok(RawSchedule::OneFOneB),
        Some("interleaved") => Err(Unsupported::not_stated("parallel.vpp")),
        Some(other) => {
            let reason = format!("schedule `{other}` has no counterpart");
            Err(Unsupported::new(Concern::Schedule, reason))
        }
    }
}

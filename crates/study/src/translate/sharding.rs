//! ZeRO and FSDP: what data-parallel ranks keep a part of.

use super::assumptions::Assumptions;
use super::plan::Degrees;
use super::{Concern, Software, Unsupported};
use crate::runs::Row;

/// Refuses what plans cannot say yet. Among one rank there is nothing to share: every stage is
/// then the same as none.
pub(super) fn check(
    row: &Row,
    software: Software,
    degrees: &Degrees,
    assumptions: &mut Assumptions,
) -> Result<(), Unsupported> {
    let ranks = degrees.dp * degrees.cp;
    let rule = format!("ZeRO not stated: none, as {} has it unless asked", software.name());
    let stage = match row.parallel.zero {
        None if ranks == 1 => 0,
        stated => assumptions.fill(stated, 0, rule),
    };
    if stage == 0 || ranks == 1 {
        return Ok(());
    }
    let reason = format!("ZeRO stage {stage} over {ranks} ranks is not a plan yet");
    Err(Unsupported::new(Concern::Sharding, reason))
}

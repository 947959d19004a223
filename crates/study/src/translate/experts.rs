//! Expert parallelism.

use super::plan::Degrees;
use super::{Concern, Unsupported};
use crate::runs::Row;

/// Refuses what plans cannot say yet: a plan splits each expert over all tensor ranks.
pub(super) fn check(row: &Row, degrees: &Degrees) -> Result<(), Unsupported> {
    if degrees.ep > 1 {
        let reason = format!("expert parallelism of {} is not a plan yet", degrees.ep);
        return Err(Unsupported::new(Concern::ExpertParallelism, reason));
    }
    match row.parallel.etp {
        Some(etp) if etp != degrees.tp && row.model.moe.is_some() => {
            let reason = format!("experts split {etp} times beside tp {} are no plan", degrees.tp);
            Err(Unsupported::new(Concern::ExpertParallelism, reason))
        }
        _ => Ok(()),
    }
}

//! Expert parallelism.

use super::plan::Degrees;
use super::{Concern, Unsupported};

/// Refuses what plans cannot say yet.
pub(super) fn check(degrees: &Degrees) -> Result<(), Unsupported> {
    if degrees.ep == 1 {
        return Ok(());
    }
    let reason = format!("expert parallelism of {} is not a plan yet", degrees.ep);
    Err(Unsupported::new(Concern::ExpertParallelism, reason))
}

//! Context parallelism.

use super::plan::Degrees;
use super::{Concern, Unsupported};

/// Refuses what plans cannot say yet.
pub(super) fn check(degrees: &Degrees) -> Result<(), Unsupported> {
    if degrees.cp == 1 {
        return Ok(());
    }
    let reason = format!("context parallelism of {} is not a plan yet", degrees.cp);
    Err(Unsupported::new(Concern::ContextParallelism, reason))
}

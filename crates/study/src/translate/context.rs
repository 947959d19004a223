//! Context parallelism.

use motley_workload::ContextExchange;

use super::assumptions::Assumptions;
use super::plan::Degrees;
use crate::runs::Row;

/// How tokens meet those of other ranks: Megatron-LM's ring, unless the source speaks of an
/// all-to-all.
pub(super) fn exchange(
    row: &Row,
    degrees: &Degrees,
    assumptions: &mut Assumptions,
) -> ContextExchange {
    if degrees.cp == 1 {
        return ContextExchange::Ring;
    }
    let words = row.parallel.overlap_words();
    if words.contains("ulysses") || words.contains("cp = all-to-all") {
        return ContextExchange::AllToAll;
    }
    assumptions.note("context exchange not stated: ring");
    ContextExchange::Ring
}

//! Expert parallelism.

use motley_scenario::raw::RawDispatch;

use super::assumptions::Assumptions;
use super::plan::Degrees;
use crate::runs::Row;

/// Where experts lie and how tokens reach them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExpertParallelism {
    /// Ranks among which experts are dealt out.
    pub(super) ep: u32,
    /// Ranks that split each expert; as many as tensor ranks unless given.
    pub(super) etp: Option<u32>,
    /// How tokens travel.
    pub(super) dispatch: RawDispatch,
}

/// As stated; models without experts have none to deal out.
pub(super) fn experts(
    row: &Row,
    degrees: &Degrees,
    assumptions: &mut Assumptions,
) -> ExpertParallelism {
    let moe = row.model.moe.is_some();
    if moe && degrees.ep > 1 {
        assumptions.note("dispatch of tokens not stated: NCCL's all-to-all");
    }
    ExpertParallelism {
        ep: if moe { degrees.ep } else { 1 },
        etp: row.parallel.etp.filter(|etp| moe && *etp > 0 && *etp != degrees.tp),
        dispatch: RawDispatch::AllToAll,
    }
}

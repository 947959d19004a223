//! Expert parallelism.

use motley_scenario::raw::RawDispatch;

use super::Software;
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
    software: Software,
    degrees: &Degrees,
    assumptions: &mut Assumptions,
) -> ExpertParallelism {
    let moe = row.model.moe.is_some();
    let recipes = software == Software::MegatronBridge;
    let dispatch = if recipes { RawDispatch::Forwarded } else { RawDispatch::AllToAll };
    if moe && degrees.ep > 1 {
        // `moe_token_dispatcher_type = "flex"`.
        let kernels = if recipes { "DeepEP's or HybridEP's kernels" } else { "NCCL's all-to-all" };
        assumptions.note(format!("dispatch of tokens not stated: {kernels}"));
    }
    // `expert_tensor_parallel_size = 1` in every recipe that has experts.
    let etp = row.parallel.etp.filter(|etp| *etp > 0).or(recipes.then_some(1));
    ExpertParallelism {
        ep: if moe { degrees.ep } else { 1 },
        etp: etp.filter(|etp| moe && *etp != degrees.tp),
        dispatch: if moe { dispatch } else { RawDispatch::AllToAll },
    }
}

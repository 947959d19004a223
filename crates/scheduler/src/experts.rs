//! Which ranks hold the experts of mixture layers together.

use std::ops::Range;

use crate::plan::{Plan, Stage};

/// The stages of a plan that hold the same layers with the same degrees: their ranks, in plan order,
/// hold all experts once for every so many.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ExpertHolders {
    /// Layers of each model chunk.
    chunks: Vec<Range<u32>>,
    /// Ranks over which experts are dealt out, ranks that split each.
    degrees: (u32, u32),
    /// The stages, by pipeline and number.
    pub(crate) stages: Vec<(usize, usize)>,
    /// Ranks of all of them.
    pub(crate) ranks: u64,
}

impl ExpertHolders {
    /// Ranks that hold all experts once.
    pub(crate) fn block(&self) -> u32 {
        self.degrees.0.saturating_mul(self.degrees.1)
    }

    fn matches(&self, stage: &Stage) -> bool {
        self.chunks == stage.chunks && self.degrees == stage.expert_degrees()
    }
}

/// The holders of experts that are not split as all other matrices are.
pub(crate) fn expert_holders(plan: &Plan) -> Vec<ExpertHolders> {
    let mut holders: Vec<ExpertHolders> = Vec::new();
    for (p, pipeline) in plan.pipelines.iter().enumerate() {
        for (s, stage) in pipeline.stages.iter().enumerate() {
            if stage.keeps_tokens() {
                continue;
            }
            let known = holders.iter_mut().find(|known| known.matches(stage));
            let ranks = stage.gpus.len() as u64;
            if let Some(known) = known {
                known.stages.push((p, s));
                known.ranks += ranks;
            } else {
                holders.push(ExpertHolders {
                    chunks: stage.chunks.clone(),
                    degrees: stage.expert_degrees(),
                    stages: vec![(p, s)],
                    ranks,
                });
            }
        }
    }
    holders
}

//! Plans before they have cards: who does what by type of card.

use std::ops::Range;

use motley_scheduler::{Dispatch, ExpertParallel, Offload, Pipeline, Plan, Stage, Zero};
use motley_topology::GpuId;
use motley_workload::Recompute;

use crate::pool::Pool;
use crate::settings::{CONTEXT, Settings};

/// What a stage is made of: neighbouring cards of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Unit {
    /// The type of card, by its place in [`Pool::types`].
    pub kind: usize,
    /// Tensor-parallel degree.
    pub tp: u32,
    /// Equal pipelines side by side among whose cards experts are dealt out; 1 without experts.
    pub wide: u32,
    /// What is computed again.
    pub recompute: Recompute,
}

impl Unit {
    /// Its cards.
    pub(crate) fn cards(&self) -> u32 {
        self.tp * self.wide
    }
}

/// A stage of a sketch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SketchStage {
    /// What it is made of.
    pub unit: Unit,
    /// Its layers.
    pub layers: Range<u32>,
}

/// A pipeline of a sketch; as many in the plan as its units are wide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SketchPipeline {
    /// First to last.
    pub stages: Vec<SketchStage>,
    /// Micro-batches of each of the pipelines.
    pub micro_batches: u32,
    /// Samples of a micro-batch.
    pub micro_batch_size: u32,
}

/// Which units a pipeline gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placing {
    /// Pipeline by pipeline: its stages are neighbours.
    PipelineByPipeline,
    /// Stage by stage over all pipelines: replicas of a stage are neighbours.
    StageByStage,
}

impl Placing {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::PipelineByPipeline, Self::StageByStage];
}

/// A plan without cards.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sketch {
    /// The pipelines.
    pub pipelines: Vec<SketchPipeline>,
    /// What replicas share out.
    pub zero: Zero,
}

impl Sketch {
    /// The plan with cards; none if there are not enough.
    pub(crate) fn place(
        &self,
        pool: &Pool,
        settings: &Settings,
        experts: bool,
        placing: Placing,
    ) -> Option<Plan> {
        let mut free = Free::new(pool);
        let mut cards: Vec<Vec<Vec<GpuId>>> =
            self.pipelines.iter().map(|pipeline| vec![Vec::new(); pipeline.stages.len()]).collect();
        let deepest = self.pipelines.iter().map(|pipeline| pipeline.stages.len()).max()?;
        let every: Vec<(usize, usize)> = match placing {
            Placing::PipelineByPipeline => self
                .pipelines
                .iter()
                .enumerate()
                .flat_map(|(p, pipeline)| (0..pipeline.stages.len()).map(move |s| (p, s)))
                .collect(),
            Placing::StageByStage => (0..deepest)
                .flat_map(|s| (0..self.pipelines.len()).map(move |p| (p, s)))
                .filter(|&(p, s)| s < self.pipelines[p].stages.len())
                .collect(),
        };
        for (p, s) in every {
            let unit = self.pipelines[p].stages[s].unit;
            cards[p][s] = free.take(unit.kind, unit.cards())?;
        }
        let mut plan = settings.plan(self.zero);
        for (sketch, cards) in self.pipelines.iter().zip(&cards) {
            let wide = sketch.stages.first()?.unit.wide;
            for lane in 0..wide as usize {
                let stage = |(stage, cards): (&SketchStage, &Vec<GpuId>)| {
                    let unit = stage.unit;
                    let tp = unit.tp as usize;
                    Stage {
                        gpus: cards[lane * tp..(lane + 1) * tp].to_vec(),
                        context: CONTEXT,
                        experts: if experts { dealt_out(unit) } else { ExpertParallel::NONE },
                        chunks: vec![stage.layers.clone()],
                        recompute: unit.recompute,
                        offload: Offload::default(),
                    }
                };
                plan.pipelines.push(Pipeline {
                    micro_batches: sketch.micro_batches,
                    micro_batch_size: sketch.micro_batch_size,
                    stages: sketch.stages.iter().zip(cards).map(stage).collect(),
                });
            }
        }
        Some(plan)
    }
}

/// Experts dealt out over all cards of a unit.
pub(crate) fn dealt_out(unit: Unit) -> ExpertParallel {
    ExpertParallel {
        degree: unit.cards(),
        tensor: Some(1),
        dispatch: Dispatch::AllToAll,
        overlap_shared: false,
    }
}

/// Cards that nobody has yet.
struct Free {
    /// By type and node.
    nodes: Vec<Vec<Vec<GpuId>>>,
}

impl Free {
    fn new(pool: &Pool) -> Self {
        Self { nodes: pool.types.iter().map(|kind| kind.nodes.clone()).collect() }
    }

    /// So many neighbours of the first node that has them.
    fn take(&mut self, kind: usize, count: u32) -> Option<Vec<GpuId>> {
        let count = count as usize;
        let node = self.nodes.get_mut(kind)?.iter_mut().find(|node| node.len() >= count)?;
        Some(node.drain(..count).collect())
    }
}

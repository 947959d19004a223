//! Who can run a plan as it is: what each framework's runtime lacks for it.
//!
//! What frameworks can do is from their papers and, where named in `docs/planner.md`, their code.

use motley_scheduler::{Pipeline, Plan, Stage};
use serde::Serialize;

use crate::pool::Pool;

use Feature::{
    ExpertParallelism, OptimizerSharing, ParameterSharing, PipelineParallelism, RecomputeByStage,
    SeveralTypes, SeveralVendors, TensorParallelism, UnevenLayers, UnlikeCuts, UnlikeDepths,
    UnlikeMicroBatchCounts, UnlikeMicroBatchSizes, UnlikeTensorDegreesOfReplicas,
    UnlikeTensorDegreesOfStages,
};

/// Something that a plan asks of a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// Stages of a pipeline hold unequally many layers.
    UnevenLayers,
    /// Pipelines are cut at different layers, so that each layer has replicas of its own.
    UnlikeCuts,
    /// Pipelines have different numbers of stages.
    UnlikeDepths,
    /// Pipelines run different numbers of micro-batches.
    UnlikeMicroBatchCounts,
    /// Pipelines run micro-batches of different sizes.
    UnlikeMicroBatchSizes,
    /// Stages of a pipeline have different tensor-parallel degrees.
    UnlikeTensorDegreesOfStages,
    /// Replicas of a layer have different tensor-parallel degrees.
    UnlikeTensorDegreesOfReplicas,
    /// Stages recompute differently.
    RecomputeByStage,
    /// Several stages and tensor parallelism together.
    PipelineParallelism,
    /// Tensor parallelism.
    TensorParallelism,
    /// Replicas share out optimizer states.
    OptimizerSharing,
    /// Replicas share out gradients or parameters.
    ParameterSharing,
    /// Experts are dealt out over cards.
    ExpertParallelism,
    /// Stages on cards of several vendors.
    SeveralVendors,
    /// Cards of several types.
    SeveralTypes,
}

impl Feature {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::UnevenLayers => "uneven layers",
            Self::UnlikeCuts => "pipelines cut differently",
            Self::UnlikeDepths => "pipelines of different depth",
            Self::UnlikeMicroBatchCounts => "unequal numbers of micro-batches",
            Self::UnlikeMicroBatchSizes => "unequal sizes of micro-batches",
            Self::UnlikeTensorDegreesOfStages => "tensor degrees by stage",
            Self::UnlikeTensorDegreesOfReplicas => "tensor degrees by replica",
            Self::RecomputeByStage => "recompute by stage",
            Self::PipelineParallelism => "pipeline parallelism",
            Self::TensorParallelism => "tensor parallelism",
            Self::OptimizerSharing => "sharded optimizer",
            Self::ParameterSharing => "ZeRO 2 or 3",
            Self::ExpertParallelism => "expert parallelism",
            Self::SeveralVendors => "several vendors",
            Self::SeveralTypes => "several types of cards",
        }
    }
}

/// Everything that a plan asks.
pub fn asked(plan: &Plan, pool: &Pool) -> Vec<Feature> {
    let mut asked = Vec::new();
    let mut ask = |feature, really: bool| {
        if really {
            asked.push(feature);
        }
    };
    let pipelines = &plan.pipelines;
    let Some(first) = pipelines.first() else { return asked };
    let stages = || pipelines.iter().flat_map(|pipeline| &pipeline.stages);
    let unequal =
        |of: &dyn Fn(&Pipeline) -> u64| pipelines.iter().any(|pipeline| of(pipeline) != of(first));
    ask(
        UnevenLayers,
        pipelines.iter().any(|pipeline| {
            let counts = || pipeline.stages.iter().map(Stage::layer_count);
            counts().max() != counts().min()
        }),
    );
    let depths = unequal(&|pipeline| pipeline.stages.len() as u64);
    ask(UnlikeDepths, depths);
    let cut = |pipeline: &Pipeline| -> Vec<_> {
        pipeline.stages.iter().map(|stage| stage.chunks.clone()).collect()
    };
    ask(UnlikeCuts, !depths && pipelines.iter().any(|other| cut(other) != cut(first)));
    ask(UnlikeMicroBatchCounts, unequal(&|pipeline| pipeline.micro_batches.into()));
    ask(UnlikeMicroBatchSizes, unequal(&|pipeline| pipeline.micro_batch_size.into()));
    let degree = Stage::tensor_parallel;
    ask(
        UnlikeTensorDegreesOfStages,
        pipelines.iter().any(|pipeline| {
            pipeline.stages.iter().any(|stage| degree(stage) != degree(&pipeline.stages[0]))
        }),
    );
    ask(
        UnlikeTensorDegreesOfReplicas,
        pipelines.iter().any(|other| {
            other.stages.iter().zip(&first.stages).any(|(a, b)| degree(a) != degree(b))
        }),
    );
    ask(RecomputeByStage, stages().any(|stage| stage.recompute != first.stages[0].recompute));
    ask(PipelineParallelism, pipelines.iter().any(|pipeline| pipeline.stages.len() > 1));
    ask(TensorParallelism, stages().any(|stage| degree(stage) > 1));
    ask(OptimizerSharing, plan.zero.stage() == 1);
    ask(ParameterSharing, plan.zero.stage() > 1);
    ask(ExpertParallelism, stages().any(|stage| stage.expert_degrees().0 > 1));
    let mut types: Vec<usize> = plan.gpus().filter_map(|gpu| pool.type_of(gpu)).collect();
    types.sort_unstable();
    types.dedup();
    ask(SeveralTypes, types.len() > 1);
    let vendor = |kind: &usize| pool.types[*kind].vendor;
    ask(SeveralVendors, types.iter().any(|kind| vendor(kind) != vendor(&types[0])));
    asked
}

/// What a framework says to a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The framework.
    pub framework: &'static str,
    /// It runs the plan as it is.
    pub runs: bool,
    /// What its runtime lacks.
    pub missing: Vec<Feature>,
}

/// A framework, and what its runtime lacks of all features.
struct Framework {
    name: &'static str,
    lacks: &'static [Feature],
}

const FRAMEWORKS: [Framework; 10] = [
    Framework {
        name: "Megatron-LM",
        lacks: &[
            UnlikeCuts,
            UnlikeDepths,
            UnlikeMicroBatchCounts,
            UnlikeMicroBatchSizes,
            UnlikeTensorDegreesOfStages,
            UnlikeTensorDegreesOfReplicas,
            RecomputeByStage,
            SeveralVendors,
        ],
    },
    Framework {
        name: "FlagScale",
        lacks: &[
            UnlikeCuts,
            UnlikeDepths,
            UnlikeMicroBatchCounts,
            UnlikeMicroBatchSizes,
            UnlikeTensorDegreesOfReplicas,
            ParameterSharing,
        ],
    },
    Framework {
        name: "DeepSpeed",
        lacks: &[
            UnlikeCuts,
            UnlikeDepths,
            UnlikeMicroBatchCounts,
            UnlikeMicroBatchSizes,
            UnlikeTensorDegreesOfStages,
            UnlikeTensorDegreesOfReplicas,
            RecomputeByStage,
            SeveralVendors,
        ],
    },
    Framework {
        name: "PyTorch FSDP",
        lacks: &[
            UnlikeCuts,
            UnlikeDepths,
            UnlikeMicroBatchCounts,
            UnlikeMicroBatchSizes,
            PipelineParallelism,
            TensorParallelism,
            UnlikeTensorDegreesOfStages,
            UnlikeTensorDegreesOfReplicas,
            RecomputeByStage,
            ExpertParallelism,
            OptimizerSharing,
            SeveralVendors,
        ],
    },
    Framework {
        name: "SynerFuse",
        lacks: &[
            UnlikeCuts,
            UnlikeDepths,
            UnlikeTensorDegreesOfStages,
            UnlikeTensorDegreesOfReplicas,
            RecomputeByStage,
            ParameterSharing,
        ],
    },
    Framework {
        name: "Metis",
        lacks: &[
            UnlikeCuts,
            UnlikeDepths,
            UnlikeMicroBatchCounts,
            RecomputeByStage,
            OptimizerSharing,
            ParameterSharing,
            ExpertParallelism,
            SeveralVendors,
        ],
    },
    Framework {
        name: "Sailor",
        lacks: &[
            UnevenLayers,
            UnlikeCuts,
            UnlikeDepths,
            UnlikeMicroBatchCounts,
            UnlikeMicroBatchSizes,
            RecomputeByStage,
            OptimizerSharing,
            ParameterSharing,
            ExpertParallelism,
            SeveralVendors,
        ],
    },
    Framework {
        name: "HexiScale",
        lacks: &[
            RecomputeByStage,
            OptimizerSharing,
            ParameterSharing,
            ExpertParallelism,
            SeveralVendors,
        ],
    },
    Framework {
        name: "Oobleck",
        lacks: &[
            UnlikeTensorDegreesOfStages,
            UnlikeTensorDegreesOfReplicas,
            RecomputeByStage,
            OptimizerSharing,
            ParameterSharing,
            ExpertParallelism,
            SeveralVendors,
        ],
    },
    Framework {
        name: "Hetu (Malleus)",
        lacks: &[RecomputeByStage, ParameterSharing, ExpertParallelism, SeveralVendors],
    },
];

/// What each framework says to a plan.
pub fn verdicts(plan: &Plan, pool: &Pool) -> Vec<Verdict> {
    let asked = asked(plan, pool);
    let verdict = |framework: &Framework| {
        let missing: Vec<Feature> =
            asked.iter().copied().filter(|feature| framework.lacks.contains(feature)).collect();
        Verdict { framework: framework.name, runs: missing.is_empty(), missing }
    };
    FRAMEWORKS.iter().map(verdict).collect()
}

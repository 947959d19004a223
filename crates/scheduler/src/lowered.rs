//! The result of lowering: the job, and what its ranks and communicators stand for.

use motley_collectives::Fidelity;
use motley_job::{CommId, Job, RankId};
use motley_topology::GpuId;
use motley_workload::{CardPath, MemoryUse};

use crate::collective_times::CollectiveSources;
use crate::measured::KernelSources;
use crate::memory_course::{MemoryCourse, Moment, PassMemory};
use crate::schedule::{Order, Turn};

/// What a communicator carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Traffic {
    /// Collectives inside a tensor-parallel group.
    TensorParallel,
    /// Keys, values and their gradients inside a context-parallel group.
    ContextParallel,
    /// Tokens on their way to experts and back.
    ExpertParallel,
    /// Activations and their gradients between stages.
    PipelineParallel,
    /// Gradients between replicas.
    DataParallel,
    /// Parameters of which replicas hold shares.
    Parameters,
    /// Copies between cards and the memory of their hosts.
    Host,
    /// Gradients of the tied embedding between the ends of a pipeline.
    TiedEmbedding,
    /// Agreement on the gradient norm, the barrier before the optimizer step.
    GradientNorm,
    /// Nothing moves: the host launches kernels.
    Launches,
}

impl Traffic {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::TensorParallel,
        Self::ContextParallel,
        Self::ExpertParallel,
        Self::PipelineParallel,
        Self::DataParallel,
        Self::Parameters,
        Self::Host,
        Self::TiedEmbedding,
        Self::GradientNorm,
        Self::Launches,
    ];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::TensorParallel => "tensor-parallel",
            Self::ContextParallel => "context-parallel",
            Self::ExpertParallel => "expert-parallel",
            Self::PipelineParallel => "pipeline-parallel",
            Self::DataParallel => "data-parallel",
            Self::Parameters => "parameter gather",
            Self::Host => "host copies",
            Self::TiedEmbedding => "tied-embedding",
            Self::GradientNorm => "gradient-norm",
            Self::Launches => "launch",
        }
    }

    /// The number by which communicators carry it as their class.
    pub fn class(self) -> u8 {
        self as u8
    }
}

/// Where a rank sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its card.
    pub gpu: GpuId,
    /// Its pipeline.
    pub pipeline: u32,
    /// Its stage in the pipeline.
    pub stage: u32,
    /// Its rank in the stage: its tensor-parallel groups one after the other.
    pub stage_rank: u32,
    /// The order of its passes, in [`Lowered::orders`].
    pub order: u32,
}

/// A job and what it stands for.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// What the engine replays.
    pub job: Job,
    /// By rank; ranks are numbered in plan order.
    pub places: Vec<Place>,
    /// By rank: forward and backward floating-point operations of the model, without recompute.
    pub model_flops: Vec<f64>,
    /// By rank: floating-point operations that recomputation does a second time.
    pub recomputed_flops: Vec<f64>,
    /// By rank: memory at the peak.
    pub memory: Vec<MemoryUse>,
    /// By rank: when that is.
    pub moments: Vec<Moment>,
    /// By rank: how its memory changes over the iteration, in [`Lowered::courses`].
    pub course_of: Vec<u32>,
    /// How the memory of cards changes over an iteration.
    pub courses: Vec<MemoryCourse>,
    /// By rank: how its card runs the training.
    pub paths: Vec<CardPath>,
    /// Where kernel times came from.
    pub kernel_sources: KernelSources,
    /// Where the times of collectives came from.
    pub collective_sources: CollectiveSources,
    /// What has a rate of its own.
    pub fidelity: Fidelity,
    /// The orders of passes that stages follow.
    pub orders: Vec<Order>,
}

impl Lowered {
    /// The passes of a rank, in order.
    pub fn order(&self, rank: RankId) -> &[Turn] {
        &self.orders[self.place(rank).order as usize]
    }

    /// How the memory of a rank's card changes over the iteration.
    pub fn course(&self, rank: RankId) -> &MemoryCourse {
        &self.courses[self.course_of[rank.0 as usize] as usize]
    }

    /// The memory of a rank's card around each of its passes, in order.
    pub fn memory_walk(&self, rank: RankId) -> impl Iterator<Item = PassMemory> + '_ {
        self.course(rank).walk(self.order(rank))
    }

    /// What a communicator carries.
    pub fn traffic(&self, comm: CommId) -> Traffic {
        Traffic::ALL[usize::from(self.job.communicators[comm.0 as usize].class)]
    }

    /// Where a rank sits.
    pub fn place(&self, rank: RankId) -> Place {
        self.places[rank.0 as usize]
    }
}

//! Plans, process groups, pipeline schedules, and their lowering to a job.
//!
//! ```text
//! UniformPlan --expand--> Plan --check_plan--> ok --lower--> Lowered { Job, places, memory }
//! ```
//!
//! The scheduler joins the machine (`topology`, `collectives`) and the work (`workload`) into a
//! [`motley_job::Job`] and never sees the engine that replays it.

mod check;
mod collective_times;
mod compute;
mod error;
mod experts;
mod lower;
mod lowered;
mod measured;
mod memory_course;
mod plan;
pub mod schedule;
mod split;
mod times;
mod uniform;
mod zero;

pub use check::{MAX_MICRO_BATCHES, check_plan, check_precision};
pub use collective_times::CollectiveSources;
pub use compute::{Activity, RESHARDING};
pub use error::{PlanError, PlanPath};
pub use lower::{StagePrice, lower, price};
pub use lowered::{Lowered, Place, Traffic};
pub use measured::KernelSources;
pub use memory_course::{ChunkCourse, Fullest, MemoryCourse, Moment, PassMemory};
pub use motley_collectives::Fidelity;
pub use plan::{
    ActivationSends, ContextParallel, Dispatch, ExpertParallel, GradientSync, Offload, Pipeline,
    Plan, Stage,
};
pub use schedule::{ActivationLimit, OptimizerStep, Schedule, ZeroBubble, ZeroBubbleOrder};
pub use split::deal;
pub use times::{
    BlockPass, BlockPiece, BlockTimes, CardKind, ComputeSpeed, KernelRun, KernelTimes, PartTimes,
    RepeatTimes,
};
pub use uniform::{LayerSplit, MicroBatchSplit, RankOrder, Speed, UniformPlan};
pub use zero::{ParameterGather, Reduction, Sharded, Shares, Zero};

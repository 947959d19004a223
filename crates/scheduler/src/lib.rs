//! Plans, process groups, pipeline schedules, and their lowering to a job.
//!
//! ```text
//! UniformPlan --expand--> Plan --check_plan--> ok --lower--> Lowered { Job, places, memory }
//! ```
//!
//! The scheduler joins the machine (`topology`, `collectives`) and the work (`workload`) into a
//! [`motley_job::Job`] and never sees the engine that replays it.

mod check;
mod error;
mod lower;
mod lowered;
mod order;
mod plan;
mod split;
mod times;
mod uniform;

pub use check::{MAX_MICRO_BATCHES, check_plan, check_precision};
pub use error::{PlanError, PlanPath};
pub use lower::lower;
pub use lowered::{Lowered, Place, Traffic, compute};
pub use motley_collectives::Fidelity;
pub use order::{Direction, Step, peak_in_flight, steps};
pub use plan::{GradientSync, Pipeline, Plan, Schedule, Stage};
pub use times::{BlockTime, BlockTimes, CardKind, ComputeSpeed, KernelRun, KernelTimes, PartTimes};
pub use uniform::{LayerSplit, MicroBatchSplit, RankOrder, Speed, UniformPlan};

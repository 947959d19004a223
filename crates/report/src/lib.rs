//! What a replay means: metrics, a page of text, JSON, Perfetto traces, pictures of schedules.
//!
//! | step | type |
//! |---|---|
//! | watch a replay | [`Account`], an observer, and [`Trace`], another |
//! | replay once more, with compute spread by speed | [`balanced_slowness`] |
//! | put together what was simulated | [`Subject`], [`Run`] |
//! | draw conclusions | [`Report`] |
//! | hand them out | [`text`], [`json`], [`Trace::write`] |
//! | draw a schedule | [`Drawing`], [`Recording`] |
//!
//! # Where the time goes
//!
//! A rank's compute stream computes or stands still, and an observer is told of both without gap
//! or overlap, so that for each rank compute, waits and the idle rest up to the iteration's end sum
//! to the iteration time exactly; means over ranks, all weighted equally, do so too, in whole
//! picoseconds. [`Breakdown`] divides the iteration time into
//!
//! - *compute*: kernels, as long as they take by themselves;
//! - *overlap slow-down*: what they take longer beside communication that takes multiprocessors from
//!   them. Where compute is told by rank, stage or card, it is part of it;
//! - *exposed* tensor-, context-, expert-, pipeline- and data-parallel transfer, and copies to and
//!   from hosts: the part of a wait in which the data really moved. Transfer behind compute is hidden
//!   and costs the slow-down alone. Parameters of replicas, the tied embedding and the gradient norm
//!   count as data-parallel: they too are replicas' business. If the rank's own earlier gradient
//!   buckets were still moving while it waited for the last, that is transfer, not waiting;
//! - *straggler wait*, first half: waiting for members at exchanges of peers, tensor-, context-,
//!   expert- and data-parallel ones. These are meetings of equal roles; who waits, waits for a slower
//!   peer;
//! - *dependency waits*: waiting for another stage to send, to reach the tied embedding's exchange
//!   or the gradient norm, and idling from the rank's finish to the iteration's end. Every pipeline
//!   schedule has them, even if all stages are equally fast. Those that remain when the same job is
//!   replayed with perfectly balanced compute ([`balanced_slowness`]) are the *bubble* of the
//!   schedule; what exceeds them is waiting for slower stages and pipelines, the second half of the
//!   straggler wait. Without that replay all dependency waits are counted as bubble.
//!
//! Exposed transfer is what the timeline shows, not what would be won without it: a transfer that
//! becomes free may uncover another wait.
//!
//! # What the mix loses
//!
//! [`Imbalance`] is 1 - T_balanced / T, the share of the iteration time that would be saved if all
//! compute could be spread freely in proportion to the speed at which each card does its own part,
//! transfers, schedule and links left as they are. The baseline is part of every figure.

mod account;
mod allot;
mod balance;
mod breakdown;
mod cards;
mod cluster_summary;
mod drawing;
mod efficiency;
mod fit;
mod imbalance;
mod iteration;
mod job_summary;
mod json;
mod links;
mod memory_timeline;
mod perfetto;
mod plan_summary;
mod published;
mod rank_times;
mod report;
mod stages;
mod subject;
mod text;
mod time_sources;

pub use account::{Account, ComputeKind};
pub use balance::balanced_slowness;
pub use breakdown::{Breakdown, ComputeBreakdown};
pub use cards::{CardType, UsedCards};
pub use cluster_summary::{ClusterSummary, FabricSummary, NodeGroupSummary};
pub use drawing::{Drawing, Recording, TextLimits};
pub use efficiency::Efficiency;
pub use fit::{MemoryParts, MemoryPeak, OutOfMemory, PeakMoment};
pub use imbalance::Imbalance;
pub use iteration::IterationTime;
pub use job_summary::JobSummary;
pub use json::{Provenance, SCHEMA_VERSION, json};
pub use links::{LinkLoad, LinkTraffic};
pub use memory_timeline::{CardTimeline, MemorySample, MemoryTimeline};
pub use perfetto::{Trace, TraceLimits};
pub use plan_summary::{PipelineClass, PlanSummary};
pub use published::{Comparison, Figures, Published, PublishedValue};
pub use report::{Report, ReportError, Simulated};
pub use stages::StageRow;
pub use subject::{Run, Subject};
pub use text::{WIDTH, number, page, table, text, wrap};
pub use time_sources::{CollectiveTimesSummary, KernelTimesSummary, time_sources};

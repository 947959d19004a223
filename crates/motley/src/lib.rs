//! The whole path from a scenario to an answer, as functions.
//!
//! ```
//! let scenario = motley::load_text(
//!     "mixed.ron",
//!     r#"Scenario(
//!         cluster: (
//!             groups: [(design: "dgx1-v100", count: 1), (design: "dgx1-p100", count: 1)],
//!             fabric: (technology: InfiniBand),
//!         ),
//!         model: Preset("bert-large"),
//!         training: (global_batch: 256, sequence_length: 512, precision: Fp16, attention: Unfused),
//!         plan: Uniform(dp: 16, tp: 1, pp: 1, micro_batch_size: 4),
//!     )"#,
//!     &[],
//! )?;
//! let report = motley::simulate(&scenario)?;
//! assert!(report.imbalance.as_ref().is_some_and(|mix| mix.loss_ratio > 0.2));
//! println!("{}", motley::text(&report));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`prepare`] does everything up to the replay: cluster, plan, job. [`Prepared::replay`] replays it
//! and [`Prepared::report`] concludes. Who asks what would be if replays altered jobs
//! ([`Prepared::replay_altered`]). Who evaluates many scenarios asks an [`Evaluator`]. Steps
//! between can be had from the crates that own them.

mod altered;
mod error;
mod evaluator;
mod prepare;
mod simulate;

pub use altered::Altered;
pub use error::SimulateError;
pub use evaluator::Evaluator;
pub use motley_report::{MemoryTimeline, Provenance, Report, Trace, TraceLimits, json, text};
pub use motley_scenario::{Failure, Rejected, Scenario, load, load_text};
pub use prepare::{Prepared, prepare};
pub use simulate::{Replays, simulate};

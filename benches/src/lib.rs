//! What motley's speed is measured on.
//!
//! A [`Case`] is one piece of work with a name, such as `replay/16k_bundled`; [`CASES`] lists them.
//! The criterion benchmark (`benches/cases.rs`) times all of them, the binary `instructions` runs
//! one under a profiler, and the binary `flows` prints a closed loop for other simulators to
//! repeat. What came out is in `docs/performance.md`.
//!
//! | module | what it builds |
//! |---|---|
//! | `fabric` | racks, pods and a spine: links and routes |
//! | `megatron` | one step of tensor-, pipeline- and data-parallel training as a job |
//! | `closed_loop` | many flows, each source sending again as soon as it has sent |
//! | `question` | whole scenarios, from their text |

mod case;
mod closed_loop;
mod draw;
mod fabric;
mod megatron;
mod question;

pub use case::{CASES, Case, Measure, Work};
pub use closed_loop::{ClosedLoop, Flow, Pattern};
pub use fabric::Fabric;
pub use megatron::{MegatronStep, Network};
pub use question::Question;

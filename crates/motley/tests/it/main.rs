//! The whole path, from a scenario's text to the report, judged by laws and by published figures.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the value in the message")]

mod absurd;
mod conservation;
mod context;
mod experts;
mod explicit;
mod families;
mod fidelity;
mod folding;
mod launches;
mod measured_collectives;
mod megatron;
mod memory;
mod mixing;
mod network;
mod predictions;
mod published;
mod random_plans;
mod recompute;
mod scaling;
mod schedules;
mod setup;
mod split_backward;
mod sums;
mod symmetry;
mod zero;

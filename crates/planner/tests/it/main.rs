//! The planner against brute force, against its rivals, and against itself.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the value in the message")]

mod answers;
mod brute_force;
mod pools;
mod random_pools;

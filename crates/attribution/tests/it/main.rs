//! What is said of losses, paths and changes, judged by laws and closed forms.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the value in the message")]

mod changes;
mod closed_forms;
mod laws;
mod paths;
mod setup;

//! Reports of small jobs that were made by hand, so that every figure can be worked out on paper,
//! and of one job that came the whole way from the catalogue.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the value in the message")]

mod breakdown;
mod fixture;
mod golden;
mod json;
mod links;
mod lowered;
mod trace;

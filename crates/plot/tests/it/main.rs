//! Figures as pictures: golden files, laws of every picture, and what cannot be drawn.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the value in the message")]

mod extremes;
mod figures;
mod fronts;
mod golden;
mod laws;
mod refused;

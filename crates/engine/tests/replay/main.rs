//! Replays of jobs built by hand or at random, against closed forms, oracles and laws.

mod closed_forms;
mod deadlocks;
mod eager;
mod fluid;
mod folds;
mod jobs;
mod laws;
mod pairwise;
mod random;
mod reference;
mod stretches;

//! Models, kernels and memory against published figures, closed forms and laws.

mod card_paths;
mod common;
mod kernel_times;
mod memory;
mod models;

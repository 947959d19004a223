//! Models, kernels and memory against published figures, closed forms and laws.

mod adapters;
mod attention;
mod card_paths;
mod collective_curves;
mod common;
mod convolutions;
mod descriptions;
mod experts;
mod fusion;
mod kernel_times;
mod memory;
mod models;
mod quantisation;
mod recompute;

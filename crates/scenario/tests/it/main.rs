//! Scenario files as their authors write them, right and wrong.

mod base;
mod mistakes;
mod models;
mod overrides;
mod properties;
mod reading;

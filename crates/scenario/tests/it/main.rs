//! Scenario files as their authors write them, right and wrong.

mod base;
mod codes;
mod mistakes;
mod models;
mod overrides;
mod properties;
mod reading;

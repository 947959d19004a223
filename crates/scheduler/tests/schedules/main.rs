//! Pipeline schedules, played with passes of known length: laws that hold for every one of them,
//! closed forms, the papers' figures.

mod closed_forms;
mod in_flight;
mod laws;
mod published;
mod refusals;
mod setup;

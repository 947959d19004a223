//! The scenario file: from text to a [`Scenario`] in which every name is looked up and every
//! default filled in, or to one clear message for each mistake, with its place.
//!
//! ```text
//! text --set--> text --parse--> RawScenario --resolve--> Scenario
//!        set::apply    parse()              resolve()
//! ```
//!
//! | question | answer |
//! |---|---|
//! | how do I get a scenario | [`load`], [`load_text`], [`RawScenario::resolve`](raw::RawScenario::resolve) |
//! | what may a file say | [`raw`] |
//! | what is a message | [`Diagnostic`], [`code`] |
//! | where does something stand in the text | [`syntax`], [`SourceFile`] |
//!
//! Files are RON, read by `ron`; `Some(...)` may be left out. This crate says whether a scenario
//! makes sense, by asking the crates whose matter it is; it computes nothing.

pub mod code;
mod diagnostic;
mod document;
mod hash;
mod load;
mod parse;
mod profile;
pub mod raw;
mod resolve;
mod scenario;
pub mod set;
mod source;
mod suggest;
pub mod syntax;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use hash::scenario_hash;
pub use load::{Failure, Rejected, load, load_text, load_text_with, read_text};
pub use parse::parse;
pub use profile::Profiles;
pub use raw::{Measure, Noise, Pace, Published};
pub use resolve::resolve;
pub use scenario::{PlanChoice, Scenario};
pub use source::{Place, SourceFile};
pub use suggest::nearest;

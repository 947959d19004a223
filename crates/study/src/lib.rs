//! Many predictions at once. Today: measured runs against what motley says of them.
//!
//! ```text
//! FILE.jsonl --runs::read--
//! suite/*.ron --suite-------> [Row] --translate--> RawScenario, assumptions
//!                                        or Unsupported, with its reason
//!            --validate--> Validation: a verdict for every row, statistics by group
//!                           --> text, JSON, Markdown
//! ```
//!
//! | question | answer |
//! |---|---|
//! | what may a row say | [`runs::Row`] |
//! | which published runs come with motley | [`suite::suite`] |
//! | which scenario stands for a row | [`translate::scenario`] |
//! | how far is the prediction off | [`validate()`], [`Verdict`], [`Validation`] |
//! | which errors are those of runs that no constant was set on | [`CrossValidation`] |
//! | how far may a prediction be off that nobody has measured | [`KnownErrors`] |
//!
//! A row that cannot be expressed has a verdict too, with the reason; none is dropped. A row is
//! translated by rules for its software stack and its machine, never by rules for the row: what a
//! source does not say and a rule filled in is listed with the verdict.

mod known_errors;
pub mod runs;
pub mod suite;
pub mod translate;
mod validate;

pub use known_errors::{KnownError, KnownErrors};
pub use validate::{
    Agreement, Concern, CrossValidation, Facts, FitTable, Grouping, HeldOut, Key, MemoryFigure,
    Part, Selection, SelectionError, SourceAgreement, Status, Summary, Validation, Verdict, Worst,
    json, markdown, scenario_files, suite_page, text, validate,
};

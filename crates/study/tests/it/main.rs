//! Validation from files of rows to the answer.

#![expect(clippy::unwrap_used, reason = "tests")]

mod golden;
mod mistakes;
mod published;
mod rules;
mod suite;

use motley_study::runs::{Runs, parse};
use motley_study::{Grouping, Selection, Validation, validate};

/// Rows with facts from the papers that each names.
const PUBLISHED: &str = include_str!("../rows/published.jsonl");

fn rows(text: &str) -> Runs {
    parse([("rows.jsonl", text)]).unwrap()
}

fn validated(text: &str) -> Validation {
    validate(&rows(text), &Selection::default(), &Grouping::default(), &|| {})
}

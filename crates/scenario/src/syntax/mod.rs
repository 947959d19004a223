//! The concrete syntax of a scenario file: where each value, field name and variant name stands.
//!
//! `ron` turns text into values and forgets the text; messages, overrides and the search for
//! further errors need it. This module keeps it: [`tokens`] cuts a text into pieces that together
//! are the text again, [`Tree::parse`] nests them, and [`Path`] finds a value by its way from the
//! root. It knows the grammar of RON and nothing of scenarios; which values are meaningful is
//! decided by `ron` and the types in [`crate::raw`]. Where `ron` is stricter (digits of a number,
//! escapes in a string) this module lets the text through.

mod path;
mod token;
mod tree;

pub use path::{Found, Insertion, Path, Step};
pub use token::{Token, TokenKind, tokens};
pub use tree::{Field, Kind, Tree, Value};

use std::ops::Range;

/// A stretch of a text, in bytes, end exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// From `start` to before `end`.
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The bytes that it covers.
    pub const fn range(self) -> Range<usize> {
        self.start..self.end
    }

    /// The text that it covers; empty if it does not lie in `text`.
    pub fn of(self, text: &str) -> &str {
        text.get(self.range()).unwrap_or_default()
    }
}

/// A text that is not RON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// What is wrong.
    pub message: String,
    /// What is wrong exactly here, short.
    pub label: String,
    /// Where.
    pub span: Span,
    /// Another place that explains it: an opening bracket that is not closed.
    pub related: Option<(Span, String)>,
    /// What to do.
    pub help: Option<String>,
    /// Values are nested deeper than [`Tree::DEPTH_LIMIT`].
    pub too_deep: bool,
}

/// A result of reading; the error is boxed because it is large and rare.
type Read<T> = Result<T, Box<SyntaxError>>;

impl SyntaxError {
    fn new(message: impl Into<String>, label: impl Into<String>, span: Span) -> Box<Self> {
        Box::new(Self {
            message: message.into(),
            label: label.into(),
            span,
            related: None,
            help: None,
            too_deep: false,
        })
    }

    fn help(mut self: Box<Self>, help: impl Into<String>) -> Box<Self> {
        self.help = Some(help.into());
        self
    }

    fn related(mut self: Box<Self>, span: Span, label: impl Into<String>) -> Box<Self> {
        self.related = Some((span, label.into()));
        self
    }
}

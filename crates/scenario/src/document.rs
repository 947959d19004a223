//! A source and its syntax tree together: from a path to the place that a message shows.

use crate::source::{Place, SourceFile};
use crate::syntax::{Found, Path, SyntaxError, Tree};

/// A source that is RON.
#[derive(Clone, Debug)]
pub(crate) struct Document<'s> {
    pub(crate) source: &'s SourceFile,
    pub(crate) tree: Tree,
}

impl<'s> Document<'s> {
    pub(crate) fn new(source: &'s SourceFile) -> Result<Self, SyntaxError> {
        Ok(Self { source, tree: Tree::parse(source.text())? })
    }

    pub(crate) fn text(&self) -> &'s str {
        self.source.text()
    }

    /// The value at a path, or the last one on the way to it.
    pub(crate) fn found(&self, path: &Path) -> Found<'_> {
        self.tree.find(self.text(), path)
    }

    /// Where the value at a path was written; for a default, where what holds it was.
    pub(crate) fn place(&self, path: &Path) -> Place {
        self.source.place(self.found(path).head(self.text()))
    }

    /// Whether the file gives a value at this path.
    pub(crate) fn has(&self, path: &Path) -> bool {
        self.found(path).steps == path.0.len()
    }
}

//! A source and its syntax tree together: from a path to the place that a message shows.

use crate::code;
use crate::diagnostic::Diagnostic;
use crate::source::{Place, SourceFile};
use crate::syntax::{Found, Path, Span, SyntaxError, Tree};

/// A source that is RON.
#[derive(Clone, Debug)]
pub(crate) struct Document<'s> {
    pub(crate) source: &'s SourceFile,
    pub(crate) tree: Tree,
}

impl<'s> Document<'s> {
    pub(crate) fn new(source: &'s SourceFile) -> Result<Self, Diagnostic> {
        let tree = Tree::parse(source.text())
            .map_err(|error| syntax_diagnostic(|span| source.place(span), *error))?;
        Ok(Self { source, tree })
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

/// A text that is not RON, its spans being at `place`.
pub(crate) fn syntax_diagnostic(place: impl Fn(Span) -> Place, error: SyntaxError) -> Diagnostic {
    let code = if error.too_deep { code::TOO_DEEP } else { code::SYNTAX };
    let SyntaxError { message, label, span, related, help, .. } = error;
    let mut diagnostic = Diagnostic::error(code, message).label(place(span), label);
    if let Some((span, label)) = related {
        diagnostic = diagnostic.label(place(span), label);
    }
    diagnostic.help.extend(help);
    diagnostic
}

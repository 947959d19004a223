//! Messages about a scenario file, and how they are shown.

use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::source::{Place, SourceFile};
use crate::syntax::Span;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The scenario cannot be used.
    Error,
    /// The scenario can be used, but perhaps means something else than its author thinks.
    Warning,
}

/// One message with its places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// A stable identifier, `E0201`; [`crate::code`] lists them.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was found and what was expected, on one line.
    pub message: String,
    /// Places with what is to be said there. The first is where the mistake is.
    pub labels: Vec<(Place, String)>,
    /// Facts that explain the message.
    pub notes: Vec<String>,
    /// What to do.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            labels: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
        }
    }

    /// Adds a place; the first one is where the mistake is.
    #[must_use]
    pub fn label(mut self, place: Place, label: impl Into<String>) -> Self {
        self.labels.push((place, label.into()));
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// The message as rustc would show it, with the lines of the source that it is about.
    pub fn render(&self, source: &SourceFile, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(&self.message).id(self.code));
        let mut files: Vec<usize> = Vec::new();
        for (place, _) in &self.labels {
            if !files.contains(&place.file) {
                files.push(place.file);
            }
        }
        for file in files {
            group = group.element(self.snippet(source, file));
        }
        for note in &self.notes {
            group = group.element(Level::NOTE.message(note));
        }
        for help in &self.help {
            group = group.element(Level::HELP.message(help));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }

    /// The lines of one text that labels point to.
    fn snippet<'a>(
        &'a self,
        source: &'a SourceFile,
        file: usize,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let (name, text) = source.original(file);
        let here = || self.labels.iter().filter(move |(place, _)| place.file == file);
        let first = here().map(|(place, _)| place.span.start).min().unwrap_or(0);
        let last = here().map(|(place, _)| place.span.end).max().unwrap_or(0);
        let window = lines(text, Span::new(first, last));
        let line_start = 1 + text[..window.start].matches('\n').count();
        let primary = self.labels.first().map(|(place, _)| *place);
        Snippet::source(&text[window.range()]).line_start(line_start).path(name).annotations(
            here().map(|(place, label)| {
                let kind = if Some(*place) == primary {
                    AnnotationKind::Primary
                } else {
                    AnnotationKind::Context
                };
                let span = place.span.start - window.start..place.span.end - window.start;
                kind.span(span).label((!label.is_empty()).then_some(label.as_str()))
            }),
        )
    }
}

/// The whole lines that `span` lies on, without the last line's end.
fn lines(text: &str, span: Span) -> Span {
    let start = text.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let end = text
        .get(span.end..)
        .and_then(|after| after.find('\n'))
        .map_or(text.len(), |length| span.end + length);
    Span::new(start, end)
}

/// All messages about a scenario, in the order of the places that they point to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// More are counted, not shown.
    const SHOWN: usize = 50;

    /// Adds a message at its place in the order, unless it is there already.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let key = |d: &Diagnostic| (d.labels.first().map(|(place, _)| *place), d.code);
        let at = self.0.partition_point(|other| key(other) <= key(&diagnostic));
        let mut alike = self.0[..at].iter().rev().take_while(|d| key(d) == key(&diagnostic));
        if !alike.any(|other| *other == diagnostic) {
            self.0.insert(at, diagnostic);
        }
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The first message in a line, and how many there are more.
    pub fn brief(&self) -> String {
        let first = self.0.first().map_or("refused", |diagnostic| &diagnostic.message);
        match self.len() {
            0 | 1 => first.to_owned(),
            more => format!("{first} (and {} more)", more - 1),
        }
    }

    /// The same messages about a text that is another of the source's texts, by its number.
    pub(crate) fn in_file(mut self, file: usize) -> Self {
        for (place, _) in self.0.iter_mut().flat_map(|diagnostic| &mut diagnostic.labels) {
            place.file = file;
        }
        self
    }

    /// In the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    /// All messages, an empty line between two.
    pub fn render(&self, source: &SourceFile, color: bool) -> String {
        let mut shown: Vec<_> =
            self.0.iter().take(Self::SHOWN).map(|each| each.render(source, color)).collect();
        if let Some(more @ 1..) = self.0.len().checked_sub(Self::SHOWN) {
            shown.push(format!("... and {more} more"));
        }
        shown.join("\n\n")
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<T: IntoIterator<Item = Diagnostic>>(&mut self, more: T) {
        more.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }
}

/// The messages alone, without the lines of the source: for logs.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, diagnostic) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "\n" })?;
            write!(f, "[{}] {}", diagnostic.code, diagnostic.message)?;
        }
        Ok(())
    }
}

//! The text of a scenario after overrides, and where each byte of it was written.

use crate::syntax::Span;

/// A place in one of the texts that a scenario is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which text: 0 is the file, then one for each override.
    pub file: usize,
    /// Where in it.
    pub span: Span,
}

/// A scenario file with its overrides applied. Positions in the combined text are traced back to
/// the file or override that wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    originals: Vec<(String, String)>,
    text: String,
    pieces: Vec<Piece>,
}

/// A stretch of the combined text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    start: usize,
    end: usize,
    written: Place,
}

impl Piece {
    /// Where the byte `at` of the combined text was written. A stretch that was written as
    /// something of another length (the name and colon of a field that an override adds) maps as
    /// a whole.
    fn trace(&self, at: usize, end_of_span: bool) -> usize {
        let written = self.written.span;
        if self.end - self.start == written.end - written.start {
            written.start + (at - self.start)
        } else if end_of_span {
            written.end
        } else {
            written.start
        }
    }
}

impl SourceFile {
    /// A file without overrides; `name` is how messages call it. A byte-order mark is dropped.
    pub fn new(name: &str, text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let whole = Span::new(0, text.len());
        Self {
            originals: vec![(name.to_owned(), text.to_owned())],
            text: text.to_owned(),
            pieces: vec![Piece {
                start: 0,
                end: text.len(),
                written: Place { file: 0, span: whole },
            }],
        }
    }

    /// The text after overrides.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Name and text of the file (0) or of an override.
    pub fn original(&self, file: usize) -> (&str, &str) {
        self.originals.get(file).map_or(("", ""), |(name, text)| (name, text))
    }

    /// Adds a text that will be spliced in or that a message shows; its number.
    pub fn add(&mut self, name: &str, text: &str) -> usize {
        self.originals.push((name.to_owned(), text.to_owned()));
        self.originals.len() - 1
    }

    /// Replaces a stretch of the combined text by `parts`, each with where it was written.
    pub(crate) fn splice(&mut self, span: Span, parts: &[(&str, Place)]) {
        let mut pieces = Vec::new();
        let mut push = |start: &mut usize, length: usize, written: Place| {
            if length > 0 {
                pieces.push(Piece { start: *start, end: *start + length, written });
                *start += length;
            }
        };
        let cut = |piece: &Piece, from: usize, to: usize| Place {
            file: piece.written.file,
            span: Span::new(piece.trace(from, false), piece.trace(to, true)),
        };
        let mut at = 0;
        for piece in &self.pieces {
            let end = piece.end.min(span.start);
            if piece.start < end {
                push(&mut at, end - piece.start, cut(piece, piece.start, end));
            }
        }
        for (text, written) in parts {
            push(&mut at, text.len(), *written);
        }
        for piece in &self.pieces {
            let start = piece.start.max(span.end);
            if start < piece.end {
                push(&mut at, piece.end - start, cut(piece, start, piece.end));
            }
        }
        self.pieces = pieces;
        let text: String = parts.iter().map(|(text, _)| *text).collect();
        self.text.replace_range(span.range(), &text);
    }

    /// Where a stretch of the combined text was written. A stretch that mixes several texts is
    /// traced as far as the text goes in which it begins.
    pub fn place(&self, span: Span) -> Place {
        let first = self.pieces.partition_point(|piece| piece.end <= span.start);
        let Some(piece) = self.pieces.get(first).or(self.pieces.last()) else {
            return Place { file: 0, span: Span::new(0, 0) };
        };
        let start = piece.trace(span.start.min(piece.end), false);
        let file = piece.written.file;
        let end = self.pieces[first.min(self.pieces.len() - 1)..]
            .iter()
            .take_while(|piece| piece.start < span.end)
            .filter(|piece| piece.written.file == file)
            .map(|piece| piece.trace(span.end.min(piece.end), true))
            .max()
            .unwrap_or(start);
        Place { file, span: Span::new(start, end.max(start)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_traced_through_overrides() {
        let mut source = SourceFile::new("a.ron", "(a: 1, b: 2)");
        let file = source.add("--set", "a=1000");
        let place = |start, end| Place { file, span: Span::new(start, end) };
        source.splice(Span::new(4, 5), &[("1000", place(2, 6))]);
        assert_eq!(source.text(), "(a: 1000, b: 2)");
        assert_eq!(source.place(Span::new(4, 8)), place(2, 6));
        assert_eq!(source.place(Span::new(5, 6)), place(3, 4));
        let in_file = |start, end| Place { file: 0, span: Span::new(start, end) };
        assert_eq!(source.place(Span::new(13, 14)), in_file(10, 11));
        assert_eq!(source.place(Span::new(0, 15)), in_file(0, 12));
        assert_eq!(source.place(Span::new(15, 15)), in_file(12, 12));

        let glue = source.add("--set", "c=3");
        let end = source.text().len() - 1;
        let added = |start, end| Place { file: glue, span: Span::new(start, end) };
        source.splice(
            Span::new(end, end),
            &[(", ", added(0, 0)), ("c", added(0, 1)), (": ", added(1, 2)), ("3", added(2, 3))],
        );
        assert_eq!(source.text(), "(a: 1000, b: 2, c: 3)");
        assert_eq!(source.place(Span::new(16, 17)), added(0, 1));
        assert_eq!(source.place(Span::new(19, 20)), added(2, 3));
        assert_eq!(source.place(Span::new(20, 21)), in_file(11, 12));
    }

    #[test]
    fn an_empty_text_has_a_place() {
        let source = SourceFile::new("a.ron", "");
        assert_eq!(source.place(Span::new(0, 0)).span, Span::new(0, 0));
    }
}

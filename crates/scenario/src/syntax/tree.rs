//! Tokens nested into values.

use std::iter::Peekable;

use super::{Read, Span, SyntaxError, Token, TokenKind, tokens};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The whole value, with its name and brackets.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
}

/// The shapes of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `12`, `0.5`, `-3`, also what only begins like one: `80GB`.
    Number,
    /// `"..."` in any spelling.
    Text,
    /// `'c'`.
    Char,
    /// `true`, `None`, `inf`, `GPipe`.
    Name,
    /// `0..8`, and whether it is `..=`.
    Range {
        /// Written `..=`.
        inclusive: bool,
    },
    /// `(a: 1)` or `Name(a: 1)`.
    Struct {
        /// The name before the bracket.
        name: Option<Span>,
        /// Just after the opening bracket.
        inside: usize,
        /// The fields as written, also repeated ones.
        fields: Vec<Field>,
    },
    /// `(1, 2)`, `Name(1)`, `()`.
    Tuple {
        /// The name before the bracket.
        name: Option<Span>,
        /// Just after the opening bracket.
        inside: usize,
        /// The items.
        items: Vec<Value>,
    },
    /// `[1, 2]`.
    List {
        /// Just after the opening bracket.
        inside: usize,
        /// The items.
        items: Vec<Value>,
    },
    /// `{"a": 1}`.
    Map {
        /// Keys and values.
        entries: Vec<(Value, Value)>,
    },
}

/// A field of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: Span,
    /// Its value.
    pub value: Value,
    /// Just after the comma that follows, or after the value.
    pub end: usize,
}

/// A text and the value that it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The outermost value.
    pub root: Value,
}

impl Tree {
    /// How deep values may be nested: the same as in `ron`, and far more than a scenario has.
    pub const DEPTH_LIMIT: usize = 128;

    /// Reads a text: attributes such as `#![enable(implicit_some)]`, then one value.
    ///
    /// # Errors
    ///
    /// The first place at which the text is not RON, or is nested too deep.
    pub fn parse(text: &str) -> Result<Self, Box<SyntaxError>> {
        let mut parser = Parser { text, tokens: tokens(text).peekable(), last: 0, depth: 0 };
        parser.attributes()?;
        let root = parser.value("a value")?;
        match parser.peek()? {
            None => Ok(Self { root }),
            Some(token) => Err(parser.unexpected(token, "the end of the file").help(
                "a file holds one value; check that the brackets before this place are balanced",
            )),
        }
    }
}

const OPEN: &str = "this bracket is open";

fn is_float_name(text: &str) -> bool {
    matches!(text, "inf" | "NaN")
}

struct Parser<'t, I: Iterator<Item = Read<Token>>> {
    text: &'t str,
    tokens: Peekable<I>,
    /// The end of the last significant token.
    last: usize,
    depth: usize,
}

impl<I: Iterator<Item = Read<Token>>> Parser<'_, I> {
    fn peek(&mut self) -> Read<Option<Token>> {
        while self
            .tokens
            .next_if(|token| token.as_ref().is_ok_and(|t| !t.is_significant()))
            .is_some()
        {}
        self.tokens.peek().cloned().transpose()
    }

    fn take(&mut self) -> Read<Option<Token>> {
        let token = self.peek()?;
        if let Some(token) = token {
            self.last = token.span.end;
            self.tokens.next();
        }
        Ok(token)
    }

    fn take_mark(&mut self, mark: char) -> Read<bool> {
        let matches = self.peek()?.is_some_and(|token| token.kind == TokenKind::Mark(mark));
        if matches {
            self.take()?;
        }
        Ok(matches)
    }

    fn unexpected(&self, token: Token, expected: &str) -> Box<SyntaxError> {
        let found = match token.kind {
            TokenKind::Number => "a number".to_owned(),
            TokenKind::Text => "a text".to_owned(),
            TokenKind::Char => "a character".to_owned(),
            _ => format!("`{}`", token.span.of(self.text)),
        };
        let message = format!("expected {expected}, found {found}");
        SyntaxError::new(message, format!("expected {expected}"), token.span)
    }

    fn ended(&self, expected: &str) -> Box<SyntaxError> {
        if self.last == 0 {
            let span = Span::new(self.text.len(), self.text.len());
            return SyntaxError::new("the file is empty", format!("expected {expected}"), span);
        }
        SyntaxError::new(
            format!("the file ends too early: expected {expected}"),
            format!("expected {expected} after this"),
            Span::new(self.last, self.last),
        )
    }

    /// `#![name(...)]` and `#![name = "..."]`, whose meaning is for `ron`.
    fn attributes(&mut self) -> Read<()> {
        while self.take_mark('#')? {
            if !self.take_mark('!')? || !self.take_mark('[')? {
                let span = Span::new(self.last - 1, self.last);
                return Err(SyntaxError::new(
                    "an attribute is not complete",
                    "expected `#![...]`",
                    span,
                ));
            }
            while !self.take_mark(']')? {
                if self.take()?.is_none() {
                    return Err(self.ended("`]`"));
                }
            }
        }
        Ok(())
    }

    fn value(&mut self, expected: &str) -> Read<Value> {
        match self.take()? {
            Some(token) => self.value_from(token, expected),
            None => Err(self.ended(expected)),
        }
    }

    /// The value that begins with `token`, which was just taken.
    fn value_from(&mut self, token: Token, expected: &str) -> Read<Value> {
        let leaf = |kind| Ok(Value { span: token.span, kind });
        let start = token.span.start;
        match token.kind {
            TokenKind::Number => self.number_or_range(token),
            TokenKind::Text => leaf(Kind::Text),
            TokenKind::Char => leaf(Kind::Char),
            TokenKind::Dots => self.range_after(token, start),
            TokenKind::Ident if self.take_mark('(')? => {
                self.nested(start, |parser| parser.parenthesised(Some(token.span)))
            }
            TokenKind::Ident if is_float_name(token.span.of(self.text)) => {
                self.number_or_range(token)
            }
            TokenKind::Ident => leaf(Kind::Name),
            TokenKind::Mark('(') => self.nested(start, |parser| parser.parenthesised(None)),
            TokenKind::Mark('[') => self.nested(start, Self::list),
            TokenKind::Mark('{') => self.nested(start, Self::map),
            _ => Err(self.unexpected(token, expected)),
        }
    }

    fn number_or_range(&mut self, number: Token) -> Read<Value> {
        match self.peek()? {
            Some(dots) if dots.kind == TokenKind::Dots => {
                self.take()?;
                self.range_after(dots, number.span.start)
            }
            _ => Ok(Value { span: number.span, kind: Kind::Number }),
        }
    }

    fn range_after(&mut self, dots: Token, start: usize) -> Read<Value> {
        let end = match self.peek()? {
            Some(token)
                if token.kind == TokenKind::Number || is_float_name(token.span.of(self.text)) =>
            {
                self.take()?;
                token.span.end
            }
            _ => dots.span.end,
        };
        let inclusive = dots.span.of(self.text) == "..=";
        Ok(Value { span: Span::new(start, end), kind: Kind::Range { inclusive } })
    }

    /// Runs `body` one level deeper, for a value that began at `start`.
    fn nested(&mut self, start: usize, body: impl FnOnce(&mut Self) -> Read<Kind>) -> Read<Value> {
        self.depth += 1;
        if self.depth > Tree::DEPTH_LIMIT {
            let mut error = SyntaxError::new(
                format!("values are nested deeper than {} levels", Tree::DEPTH_LIMIT),
                "one level too deep",
                Span::new(self.last - 1, self.last),
            );
            error.too_deep = true;
            return Err(error);
        }
        let kind = body(self)?;
        self.depth -= 1;
        Ok(Value { span: Span::new(start, self.last), kind })
    }

    /// After a value: a comma, or the closing bracket of what was opened just before `inside`.
    /// Whether the bracket was closed, and the end of the value with its comma.
    fn separator(&mut self, close: char, inside: usize) -> Read<(bool, usize)> {
        let end = self.last;
        if self.take_mark(',')? {
            let end = self.last;
            return Ok((self.take_mark(close)?, end));
        }
        if self.take_mark(close)? {
            return Ok((true, end));
        }
        let expected = format!("`,` or `{close}`");
        let error = match self.peek()? {
            None => self.ended(&expected),
            Some(token) => {
                let mut error = self.unexpected(token, &expected);
                if !matches!(token.kind, TokenKind::Mark(_)) {
                    error.span = Span::new(end, end);
                    "a comma is missing here".clone_into(&mut error.label);
                }
                error
            }
        };
        Err(error.related(Span::new(inside - 1, inside), OPEN))
    }

    /// The next token, which the bracket opened just before `inside` still needs.
    fn demand(&mut self, expected: &str, inside: usize) -> Read<Token> {
        match self.take()? {
            Some(token) => Ok(token),
            None => Err(self.ended(expected).related(Span::new(inside - 1, inside), OPEN)),
        }
    }

    fn item(&mut self, expected: &str, inside: usize) -> Read<Value> {
        let token = self.demand(expected, inside)?;
        self.value_from(token, expected)
    }

    fn parenthesised(&mut self, name: Option<Span>) -> Read<Kind> {
        let inside = self.last;
        let expected = "a value or `)`";
        if self.take_mark(')')? {
            return Ok(Kind::Tuple { name, inside, items: Vec::new() });
        }
        let token = self.demand(expected, inside)?;
        if token.kind == TokenKind::Ident && self.take_mark(':')? {
            return self.fields(name, inside, token.span);
        }
        let mut items = vec![self.value_from(token, expected)?];
        while !self.separator(')', inside)?.0 {
            items.push(self.item(expected, inside)?);
        }
        Ok(Kind::Tuple { name, inside, items })
    }

    /// The fields of a struct; the name and the colon of the first are taken.
    fn fields(&mut self, name: Option<Span>, inside: usize, first: Span) -> Read<Kind> {
        let mut fields = Vec::new();
        let mut field_name = first;
        loop {
            let value = self.item("the value of the field", inside)?;
            let (closed, end) = self.separator(')', inside)?;
            fields.push(Field { name: field_name, value, end });
            if closed {
                return Ok(Kind::Struct { name, inside, fields });
            }
            let expected = "the name of a field or `)`";
            let token = self.demand(expected, inside)?;
            if token.kind != TokenKind::Ident {
                return Err(self.unexpected(token, expected));
            }
            field_name = token.span;
            if !self.take_mark(':')? {
                let span = Span::new(self.last, self.last);
                let message = format!("the field `{}` has no value", field_name.of(self.text));
                return Err(SyntaxError::new(message, "expected `:` and a value", span));
            }
        }
    }

    fn list(&mut self) -> Read<Kind> {
        let inside = self.last;
        let mut items = Vec::new();
        let mut closed = self.take_mark(']')?;
        while !closed {
            items.push(self.item("a value or `]`", inside)?);
            closed = self.separator(']', inside)?.0;
        }
        Ok(Kind::List { inside, items })
    }

    fn map(&mut self) -> Read<Kind> {
        let inside = self.last;
        let mut entries = Vec::new();
        let mut closed = self.take_mark('}')?;
        while !closed {
            let key = self.item("a key or `}`", inside)?;
            if !self.take_mark(':')? {
                let span = Span::new(self.last, self.last);
                return Err(SyntaxError::new("a key has no value", "expected `:`", span));
            }
            let value = self.item("a value", inside)?;
            closed = self.separator('}', inside)?.0;
            entries.push((key, value));
        }
        Ok(Kind::Map { entries })
    }
}

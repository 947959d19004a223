//! Cutting a text into tokens; together they are the text again.

use super::{Read, Span, SyntaxError};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Spaces, tabs, ends of lines.
    Blank,
    /// `// ...` to the end of the line, or `/* ... */`, which nests.
    Comment,
    /// A name: `true`, `GPipe`, `r#type`.
    Ident,
    /// Anything that begins like a number; whether it is one is for `ron` to say.
    Number,
    /// `"..."`, `r#"..."#`, `b"..."`.
    Text,
    /// `'c'` or `b'c'`.
    Char,
    /// `..` or `..=`.
    Dots,
    /// One of `( ) [ ] { } , : # ! =`.
    Mark(char),
}

/// A piece of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it is.
    pub span: Span,
}

impl Token {
    /// Neither blank nor comment.
    pub fn is_significant(&self) -> bool {
        !matches!(self.kind, TokenKind::Blank | TokenKind::Comment)
    }
}

/// The tokens of `text`, in order and without gaps. Stops after the first error.
pub fn tokens(text: &str) -> impl Iterator<Item = Result<Token, Box<SyntaxError>>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        match next(text, rest, at) {
            Ok((kind, length)) => {
                let span = Span::new(at, at + length);
                at = span.end;
                Some(Ok(Token { kind, span }))
            }
            Err(error) => {
                at = text.len();
                Some(Err(error))
            }
        }
    })
}

/// Kind and length in bytes of the token that `rest`, which begins at byte `at` of `text`, opens
/// with. The length is at least 1.
fn next(text: &str, rest: &str, at: usize) -> Read<(TokenKind, usize)> {
    let mut chars = rest.chars();
    let first = chars.next().unwrap_or_default();
    let second = chars.next();
    let found = match first {
        blank if is_blank(blank) => (TokenKind::Blank, length_while(rest, is_blank)),
        '/' if second == Some('/') => (TokenKind::Comment, rest.find('\n').unwrap_or(rest.len())),
        '/' if second == Some('*') => (TokenKind::Comment, block_comment(rest, at)?),
        '(' | ')' | '[' | ']' | '{' | '}' | ',' | ':' | '#' | '!' | '=' => {
            (TokenKind::Mark(first), 1)
        }
        '"' => (TokenKind::Text, quoted(rest, at, 0)?),
        'b' if second == Some('"') => (TokenKind::Text, quoted(rest, at, 1)?),
        'r' if raw_hashes(&rest[1..]).is_some() => (TokenKind::Text, raw(rest, at, 1)?),
        'b' if second == Some('r') && raw_hashes(&rest[2..]).is_some() => {
            (TokenKind::Text, raw(rest, at, 2)?)
        }
        '\'' => (TokenKind::Char, character(rest, at, 0)?),
        'b' if second == Some('\'') => (TokenKind::Char, character(rest, at, 1)?),
        'r' if second == Some('#') && rest[2..].starts_with(is_raw_ident) => {
            (TokenKind::Ident, 2 + length_while(&rest[2..], is_raw_ident))
        }
        '.' if rest.starts_with("..=") => (TokenKind::Dots, 3),
        '.' if rest.starts_with("..") => (TokenKind::Dots, 2),
        name if name == '_' || name.is_alphabetic() => {
            (TokenKind::Ident, length_while(rest, |c| c == '_' || c.is_alphanumeric()))
        }
        digit if digit.is_ascii_digit() || matches!(digit, '+' | '-' | '.') => {
            (TokenKind::Number, number(rest))
        }
        other => {
            let span = Span::new(at, at + other.len_utf8());
            let error = SyntaxError::new(
                format!("unexpected character {other:?}"),
                "not part of a value",
                span,
            );
            return Err(match other {
                ';' => error.help("fields and items are separated by commas"),
                '“' | '”' | '„' => error.help("write text between straight quotes: \"...\""),
                _ => error,
            });
        }
    };
    debug_assert!(text.is_char_boundary(at + found.1), "tokens end between characters");
    Ok(found)
}

fn is_blank(c: char) -> bool {
    matches!(
        c,
        ' ' | '\t'
            | '\n'
            | '\r'
            | '\x0B'
            | '\x0C'
            | '\u{85}'
            | '\u{200E}'
            | '\u{200F}'
            | '\u{2028}'
            | '\u{2029}'
    )
}

fn is_raw_ident(c: char) -> bool {
    matches!(c, '_' | '.' | '+' | '-') || c.is_alphanumeric()
}

fn length_while(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// Letters belong to a number, so that `80GB` is one token and one message.
fn number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut length = 1;
    let radix_prefix = text.trim_start_matches(['+', '-']).as_bytes().get(1);
    let hexadecimal = matches!(radix_prefix, Some(b'x' | b'X'));
    while let Some(&byte) = bytes.get(length) {
        let belongs = match byte {
            b'.' => bytes.get(length + 1) != Some(&b'.') && !text[..length].ends_with('.'),
            b'+' | b'-' => !hexadecimal && matches!(bytes[length - 1], b'e' | b'E'),
            _ => byte == b'_' || byte.is_ascii_alphanumeric(),
        };
        if !belongs {
            break;
        }
        length += 1;
    }
    length
}

fn block_comment(text: &str, at: usize) -> Read<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut index = 0;
    while index < bytes.len() {
        match &bytes[index..bytes.len().min(index + 2)] {
            b"/*" => {
                depth += 1;
                index += 2;
            }
            b"*/" => {
                depth -= 1;
                index += 2;
                if depth == 0 {
                    return Ok(index);
                }
            }
            _ => index += 1,
        }
    }
    let opening = Span::new(at, at + 2);
    Err(SyntaxError::new("a comment is not closed", "begins here", opening)
        .help("close it with `*/`; comments nest, so each `/*` needs its own"))
}

/// A string with escapes whose opening quote is at byte `prefix`.
fn quoted(text: &str, at: usize, prefix: usize) -> Read<usize> {
    let bytes = text.as_bytes();
    let mut index = prefix + 1;
    while let Some(&byte) = bytes.get(index) {
        match byte {
            b'"' => return Ok(index + 1),
            b'\\' => index += 2,
            _ => index += 1,
        }
    }
    Err(unclosed_text(at, prefix + 1).help("close it with `\"`"))
}

/// How many `#` stand between the `r` and the quote of a raw string; none if it is not one.
fn raw_hashes(after_r: &str) -> Option<usize> {
    let hashes = length_while(after_r, |c| c == '#');
    after_r[hashes..].starts_with('"').then_some(hashes)
}

/// A raw string whose `r` ends at byte `prefix`.
fn raw(text: &str, at: usize, prefix: usize) -> Read<usize> {
    let hashes = raw_hashes(&text[prefix..]).unwrap_or(0);
    let open = prefix + hashes + 1;
    let close = format!("\"{}", "#".repeat(hashes));
    match text[open..].find(&close) {
        Some(found) => Ok(open + found + close.len()),
        None => Err(unclosed_text(at, open).help(format!("close it with `{close}`"))),
    }
}

fn unclosed_text(at: usize, quote: usize) -> Box<SyntaxError> {
    SyntaxError::new("a text is not closed", "begins here", Span::new(at, at + quote))
}

/// A character whose opening quote is at byte `prefix`.
fn character(text: &str, at: usize, prefix: usize) -> Read<usize> {
    let inner = &text[prefix + 1..];
    let mut escaped = false;
    for (index, c) in inner.char_indices() {
        match c {
            '\n' => break,
            '\'' if !escaped && index > 0 => return Ok(prefix + 1 + index + 1),
            _ => escaped = c == '\\' && !escaped,
        }
    }
    let opening = Span::new(at, at + prefix + 1);
    Err(SyntaxError::new("a character is not closed", "begins here", opening)
        .help("text stands between double quotes: \"...\""))
}

//! Overrides with expressions in braces: `cluster.groups[1].count={16 - old}`.

use motley_scenario::syntax::Span;

use super::expression::{Expression, Mistake, Outcome, Type};

/// An override that depends on the point.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    /// The value of the axis that the setting belongs to, as it is written.
    Own,
    Expression(Expression),
}

impl Setting {
    /// Reads a text. `{{` and `}}` stand for the braces themselves. `own`: whether there is a value for
    /// `{}`.
    pub(crate) fn parse(text: &str, axes: &[(&str, Type)], own: bool) -> Result<Self, Mistake> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut at = 0;
        let wrong = |start: usize, end: usize, message: &str, label: &str| Mistake {
            span: Span::new(start, end),
            message: message.to_owned(),
            label: label.to_owned(),
        };
        while let Some(length) = text[at..].find(['{', '}']) {
            plain.push_str(&text[at..at + length]);
            at += length;
            let rest = &text[at..];
            if rest.starts_with("{{") || rest.starts_with("}}") {
                plain.push_str(&rest[..1]);
                at += 2;
                continue;
            }
            let (Some(inner), Some(end)) = (rest.strip_prefix('{'), rest.find('}')) else {
                let brace = at + 1;
                return Err(wrong(
                    at,
                    brace,
                    "a brace stands alone",
                    "write it twice to mean itself",
                ));
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            let inside = &inner[..end - 1];
            pieces.push(if inside.trim().is_empty() {
                if !own {
                    let message = "`{}` is the value of an axis, and here is none";
                    return Err(wrong(
                        at,
                        at + end + 1,
                        message,
                        "write the name of an axis into it",
                    ));
                }
                Piece::Own
            } else {
                let shifted = |mistake: Mistake| Mistake {
                    span: Span::new(mistake.span.start + at + 1, mistake.span.end + at + 1),
                    ..mistake
                };
                let expression = Expression::parse(inside, axes).map_err(shifted)?;
                if expression.of() == Type::Truth {
                    let message = "a condition is no value";
                    return Err(wrong(at, at + end + 1, message, "expected a number or a text"));
                }
                Piece::Expression(expression)
            });
            at += end + 1;
        }
        plain.push_str(&text[at..]);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self { pieces })
    }

    /// What stands before the first value: the path, if the path holds none.
    pub(crate) fn head(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// The override; none if a number in it cannot be computed.
    pub(crate) fn written(&self, own: &str, axis: &dyn Fn(usize) -> Outcome) -> Option<String> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Own => text.push_str(own),
                Piece::Expression(expression) => match expression.value(axis) {
                    Outcome::Text(value) => text.push_str(&value),
                    Outcome::Number(number) if number.is_finite() => {
                        text.push_str(&tidy(number).to_string());
                    }
                    _ => return None,
                },
            }
        }
        Some(text)
    }
}

/// The number without what rounding left behind its twelfth digit: 0.3 for 0.30000000000000004.
pub(crate) fn tidy(number: f64) -> f64 {
    let tidied = format!("{number:.11e}").parse().unwrap_or(number);
    // There is one zero.
    if tidied == 0.0 { 0.0 } else { tidied }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_take_values() {
        let axes = [("old", Type::Number), ("card", Type::Text)];
        let axis = |index: usize| match index {
            0 => Outcome::Number(0.1),
            _ => Outcome::Text("a".to_owned()),
        };
        let check = |text: &str, expected: Option<&str>| {
            let setting = Setting::parse(text, &axes, true).unwrap();
            assert_eq!(setting.written("7", &axis).as_deref(), expected, "{text}");
        };
        check("plan.tp={}", Some("plan.tp=7"));
        check("plan.tp=4", Some("plan.tp=4"));
        check("a={old * 3}", Some("a=0.3"));
        check("a=(b: \"{card}\", c: { })", Some("a=(b: \"a\", c: 7)"));
        check("a={{}}{16 - old * 10}", Some("a={}15"));
        check("a={1 / (old - 0.1)}", None);
        let wrong = |text: &str, place: &str, own: bool| {
            let mistake = Setting::parse(text, &axes, own).unwrap_err();
            assert_eq!(&text[mistake.span.range()], place, "{}", mistake.message);
        };
        wrong("a={", "{", true);
        wrong("a=}", "}", true);
        wrong("a={}", "{}", false);
        wrong("a={odl}", "odl", true);
        wrong("a={old > 1}", "{old > 1}", true);
    }
}

//! The small language of conditions and computed values: `dp * tp > 64 and model != 'bert-large'`.
//!
//! ```text
//! any      = all { "or" all }
//! all      = not { "and" not }
//! not      = "not" not | compare
//! compare  = sum [ ("==" | "!=" | "<" | "<=" | ">" | ">=") sum ]
//! sum      = product { ("+" | "-") product }
//! product  = sign { ("*" | "/" | "%") sign }
//! sign     = "-" sign | atom
//! atom     = number | 'text' | name | name "(" any { "," any } ")" | "(" any ")"
//! ```

use motley_scenario::nearest;
use motley_scenario::syntax::Span;

/// How deep brackets may be nested.
const DEPTH: u32 = 64;

/// What an expression comes to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// A number, perhaps not a finite one.
    Number(f64),
    /// A text.
    Text(String),
    /// True or false.
    Truth(bool),
}

/// What kind of value an expression has, known before it is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// A number.
    Number,
    /// A text.
    Text,
    /// True or false.
    Truth,
}

impl Type {
    fn article(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Truth => "a condition",
        }
    }
}

/// Why a text is no expression, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Where.
    pub span: Span,
    /// On one line.
    pub message: String,
    /// What to say at the place.
    pub label: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Floor,
    Ceil,
    Round,
    Min,
    Max,
}

const FUNCTIONS: [(&str, Function, usize); 5] = [
    ("floor", Function::Floor, 1),
    ("ceil", Function::Ceil, 1),
    ("round", Function::Round, 1),
    ("min", Function::Min, 2),
    ("max", Function::Max, 2),
];

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Number(f64),
    Text(String),
    /// The value of an axis, by its number.
    Axis(usize),
    Negative(Box<Node>),
    Not(Box<Node>),
    Binary(Operator, Box<[Node; 2]>),
    Call(Function, Vec<Node>),
}

/// An expression over the values of axes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expression {
    node: Node,
    of: Type,
}

impl Expression {
    /// Reads a text; `axes` are the names that it may use, with the kinds of their values.
    pub(crate) fn parse(text: &str, axes: &[(&str, Type)]) -> Result<Self, Mistake> {
        let mut parser = Parser { text, axes, at: 0, depth: 0 };
        let (node, of) = parser.any()?;
        parser.blank();
        if parser.at < text.len() {
            return Err(parser.wrong("expected an operator or the end"));
        }
        Ok(Self { node, of })
    }

    /// What kind of value it has.
    pub(crate) fn of(&self) -> Type {
        self.of
    }

    /// Its value, `axis` giving those of the axes.
    pub(crate) fn value(&self, axis: &dyn Fn(usize) -> Outcome) -> Outcome {
        value(&self.node, axis)
    }

    /// Whether it holds.
    pub(crate) fn holds(&self, axis: &dyn Fn(usize) -> Outcome) -> bool {
        self.value(axis) == Outcome::Truth(true)
    }
}

fn value(node: &Node, axis: &dyn Fn(usize) -> Outcome) -> Outcome {
    let number = |node: &Node| match value(node, axis) {
        Outcome::Number(number) => number,
        _ => f64::NAN,
    };
    let truth = |node: &Node| value(node, axis) == Outcome::Truth(true);
    match node {
        Node::Number(number) => Outcome::Number(*number),
        Node::Text(text) => Outcome::Text(text.clone()),
        Node::Axis(index) => axis(*index),
        Node::Negative(of) => Outcome::Number(-number(of)),
        Node::Not(of) => Outcome::Truth(!truth(of)),
        Node::Call(function, of) => Outcome::Number(match function {
            Function::Floor => number(&of[0]).floor(),
            Function::Ceil => number(&of[0]).ceil(),
            Function::Round => number(&of[0]).round(),
            Function::Min => number(&of[0]).min(number(&of[1])),
            Function::Max => number(&of[0]).max(number(&of[1])),
        }),
        Node::Binary(operator, sides) => {
            let [left, right] = &**sides;
            match operator {
                Operator::Add => Outcome::Number(number(left) + number(right)),
                Operator::Subtract => Outcome::Number(number(left) - number(right)),
                Operator::Multiply => Outcome::Number(number(left) * number(right)),
                Operator::Divide => Outcome::Number(number(left) / number(right)),
                Operator::Remainder => Outcome::Number(number(left) % number(right)),
                Operator::Equal => Outcome::Truth(value(left, axis) == value(right, axis)),
                Operator::Unequal => Outcome::Truth(value(left, axis) != value(right, axis)),
                Operator::Less => Outcome::Truth(number(left) < number(right)),
                Operator::LessOrEqual => Outcome::Truth(number(left) <= number(right)),
                Operator::Greater => Outcome::Truth(number(left) > number(right)),
                Operator::GreaterOrEqual => Outcome::Truth(number(left) >= number(right)),
                Operator::And => Outcome::Truth(truth(left) && truth(right)),
                Operator::Or => Outcome::Truth(truth(left) || truth(right)),
            }
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    axes: &'t [(&'t str, Type)],
    at: usize,
    depth: u32,
}

type Parsed = Result<(Node, Type), Mistake>;

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn blank(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn mistake(&self, start: usize, message: String, label: &str) -> Mistake {
        Mistake { span: Span::new(start, self.at.max(start)), message, label: label.to_owned() }
    }

    /// What comes next does not belong here.
    fn wrong(&self, expected: &str) -> Mistake {
        let next = self.rest().chars().next().map_or(0, char::len_utf8);
        Mistake {
            span: Span::new(self.at, self.at + next),
            message: format!("`{}` is not an expression", self.text),
            label: expected.to_owned(),
        }
    }

    fn take(&mut self, mark: &str) -> bool {
        self.blank();
        let found = self.rest().starts_with(mark);
        if found {
            self.at += mark.len();
        }
        found
    }

    fn word(&self) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
        &rest[..end]
    }

    fn take_word(&mut self, word: &str) -> bool {
        self.blank();
        let found = self.word() == word;
        if found {
            self.at += word.len();
        }
        found
    }

    /// Checks that a part that was just read is of a kind.
    fn want(part: Span, found: Type, wanted: Type) -> Result<(), Mistake> {
        if found == wanted {
            return Ok(());
        }
        let message = format!("expected {}, found {}", wanted.article(), found.article());
        Err(Mistake { span: part, message, label: format!("expected {}", wanted.article()) })
    }

    /// Reads a part, and where it stands.
    fn part(&mut self, part: fn(&mut Self) -> Parsed) -> Result<(Node, Type, Span), Mistake> {
        self.blank();
        let start = self.at;
        let (node, kind) = part(self)?;
        let end = start + self.text[start..self.at].trim_end().len();
        Ok((node, kind, Span::new(start, end)))
    }

    /// Nothing is lost by joining from the left: all operators of a level are of one kind.
    fn joined(
        &mut self,
        part: fn(&mut Self) -> Parsed,
        operator: fn(&mut Self) -> Option<Operator>,
        of: Type,
    ) -> Parsed {
        let (mut left, mut kind, mut place) = self.part(part)?;
        while let Some(operator) = operator(self) {
            Self::want(place, kind, of)?;
            let (right, found, here) = self.part(part)?;
            Self::want(here, found, of)?;
            (left, kind) = (Node::Binary(operator, Box::new([left, right])), of);
            place = Span::new(place.start, here.end);
        }
        Ok((left, kind))
    }

    fn any(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.wrong("nested too deep"));
        }
        let or = |parser: &mut Self| parser.take_word("or").then_some(Operator::Or);
        let found = self.joined(Self::all, or, Type::Truth);
        self.depth -= 1;
        found
    }

    fn all(&mut self) -> Parsed {
        let and = |parser: &mut Self| parser.take_word("and").then_some(Operator::And);
        self.joined(Self::not, and, Type::Truth)
    }

    fn not(&mut self) -> Parsed {
        let mut nots = 0;
        while self.take_word("not") {
            nots += 1;
        }
        let (node, kind, place) = self.part(Self::compare)?;
        if nots == 0 {
            return Ok((node, kind));
        }
        Self::want(place, kind, Type::Truth)?;
        Ok((if nots % 2 == 0 { node } else { Node::Not(Box::new(node)) }, kind))
    }

    fn compare(&mut self) -> Parsed {
        let (left, kind, place) = self.part(Self::sum)?;
        let operators = [
            ("==", Operator::Equal),
            ("!=", Operator::Unequal),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        let Some((_, operator)) = operators.into_iter().find(|(mark, _)| self.take(mark)) else {
            return Ok((left, kind));
        };
        if !matches!(operator, Operator::Equal | Operator::Unequal) {
            Self::want(place, kind, Type::Number)?;
        }
        let (right, found, place) = self.part(Self::sum)?;
        Self::want(place, found, kind)?;
        Ok((Node::Binary(operator, Box::new([left, right])), Type::Truth))
    }

    fn sum(&mut self) -> Parsed {
        let operator = |parser: &mut Self| {
            let of = [("+", Operator::Add), ("-", Operator::Subtract)];
            of.into_iter().find(|(mark, _)| parser.take(mark)).map(|(_, operator)| operator)
        };
        self.joined(Self::product, operator, Type::Number)
    }

    fn product(&mut self) -> Parsed {
        let operator = |parser: &mut Self| {
            let of =
                [("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Remainder)];
            of.into_iter().find(|(mark, _)| parser.take(mark)).map(|(_, operator)| operator)
        };
        self.joined(Self::sign, operator, Type::Number)
    }

    fn sign(&mut self) -> Parsed {
        let mut signs = 0;
        while self.take("-") {
            signs += 1;
        }
        let (node, kind, place) = self.part(Self::atom)?;
        if signs == 0 {
            return Ok((node, kind));
        }
        Self::want(place, kind, Type::Number)?;
        Ok((if signs % 2 == 0 { node } else { Node::Negative(Box::new(node)) }, kind))
    }

    fn atom(&mut self) -> Parsed {
        self.blank();
        let start = self.at;
        match self.rest().chars().next() {
            Some('(') => {
                self.at += 1;
                let inside = self.any()?;
                if !self.take(")") {
                    return Err(self.wrong("expected `)`"));
                }
                Ok(inside)
            }
            Some('\'') => {
                let text = &self.rest()[1..];
                let Some(end) = text.find('\'') else {
                    return Err(self.wrong("this text has no end: `'` is missing"));
                };
                self.at += end + 2;
                Ok((Node::Text(text[..end].to_owned()), Type::Text))
            }
            Some('0'..='9' | '.') => self.number(),
            Some(c) if c == '_' || c.is_alphabetic() => {
                let word = self.word();
                self.at += word.len();
                if self.take("(") { self.call(start, word) } else { self.axis(start, word) }
            }
            _ => Err(self.wrong("expected a value")),
        }
    }

    fn number(&mut self) -> Parsed {
        let start = self.at;
        let bytes = self.rest().as_bytes();
        let mut end = 0;
        while let Some(&byte) = bytes.get(end) {
            let exponent = end > 0 && matches!(bytes[end - 1], b'e' | b'E');
            let part = byte.is_ascii_alphanumeric()
                || byte == b'.'
                || (exponent && matches!(byte, b'+' | b'-'));
            if !part {
                break;
            }
            end += 1;
        }
        let text = &self.rest()[..end];
        self.at += end;
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok((Node::Number(number), Type::Number)),
            _ => Err(self.mistake(start, format!("`{text}` is not a number"), "not a number")),
        }
    }

    fn axis(&self, start: usize, word: &str) -> Parsed {
        if let Some(index) = self.axes.iter().position(|(name, _)| *name == word) {
            return Ok((Node::Axis(index), self.axes[index].1));
        }
        let label = match nearest(word, self.axes.iter().map(|(name, _)| *name)) {
            Some(similar) => format!("did you mean `{similar}`?"),
            None => "no axis has this name".to_owned(),
        };
        let span = Span::new(start, start + word.len());
        Err(Mistake { span, message: format!("unknown axis `{word}`"), label })
    }

    fn call(&mut self, start: usize, word: &str) -> Parsed {
        let Some((_, function, arity)) = FUNCTIONS.into_iter().find(|(name, ..)| *name == word)
        else {
            let label = match nearest(word, FUNCTIONS.iter().map(|(name, ..)| *name)) {
                Some(similar) => format!("did you mean `{similar}`?"),
                None => "there are floor, ceil, round, min and max".to_owned(),
            };
            return Err(self.mistake(start, format!("unknown function `{word}`"), &label));
        };
        let mut of = Vec::new();
        loop {
            let (node, kind, place) = self.part(Self::any)?;
            Self::want(place, kind, Type::Number)?;
            of.push(node);
            if self.take(")") {
                break;
            }
            if !self.take(",") {
                return Err(self.wrong("expected `,` or `)`"));
            }
        }
        if of.len() != arity {
            let message = format!("`{word}` takes {arity}, found {}", of.len());
            return Err(self.mistake(start, message, "another number of values"));
        }
        Ok((Node::Call(function, of), Type::Number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AXES: [(&str, Type); 3] =
        [("dp", Type::Number), ("tp", Type::Number), ("model", Type::Text)];

    fn axis(index: usize) -> Outcome {
        match index {
            0 => Outcome::Number(8.0),
            1 => Outcome::Number(4.0),
            _ => Outcome::Text("opt-350m".to_owned()),
        }
    }

    #[test]
    fn expressions_come_to_what_arithmetic_says() {
        let number = |text: &str, expected: f64| {
            let found = Expression::parse(text, &AXES).unwrap().value(&axis);
            assert_eq!(found, Outcome::Number(expected), "{text}");
        };
        number("1 + 2 * 3", 7.0);
        number("(1 + 2) * 3", 9.0);
        number("10 - 4 - 3", 3.0);
        number("64 / dp / tp", 2.0);
        number("-dp + --1", -7.0);
        number("dp % 3", 2.0);
        number("max(min(dp, tp), 5) + floor(2.7) + ceil(0.1) + round(2.5)", 11.0);
        number("1e3 + 1.5e-1 + .5", 1000.65);
        let truth = |text: &str, expected: bool| {
            let expression = Expression::parse(text, &AXES).unwrap();
            assert_eq!(expression.of(), Type::Truth);
            assert_eq!(expression.holds(&axis), expected, "{text}");
        };
        truth("dp * tp == 32", true);
        truth("dp * tp != 32", false);
        truth("dp < 8 or dp >= 8 and tp > 4", false);
        truth("(dp < 8 or dp >= 8) and tp <= 4", true);
        truth("not model == 'opt-350m'", false);
        truth("not not (model != 'bert')", true);
        truth("0 / 0 == 1", false);
    }

    #[test]
    fn mistakes_have_their_place() {
        let check = |text: &str, span: &str, part: &str| {
            let mistake = Expression::parse(text, &AXES).unwrap_err();
            let said = format!("{}: {}", mistake.message, mistake.label);
            assert_eq!(&text[mistake.span.range()], span, "{text}: {said}");
            assert!(said.contains(part), "{part} is not in {said}");
        };
        check("dq > 1", "dq", "no axis has this name");
        check("modle == 'a'", "modle", "did you mean `model`?");
        check("dp > ", "", "expected a value");
        check("dp > 'a'", "'a'", "expected a number, found a text");
        check("model + 1", "model", "expected a number, found a text");
        check("dp and tp", "dp", "expected a condition");
        check("(dp", "", "expected `)`");
        check("dp tp", "t", "expected an operator");
        check("'open", "'", "has no end");
        check("12abc", "12abc", "not a number");
        check("flor(1)", "flor(", "did you mean `floor`?");
        check("min(1)", "min(1)", "takes 2, found 1");
        check(&"(".repeat(1000), "(", "nested too deep");
    }
}

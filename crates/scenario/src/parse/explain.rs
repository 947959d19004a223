//! A refusal in the words of the file's author.

use serde::de::DeserializeOwned;

use super::attempt::{Fuel, Refusal};
use super::expectation::{Expectation, one_of, quantity};
use crate::code;
use crate::diagnostic::Diagnostic;
use crate::document::Document;
use crate::suggest::nearest;
use crate::syntax::{Kind, Path, Span, Step, Value};

/// What is wrong, where, and what would be right.
pub(super) fn explain<T: DeserializeOwned>(
    document: &Document<'_>,
    refusal: &Refusal,
    fuel: &mut Fuel,
) -> Diagnostic {
    use ron::Error as E;
    match &refusal.error {
        E::NoSuchStructField { expected, found, .. } => {
            unknown_field(document, refusal, found, expected)
        }
        E::NoSuchEnumVariant { expected, found, .. } => {
            unknown_variant(document, refusal, found, expected)
        }
        E::MissingStructField { field, .. } => missing_field::<T>(document, refusal, field, fuel),
        E::DuplicateStructField { field, .. } => duplicate_field(document, refusal, field),
        E::ExpectedDifferentStructName { expected, found } if expected != found => {
            struct_name::<T>(document, refusal, expected, found, fuel)
        }
        _ => value::<T>(document, refusal, fuel),
    }
}

/// ` in `plan.pipelines[0]``, or nothing at the root.
fn within(path: &Path) -> String {
    if path.0.is_empty() { String::new() } else { format!(" in `{path}`") }
}

/// ` for `training.precision``, or nothing at the root.
fn of(path: &Path) -> String {
    within(path).replacen(" in ", " for ", 1)
}

/// The way to the struct that a complaint about its field `name` belongs to.
pub(super) fn holder(path: &Path, name: &str) -> Path {
    match path.split_last() {
        Some((holder, Step::Field(last))) if last == name => holder,
        _ => path.clone(),
    }
}

fn unknown_field(
    document: &Document<'_>,
    refusal: &Refusal,
    name: &str,
    expected: &[&str],
) -> Diagnostic {
    let holder = holder(&refusal.path, name);
    let found = document.found(&holder);
    let span = found
        .value
        .field(document.text(), name)
        .map_or_else(|| found.head(document.text()), |field| field.name);
    let label = match nearest(name, expected.iter().copied()) {
        Some(similar) => format!("did you mean `{similar}`?"),
        None => "no such field".to_owned(),
    };
    let message = format!("unknown field `{name}`{}", within(&holder));
    Diagnostic::error(code::UNKNOWN_FIELD, message)
        .label(document.source.place(span), label)
        .help(format!("the fields are {}", and(expected)))
}

/// `a`, `b` and `c`.
fn and(names: &[&str]) -> String {
    one_of(names).replace(" or `", " and `")
}

fn unknown_variant(
    document: &Document<'_>,
    refusal: &Refusal,
    name: &str,
    expected: &[&str],
) -> Diagnostic {
    let found = document.found(&refusal.path);
    let head = found.head(document.text());
    let span = found.value.name().unwrap_or(head);
    let label = match nearest(name, expected.iter().copied()) {
        Some(similar) => format!("did you mean `{similar}`?"),
        None => "not known here".to_owned(),
    };
    let (code, what, help) = match quantity(expected) {
        Some(quantity) => {
            let units = one_of(quantity.units);
            (code::UNIT, "unit", format!("{} is written in {units}", quantity.name))
        }
        None => (code::UNKNOWN_VARIANT, "value", format!("expected {}", one_of(expected))),
    };
    Diagnostic::error(code, format!("unknown {what} `{name}`{}", of(&refusal.path)))
        .label(document.source.place(span), label)
        .help(help)
}

fn missing_field<T: DeserializeOwned>(
    document: &Document<'_>,
    refusal: &Refusal,
    name: &str,
    fuel: &mut Fuel,
) -> Diagnostic {
    let holder = holder(&refusal.path, name);
    let found = document.found(&holder);
    let place = document.source.place(found.head(document.text()));
    let message = format!("missing field `{name}`{}", within(&holder));
    let diagnostic = Diagnostic::error(code::MISSING_FIELD, message)
        .label(place, format!("`{name}` is not given"));
    let Some(insertion) = found.value.insertion() else { return diagnostic };
    let start = format!("{}{name}: ", insertion.before);
    let mut text = document.text().to_owned();
    text.insert_str(insertion.at, &format!("{start}0"));
    let value = Span::new(insertion.at + start.len(), insertion.at + start.len() + 1);
    match Expectation::probe::<T>(&text, value, fuel).describe() {
        Some(expected) => diagnostic.help(format!("add `{name}:` with {expected}")),
        None => diagnostic,
    }
}

fn duplicate_field(document: &Document<'_>, refusal: &Refusal, name: &str) -> Diagnostic {
    let holder = holder(&refusal.path, name);
    let found = document.found(&holder);
    let message = format!("field `{name}` is given more than once{}", within(&holder));
    let mut places = found
        .value
        .fields()
        .iter()
        .filter(|field| field.name.of(document.text()) == name)
        .map(|field| document.source.place(field.name));
    let first = places.next();
    let diagnostic = Diagnostic::error(code::DUPLICATE_FIELD, message);
    let again = places.next().or(first);
    let again = again.unwrap_or_else(|| document.source.place(found.head(document.text())));
    let diagnostic = diagnostic.label(again, "given again");
    match first {
        Some(first) => diagnostic.label(first, "first given here"),
        None => diagnostic,
    }
}

fn struct_name<T: DeserializeOwned>(
    document: &Document<'_>,
    refusal: &Refusal,
    expected: &str,
    name: &str,
    fuel: &mut Fuel,
) -> Diagnostic {
    let found = document.found(&refusal.path);
    if !matches!(found.value.kind, Kind::Struct { .. } | Kind::Tuple { .. }) {
        return value::<T>(document, refusal, fuel);
    }
    let span = found.value.name().unwrap_or_else(|| found.head(document.text()));
    let message = format!("unknown name `{name}`{}", within(&refusal.path));
    Diagnostic::error(code::WRONG_KIND, message)
        .label(document.source.place(span), "not known here")
        .help(format!("write `(...)`, or `{expected}(...)`"))
}

/// A value that is not what the types want.
fn value<T: DeserializeOwned>(
    document: &Document<'_>,
    refusal: &Refusal,
    fuel: &mut Fuel,
) -> Diagnostic {
    let found = document.found(&refusal.path);
    let text = document.text();
    let written = found.value.span.of(text);
    let place = document.source.place(found.head(text));
    let field = refusal.path.last_field().map_or(String::new(), |name| format!("`{name}`: "));
    let expectation = Expectation::probe::<T>(text, found.value.span, fuel);
    let kind = found_kind(found.value, text);
    let number = found.value.kind == Kind::Number;

    if let ron::Error::Message(message) = &refusal.error {
        return Diagnostic::error(code::OUT_OF_RANGE, format!("{field}{message}"))
            .label(place, "not allowed");
    }
    match &expectation {
        Expectation::Quantity(quantity) if is_one(found.value, text, quantity.units) => {
            let unit = found.value.name().map_or(quantity.example, |name| name.of(text));
            let message = format!("{field}a unit takes one number, found `{written}`");
            return Diagnostic::error(code::UNIT, message)
                .label(place, format!("expected `{unit}(1)`"));
        }
        Expectation::Quantity(quantity) => {
            let spelling = with_unit(written, quantity.units, quantity.example);
            let message = match found.value.kind {
                Kind::Number => {
                    format!("{field}expected {} with its unit, found `{written}`", quantity.name)
                }
                _ => format!("{field}expected {} with its unit, found {kind}", quantity.name),
            };
            let label = if number { format!("write `{spelling}`") } else { "no unit".to_owned() };
            return Diagnostic::error(code::UNIT, message).label(place, label).help(format!(
                "{} is written in {}",
                quantity.name,
                one_of(quantity.units)
            ));
        }
        Expectation::Integer if number => {
            let digits = written.trim_start_matches('+');
            let why = if digits.starts_with('-') {
                "a count cannot be negative"
            } else if refusal.error == ron::Error::IntegerOutOfBounds {
                "too large"
            } else {
                "not a whole number"
            };
            let message = format!("{field}expected a whole number from 0, found `{written}`");
            return Diagnostic::error(code::OUT_OF_RANGE, message).label(place, why);
        }
        _ => {}
    }
    let Some(expected) = expectation.describe() else {
        let said = refusal.error.to_string();
        return Diagnostic::error(code::WRONG_KIND, format!("{field}{}", lower_first(&said)))
            .label(place, "not understood");
    };
    let fits = matches!(
        (&expectation, &found.value.kind),
        (Expectation::Float, Kind::Number)
            | (Expectation::Text, Kind::Text)
            | (Expectation::Struct, Kind::Struct { .. })
            | (Expectation::Tuple, Kind::Tuple { .. })
            | (Expectation::List, Kind::List { .. })
    );
    if fits
        || matches!(&expectation, Expectation::Variants(names) if is_one(found.value, text, names))
    {
        let said = lower_first(&refusal.error.to_string());
        return Diagnostic::error(code::WRONG_KIND, format!("{field}{said}"))
            .label(place, "not complete, or more than fits here");
    }
    let label = match (&expectation, &found.value.kind) {
        (Expectation::Text, Kind::Name) => format!("write `\"{written}\"`"),
        (Expectation::Variants(names), Kind::Text) => {
            match nearest(written.trim_matches('"'), names.iter().copied()) {
                Some(name) => format!("write `{name}`, without quotes"),
                None => "not a text".to_owned(),
            }
        }
        _ => "another kind of value".to_owned(),
    };
    Diagnostic::error(code::WRONG_KIND, format!("{field}expected {expected}, found {kind}"))
        .label(place, label)
}

/// The right variant with the wrong content.
fn is_one(value: &Value, text: &str, names: &[&str]) -> bool {
    value.name().is_some_and(|name| names.contains(&name.of(text)))
}

/// `80` and `80GB` as they should have been written.
fn with_unit(written: &str, units: &[&str], example: &str) -> String {
    let split = written.find(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E'));
    let (number, suffix) = written.split_at(split.unwrap_or(written.len()));
    let unit = nearest(suffix, units.iter().copied()).unwrap_or(example);
    format!("{unit}({number})")
}

fn found_kind(value: &Value, text: &str) -> String {
    let name = value.name().map(|name| name.of(text));
    match (&value.kind, name) {
        (Kind::Number, _) => format!("the number `{}`", value.span.of(text)),
        (Kind::Text, _) => "a text".to_owned(),
        (Kind::Char, _) => "a character in single quotes".to_owned(),
        (Kind::Range { .. }, _) => "a range".to_owned(),
        (Kind::List { .. }, _) => "a list".to_owned(),
        (Kind::Map { .. }, _) => "a map".to_owned(),
        (Kind::Name, _) => format!("the name `{}`", value.span.of(text)),
        (_, Some(name)) => format!("`{name}(...)`"),
        (Kind::Struct { .. }, None) => "fields in parentheses".to_owned(),
        (Kind::Tuple { items, .. }, None) if items.is_empty() => "`()`".to_owned(),
        (Kind::Tuple { .. }, None) => "values in parentheses".to_owned(),
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_lowercase().chain(chars).collect())
}

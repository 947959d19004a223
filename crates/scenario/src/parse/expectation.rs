//! What the types expect at a place, found out by asking for something impossible there.

use motley_units::{Bytes, BytesPerSec, FlopsPerSec, Hertz, Seconds, Watts};
use serde::de::DeserializeOwned;

use super::attempt::{Fuel, attempt};
use crate::syntax::Span;

/// What may stand at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expectation {
    Integer,
    Float,
    Boolean,
    Text,
    List,
    Map,
    Struct,
    Tuple,
    /// One of these variants.
    Variants(&'static [&'static str]),
    /// A number in one of the units of a quantity.
    Quantity(Quantity),
    /// In the words of the type itself.
    Other(String),
    Unknown,
}

/// A kind of quantity: how it is called, its units, one of them as an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quantity {
    pub(super) name: &'static str,
    pub(super) units: &'static [&'static str],
    pub(super) example: &'static str,
}

const QUANTITIES: [Quantity; 6] = [
    Quantity { name: "a size", units: Bytes::UNITS, example: "GiB" },
    Quantity { name: "a rate", units: BytesPerSec::UNITS, example: "Gbps" },
    Quantity { name: "a duration", units: Seconds::UNITS, example: "Ms" },
    Quantity { name: "a compute rate", units: FlopsPerSec::UNITS, example: "TFlops" },
    Quantity { name: "a frequency", units: Hertz::UNITS, example: "MHz" },
    Quantity { name: "a power", units: Watts::UNITS, example: "W" },
];

/// The quantity that has these units.
pub(super) fn quantity(variants: &[&str]) -> Option<Quantity> {
    QUANTITIES.into_iter().find(|quantity| quantity.units == variants)
}

/// A name that no type has.
const PROBE: &str = "impossible__";

impl Expectation {
    /// What `T` expects at `span` of `text`.
    pub(super) fn probe<T: DeserializeOwned>(text: &str, span: Span, fuel: &mut Fuel) -> Self {
        use ron::Error as E;
        let mut probed = text.to_owned();
        probed.replace_range(span.range(), PROBE);
        let Some(Err(refusal)) = attempt::<T>(&probed, fuel) else { return Self::Unknown };
        match refusal.error {
            E::NoSuchEnumVariant { expected, found, .. } if found == PROBE => {
                quantity(expected).map_or(Self::Variants(expected), Self::Quantity)
            }
            E::ExpectedInteger => Self::Integer,
            E::ExpectedFloat => Self::Float,
            E::ExpectedBoolean => Self::Boolean,
            E::ExpectedString => Self::Text,
            E::ExpectedArray => Self::List,
            E::ExpectedMap => Self::Map,
            E::ExpectedDifferentStructName { .. } | E::ExpectedNamedStructLike(_) => Self::Struct,
            E::ExpectedStructLike => Self::Tuple,
            E::InvalidValueForType { expected, .. } => Self::Other(expected),
            _ => Self::Unknown,
        }
    }

    /// In words, for "expected ...".
    pub(super) fn describe(&self) -> Option<String> {
        Some(match self {
            Self::Integer => "a whole number".to_owned(),
            Self::Float => "a number".to_owned(),
            Self::Boolean => "`true` or `false`".to_owned(),
            Self::Text => "a text in double quotes".to_owned(),
            Self::List => "a list, `[...]`".to_owned(),
            Self::Map => "a map, `{key: value}`".to_owned(),
            Self::Struct => "fields in parentheses, `(name: value, ...)`".to_owned(),
            Self::Tuple => "values in parentheses, `(...)`".to_owned(),
            Self::Variants(names) => one_of(names),
            Self::Quantity(q) => {
                format!("{} with its unit, such as `{}(1)`", q.name, q.example)
            }
            Self::Other(words) => words.clone(),
            Self::Unknown => return None,
        })
    }

    /// Texts of which one may fit, the likeliest first.
    pub(super) fn candidates(&self) -> Vec<String> {
        let scalars = ["1", "\"\"", "false", "[]", "()", "0..1", "{}", "(1, 1)", "(\"\")"];
        let only = |text: &str| vec![text.to_owned()];
        match self {
            Self::Integer | Self::Float => only("1"),
            Self::Boolean => only("false"),
            Self::Text => only("\"\""),
            Self::List => only("[]"),
            Self::Map => only("{}"),
            Self::Struct => vec!["()".to_owned(), "0..1".to_owned()],
            Self::Quantity(quantity) => vec![format!("{}(1)", quantity.units[0])],
            Self::Variants(names) => {
                let content = ["", "(1)", "(\"\")", "()", "([])"];
                content
                    .iter()
                    .flat_map(|content| names.iter().map(move |name| format!("{name}{content}")))
                    .collect()
            }
            Self::Tuple | Self::Other(_) | Self::Unknown => scalars.map(ToOwned::to_owned).to_vec(),
        }
    }
}

/// `a`, `b` or `c`.
pub(super) fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    }
}

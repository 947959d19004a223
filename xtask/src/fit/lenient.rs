//! Numbers and switches that some sources write as text.

use serde::{Deserialize, Deserializer, de};

/// A number, also written as `"4096"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Number(pub(crate) f64);

/// `true` or `false`, also written as `"True"` or `"False"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Switch(pub(crate) bool);

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Switch(bool),
    Number(f64),
    Text(String),
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = match Written::deserialize(deserializer)? {
            Written::Number(value) => Some(value),
            Written::Text(text) => text.parse().ok(),
            Written::Switch(_) => None,
        };
        value.map(Self).ok_or_else(|| de::Error::custom("expected a number"))
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = match Written::deserialize(deserializer)? {
            Written::Switch(value) => Some(value),
            Written::Text(text) => text.to_ascii_lowercase().parse().ok(),
            Written::Number(_) => None,
        };
        value.map(Self).ok_or_else(|| de::Error::custom("expected true or false"))
    }
}

//! What two scenario files ask for differently.

use motley_scenario::raw::RawScenario;
use serde::Serialize;
use serde_json::Value;

/// A field that two scenarios give unlike values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where, as `--set` writes it.
    pub path: String,
    /// What the first has there; none if it has nothing.
    pub first: Option<String>,
    /// What the second has.
    pub second: Option<String>,
}

/// What is about people, not about the simulation.
const WORDS: [&str; 3] = ["question", "sources", "published"];

/// All fields with unlike values, those that follow from defaults included.
pub(crate) fn differences(both: [&RawScenario; 2]) -> Vec<Difference> {
    let [first, second] = both.map(|raw| serde_json::to_value(raw).unwrap_or_default());
    let mut list = Vec::new();
    walk("", Some(&first), Some(&second), &mut list);
    list.retain(|difference| !WORDS.iter().any(|word| difference.path.starts_with(word)));
    list
}

fn walk(path: &str, first: Option<&Value>, second: Option<&Value>, list: &mut Vec<Difference>) {
    match (first, second) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let only = other.keys().filter(|key| !one.contains_key(*key));
            for key in one.keys().chain(only) {
                let dot = if path.is_empty() { "" } else { "." };
                walk(&format!("{path}{dot}{key}"), one.get(key), other.get(key), list);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            for index in 0..one.len().max(other.len()) {
                walk(&format!("{path}[{index}]"), one.get(index), other.get(index), list);
            }
        }
        (one, other) if one == other => {}
        (one, other) => {
            let written = |value: Option<&Value>| value.map(brief);
            let (first, second) = (written(one), written(other));
            list.push(Difference { path: path.to_owned(), first, second });
        }
    }
}

/// A value in a few words; names without quotes.
fn brief(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unlike_values_are_found_with_their_places() {
        let one = json!({"a": {"b": [1, 2, 3], "c": "x"}, "d": null});
        let other = json!({"a": {"b": [1, 4], "e": true}, "d": null});
        let mut list = Vec::new();
        walk("", Some(&one), Some(&other), &mut list);
        let found: Vec<String> = list
            .iter()
            .map(|each| {
                let of = |value: &Option<String>| value.clone().unwrap_or("-".to_owned());
                format!("{} {} {}", each.path, of(&each.first), of(&each.second))
            })
            .collect();
        assert_eq!(found, ["a.b[1] 2 4", "a.b[2] 3 -", "a.c x -", "a.e - true"]);
        list.clear();
        walk("", Some(&one), Some(&one), &mut list);
        assert!(list.is_empty());
    }
}

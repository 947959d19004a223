//! Parts of a row laid over each other.

use serde_json::{Map, Value};

/// Lays `over` onto `onto`: objects field by field, anything else in place of what was there. Null is
/// what a source does not state, and changes nothing.
pub(super) fn lay(onto: &mut Value, over: &Value) {
    match (onto, over) {
        (_, Value::Null) => {}
        (Value::Object(onto), Value::Object(over)) => {
            for (name, value) in over {
                lay(onto.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (onto, value) => *onto = value.clone(),
    }
}

/// The row that says one thing: `parallel.tp` is `{"parallel": {"tp": value}}`.
pub(super) fn at(path: &str, value: Value) -> Value {
    path.rsplit('.')
        .fold(value, |inner, name| Value::Object(Map::from_iter([(name.to_owned(), inner)])))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_said_later_counts() {
        let check = |parts: &[Value], expected: Value| {
            let mut row = json!({});
            for part in parts {
                lay(&mut row, part);
            }
            assert_eq!(row, expected, "{parts:?}");
        };
        check(&[at("a.b", json!(1)), at("a.c", json!(2))], json!({"a": {"b": 1, "c": 2}}));
        check(&[at("a", json!({"b": 1})), at("a.b", json!(2))], json!({"a": {"b": 2}}));
        check(&[at("a", json!([1, 2])), at("a", json!([3]))], json!({"a": [3]}));
        check(&[at("a", json!(1)), at("a", Value::Null), Value::Null], json!({"a": 1}));
    }
}

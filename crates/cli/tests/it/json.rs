//! The JSON's shape.

use serde_json::Value;

use crate::command::{MIXED, answer, folder_with};

/// What a number's key may end in.
const UNITS: [&str; 10] = [
    "_s", "_per_s", "_bytes", "_ratio", "_count", "_index", "_usd", "_tokens", "_flops", "_version",
];

/// Every number stands under a key that ends in its unit.
pub(crate) fn check(text: &str) -> Value {
    let document: Value = serde_json::from_str(text).unwrap();
    for key in ["schema_version", "tool_version", "scenario_hash", "seed"] {
        assert!(document.get(key).is_some(), "{key} is missing");
    }
    assert!(document["schema_version"].is_u64());
    assert_eq!(document["tool_version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["scenario_hash"].as_str().unwrap().len(), 64);
    assert!(document["seed"].is_u64());
    walk("", &document);
    for word in ["NaN", "nan", "inf", "Infinity", "timings", "wall"] {
        assert!(!text.contains(&format!(": {word}")) && !text.contains(&format!("\"{word}")));
    }
    assert!(text.ends_with("}\n"));
    document
}

fn walk(key: &str, value: &Value) {
    match value {
        Value::Number(number) => {
            let named = key == "seed" || UNITS.iter().any(|unit| key.ends_with(unit));
            assert!(named, "`{key}` does not name its unit");
            assert!(number.as_f64().unwrap().is_finite(), "{key}");
        }
        Value::Array(items) => items.iter().for_each(|item| walk(key, item)),
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| {
                let snake =
                    key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
                assert!(snake, "{key}");
                walk(key, value);
            });
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The iteration's parts sum to its time, and rates follow from it.
#[test]
fn figures_agree_with_each_other() {
    let folder = folder_with("it.ron", MIXED);
    let report = check(&answer(folder.path(), &["run", "it.ron", "--format", "json"]));
    let number = |pointer: &str| report.pointer(pointer).unwrap().as_f64().unwrap();
    let near = |found: f64, expected: f64| {
        assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{found} {expected}");
    };
    let time = number("/iteration_time/mean_s");
    let parts = report["breakdown"].as_object().unwrap();
    near(parts.values().filter_map(Value::as_f64).sum(), time);
    let compute = report["breakdown"]["compute"].as_object().unwrap();
    near(compute.values().filter_map(Value::as_f64).sum(), number("/breakdown/compute_s"));
    near(number("/efficiency/samples_per_s"), 64.0 / time);
    near(number("/efficiency/tokens_per_s"), 64.0 * 1024.0 / time);
    near(
        number("/efficiency/mfu_ratio"),
        number("/efficiency/model_flops") / time / number("/efficiency/peak_flops_per_s"),
    );
    near(number("/bubble_ratio"), number("/breakdown/bubble_s") / time);
    near(
        number("/imbalance/loss_ratio"),
        1.0 - number("/imbalance/balanced_iteration_time_s") / time,
    );
    for card in report["card_types"].as_array().unwrap() {
        let used = &card["used"];
        let ratio = |key: &str| used[key].as_f64().unwrap();
        near(ratio("compute_ratio") + ratio("exposed_ratio") + ratio("wait_ratio"), 1.0);
        let parts: f64 =
            used["memory"].as_object().unwrap().values().map(|part| part.as_f64().unwrap()).sum();
        // What is cached need not fit.
        let cached = used["memory"]["cached_bytes"].as_f64().unwrap();
        near(parts - cached, ratio("peak_memory_bytes"));
    }
}

/// Wall-clock figures come only where they are asked for, and change nothing else.
#[test]
fn timings_are_added_on_request() {
    let folder = folder_with("it.ron", MIXED);
    let plain = answer(folder.path(), &["run", "it.ron", "--format", "json"]);
    let timed = answer(folder.path(), &["run", "it.ron", "--format", "json", "--timings"]);
    let mut document: Value = serde_json::from_str(&timed).unwrap();
    let timings = document.as_object_mut().unwrap().remove("timings").unwrap();
    let timings = timings.as_object().unwrap();
    assert!(!timings.is_empty());
    for (key, value) in timings {
        assert!(key.ends_with("_s") && value.as_f64().unwrap() >= 0.0, "{key}: {value}");
    }
    assert_eq!(document, check(&plain));
    // The rest of the text is the same to the byte, and in the same order.
    assert!(timed.starts_with(plain.trim_end().trim_end_matches('}').trim_end()));
}

//! The JSON keeps its contract: units in names, no NaN, one order.

use motley_report::{Provenance, Report, json, text};
use motley_scheduler::Fidelity;
use serde_json::Value;

use crate::fixture::mixed;

/// What a numeric key may end in.
const UNITS: [&str; 9] =
    ["_s", "_ratio", "_bytes", "_count", "_per_s", "_flops", "_usd", "_tokens", "_index"];

/// Numbers that are no quantities.
const PLAIN: [&str; 2] = ["schema_version", "seed"];

fn check_units(key: &str, value: &Value, numbers: &mut usize) {
    match value {
        Value::Number(number) => {
            *numbers += 1;
            assert!(number.as_f64().is_some_and(f64::is_finite), "{key}: {number}");
            let known = UNITS.iter().any(|unit| key.ends_with(unit)) || PLAIN.contains(&key);
            assert!(known, "`{key}` does not end in its unit");
        }
        Value::Array(list) => list.iter().for_each(|value| check_units(key, value, numbers)),
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| check_units(key, value, numbers));
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn provenance() -> Provenance<'static> {
    Provenance { tool_version: "0.1.0", scenario_hash: "00ff", seed: 7 }
}

#[test]
fn every_number_names_its_unit() {
    let fixture = mixed();
    let run = fixture.run();
    let report = Report::new(&fixture.subject(), std::slice::from_ref(&run), Some(&run)).unwrap();
    let text = json(&report, &provenance()).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    let mut numbers = 0;
    check_units("", &value, &mut numbers);
    assert!(numbers > 100, "{numbers}");
    for key in ["schema_version", "tool_version", "scenario_hash", "seed"] {
        assert!(value.get(key).is_some(), "{key}");
    }
    assert!(!text.contains("NaN") && text.ends_with("}\n"));
    assert_eq!(text, json(&report, &provenance()).unwrap());
}

/// How finely communication was simulated is said where it is not the usual way.
#[test]
fn fidelity_is_told() {
    let mut fixture = mixed();
    for (fidelity, told) in [(Fidelity::Bundled, None), (Fidelity::Pairwise, Some("pairwise"))] {
        fixture.lowered.fidelity = fidelity;
        let report = Report::new(&fixture.subject(), &[fixture.run()], None).unwrap();
        let value: Value = serde_json::from_str(&json(&report, &provenance()).unwrap()).unwrap();
        assert_eq!(value["simulated"].get("fidelity").and_then(Value::as_str), told);
        let page = text(&report);
        assert_eq!(page.contains("pairwise"), told.is_some(), "{page}");
    }
}

#[test]
fn what_has_no_value_is_null() {
    // A precision whose peak one card lacks, and an iteration of no time: nothing to divide by.
    let mut fixture = mixed();
    fixture.lowered.paths[3].math = motley_hardware::MathPath::Fp8Tensor;
    for rank in &mut fixture.lowered.job.ranks {
        rank.program = motley_job::ProgramId(4);
    }
    fixture.lowered.job.programs.push(motley_job::Program::default());
    let run = fixture.run();
    let report = Report::new(&fixture.subject(), std::slice::from_ref(&run), Some(&run)).unwrap();
    let value: Value = serde_json::from_str(&json(&report, &provenance()).unwrap()).unwrap();
    check_units("", &value, &mut 0);
    assert_eq!(value["efficiency"]["heterogeneous_mfu_ratio"], Value::Null);
    assert_eq!(value["cost_per_million_tokens_usd"], Value::Null);
    assert_eq!(value["iteration_time"]["ci95_half_width_s"], Value::Null);
    assert!(!text(&report).contains("NaN"));
}

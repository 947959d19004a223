//! What is wrong with a file is said at its line, with what was probably meant.

use motley_study::runs::parse;
use motley_study::{Concern, Grouping, Selection};

use crate::validated;

fn check(text: &str, expected: &[&str]) {
    let error = parse([("runs.jsonl", text)]).unwrap_err().to_string();
    let found: Vec<&str> = error.split("\nerror: ").collect();
    assert_eq!(found, expected);
}

#[test]
fn each_mistake_has_its_line() {
    check("{\"id\": \"a\"}\n\n{\"id\": }", &["runs.jsonl:3: column 8: not JSON: expected value"]);
    check("[1]", &["runs.jsonl:1: a row is a JSON object, `{\"id\": ..., \"model\": ...}`"]);
    check("{\"source\": {}}", &["runs.jsonl:1: a row needs an `id`"]);
    check(
        r#"{"id": "a", "paralel": {}, "model": {"hiden": 3, "moe": {"expert": 8}}}"#,
        &[
            "runs.jsonl:1: `paralel` is not a field of a row; did you mean `parallel`?",
            "runs.jsonl:1: `model.hiden` is not a field of a row; did you mean `hidden`?",
            "runs.jsonl:1: `model.moe.expert` is not a field of a row; did you mean `experts`?",
        ],
    );
    check(
        r#"{"id": "a", "hardware": {"groups": [{}, {"devise": "t4"}]}}"#,
        &[
            "runs.jsonl:1: `hardware.groups[1].devise` is not a field of a row; did you mean `device`?",
        ],
    );
    check(
        "{\"id\": \"a\", \"parallel\": {\"tp\": \"8\"}}\n{\"id\": \"b\", \"parallel\": {\"tp\": 8.5}}",
        &[
            "runs.jsonl:1: `parallel.tp`: invalid type: string \"8\", expected a whole number of 0 or more",
            "runs.jsonl:2: `parallel.tp`: invalid value: floating point `8.5`, expected a whole number of 0 or more",
        ],
    );
    check(
        r#"{"id": "a", "parallel": {"dp": -1}}"#,
        &[
            "runs.jsonl:1: `parallel.dp`: invalid type: integer `-1`, expected a whole number of 0 or more",
        ],
    );
}

/// A field that the schema cannot mean is not lost: its row is kept, and not predicted.
#[test]
fn a_field_that_nobody_knows_stops_its_row_alone() {
    let text = "{\"id\": \"a\", \"parallel\": {\"quantum_degree\": 2}}\n{\"id\": \"b\"}";
    let verdicts = validated(text).verdicts;
    assert_eq!(verdicts[0].concern, Some(Concern::UnknownField));
    assert!(verdicts[0].reason.as_ref().unwrap().contains("parallel.quantum_degree"));
    assert_eq!(verdicts[1].concern, Some(Concern::NotStated));
}

#[test]
fn words_of_the_source_are_let_through() {
    let text = r#"{"id": "a", "notes": "n", "confidence": "c", "source": {"url": "u"},
        "model": {"notes": "m"}, "hardware": {"gpu": "A100", "intra_link": "l"},
        "parallel": {"zero_text": 1, "anything_text": []}, "measured": {"figure": 3}}"#;
    assert_eq!(validated(&text.replace('\n', " ")).verdicts[0].concern, Some(Concern::NotStated));
}

#[test]
fn filters_and_groups_that_mean_nothing() {
    let check = |found: String, part: &str| assert!(found.contains(part), "{found}");
    check(Grouping::parse("source,devise").unwrap_err().to_string(), "did you mean `device`?");
    check(Selection::new(["colour=red"], None).unwrap_err().to_string(), "known: source, device");
}

//! `motley catalog`.

use std::path::Path;

use motley_workload::Model;
use serde_json::Value;

use crate::command::{MIXED, answer, changed, folder_with, motley};

/// Kinds whose entries can be shown.
const KINDS: [&str; 6] = ["devices", "nodes", "nics", "fabrics", "models", "sources"];

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn ids(kind: &str) -> Vec<String> {
    let listing = answer(here(), &["catalog", kind, "--format", "json"]);
    let id = |line: &str| {
        let entry: Value = serde_json::from_str(line).unwrap();
        assert!(!entry["description"].as_str().unwrap().is_empty(), "{line}");
        entry["id"].as_str().unwrap().to_owned()
    };
    listing.lines().map(id).collect()
}

/// The table lists what the JSON does, under a heading, in the same order.
#[test]
fn both_formats_list_the_same() {
    for kind in KINDS {
        let ids = ids(kind);
        assert!(!ids.is_empty(), "{kind}");
        let table = answer(here(), &["catalog", kind]);
        // What goes on below is indented.
        let rows: Vec<&str> = table.lines().skip(1).filter(|line| !line.starts_with(' ')).collect();
        assert_eq!(rows.len(), ids.len(), "{kind}");
        for (line, id) in rows.iter().zip(&ids) {
            assert_eq!(line.split("  ").next(), Some(id.as_str()), "{id} is not in {line}");
        }
    }
    let all = answer(here(), &["catalog"]);
    for kind in ["devices", "nodes", "nics", "fabrics", "models"] {
        assert!(all.contains(&answer(here(), &["catalog", kind])), "{kind}");
    }
}

#[test]
fn every_entry_can_be_shown() {
    for kind in KINDS {
        // Sources are many and all alike.
        let step = if kind == "sources" { 10 } else { 1 };
        for id in ids(kind).iter().step_by(step) {
            let text = answer(here(), &["catalog", kind, id]);
            assert!(text.lines().count() > 1, "{kind} {id}: {text}");
            let json = answer(here(), &["catalog", kind, id, "--format", "json"]);
            let entry: Value = serde_json::from_str(&json).unwrap();
            assert!(entry.is_object(), "{kind} {id}");
        }
    }
}

#[test]
fn what_is_not_there_is_refused() {
    for kind in KINDS {
        for format in ["text", "json"] {
            let ran = motley(here(), &["catalog", kind, "no-such-thing", "--format", format]);
            assert_eq!(ran.code, Some(2), "{kind}");
            assert_eq!(ran.stdout, "");
            assert!(ran.stderr.starts_with("error: unknown "), "{}", ran.stderr);
            assert!(ran.stderr.contains("no-such-thing"), "{}", ran.stderr);
        }
    }
    let ran = motley(here(), &["catalog", "gpus"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("devices"), "{}", ran.stderr);
}

/// What the catalogue prints of a model is what a scenario can hold.
#[test]
fn a_model_is_printed_as_scenarios_write_it() {
    for model in ["gpt3-350m", "mixtral-8x7b"] {
        let printed = answer(here(), &["catalog", "models", model]);
        assert!(printed.starts_with("// "), "{printed}");
        let split = ("pp: 2,", "pp: 2, sequence_parallel: true,");
        let scenario = changed(MIXED, &[("Preset(\"gpt3-350m\")", printed.trim_end()), split]);
        let folder = folder_with("it.ron", scenario);
        let ran = motley(folder.path(), &["check", "it.ron"]);
        assert!(ran.code.is_some_and(|code| code < 2), "{}", ran.stderr);
    }
}

/// What the catalogue prints of a fabric is the scenario that names it.
#[test]
fn a_fabric_is_printed_as_scenarios_write_it() {
    let hash = |fabric: &str| {
        let scenario = format!(
            "(
                cluster: (
                    groups: [(design: \"hgx-h800\", count: 2, nic: \"roce-400\")],
                    fabric: {fabric},
                ),
                model: Preset(\"gpt3-125m\"),
                training: (global_batch: 16, sequence_length: 512, precision: Bf16),
                plan: Uniform(dp: 16, tp: 1, pp: 1, micro_batch_size: 1),
            )"
        );
        let folder = folder_with("it.ron", scenario);
        let report = answer(folder.path(), &["run", "it.ron", "--format", "json"]);
        serde_json::from_str::<Value>(&report).unwrap()["scenario_hash"].clone()
    };
    for fabric in ["hpn7", "meta24k"] {
        let printed = answer(here(), &["catalog", "fabrics", fabric]);
        assert!(printed.starts_with("// "), "{printed}");
        let named = hash(&format!("Preset({fabric:?})"));
        assert!(named.is_string() && named == hash(printed.trim_end()), "{fabric}: {named}");
    }
    assert_ne!(hash("Preset(\"hpn7\")"), hash("Preset(\"meta24k\")"));
}

/// Every card, node and model that is listed can be used.
#[test]
fn every_listed_model_and_node_runs() {
    let run = |design: &str, fabric: &str, model: &str, sequence: &str| {
        let text = format!(
            "Scenario(
                cluster: (groups: [(design: \"{design}\", count: 2)], fabric: (technology: {fabric})),
                model: Preset(\"{model}\"),
                training: (global_batch: 64, {sequence}precision: Fp16),
                plan: Explicit(pipelines: [(micro_batches: 64, micro_batch_size: 1, stages: [
                    (gpus: 0..1, layers: 0..1),
                ])]),
            )"
        );
        let folder = folder_with("it.ron", text);
        motley(folder.path(), &["check", "it.ron"])
    };
    let tokens = "sequence_length: 512, ";
    for design in ids("nodes") {
        let fits = ["InfiniBand", "RoCE", "Ethernet", "Efa"]
            .map(|fabric| run(&design, fabric, "gpt3-125m", tokens).stderr)
            .into_iter()
            .filter(|stderr| !stderr.contains("E0402"))
            .count();
        assert_eq!(fits, 1, "{design}: its NICs speak one technology");
    }
    for model in ids("models") {
        let images = Model::preset(&model).is_some_and(|model| model.tokens().is_none());
        let ran = run("dgx-a100", "InfiniBand", &model, if images { "" } else { tokens });
        assert_eq!(ran.stderr.matches("error[").count(), 1, "{model}: {}", ran.stderr);
        assert!(ran.stderr.contains("the stages hold 1 layers"), "{model}: {}", ran.stderr);
    }
}

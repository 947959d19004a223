//! What rows leave open, and what stands for it.

use motley_scenario::raw::{
    RawAttention, RawDispatch, RawFabric, RawGradientSync, RawPlan, RawReduction, RawScenario,
    RawSchedule, RawSplit,
};
use motley_study::translate::{Concern, scenario};
use motley_units::BytesPerSec;
use motley_workload::{Description, Fp8Recipe, Layer, Positions, Precision};
use serde_json::{Value, json};

use crate::rows;

/// A row that states all that is needed, and no more.
fn plain() -> Value {
    json!({
        "id": "x-1",
        "source": {"name": "Megatron-LM", "year": 2022},
        "model": {"name": "m", "layers": 24, "hidden": 2048, "heads": 16, "vocab": 50257,
                  "seq": 2048, "gated_mlp": false, "tied_embeddings": true},
        "hardware": {"device": "a100-sxm-80", "gpus": 16, "gpus_per_node": 8,
                     "gpu_link": "nvswitch",
                     "fabric": {"kind": "infiniband", "gbps_per_node": 1600}},
        "parallel": {"tp": 4, "pp": 2, "dp": 2, "zero": 0, "mbs": 1, "gbs": 32,
                     "precision": "fp16", "recompute": "none"}
    })
}

/// The plain row with these fields changed.
fn changed(changes: Value) -> Result<(RawScenario, Vec<String>), Concern> {
    let mut row = plain();
    merge(&mut row, changes);
    let runs = rows(&row.to_string());
    match scenario(&runs.rows[0].0) {
        Ok(translated) => Ok((translated.raw, translated.assumptions)),
        Err(unsupported) => Err(unsupported.concern),
    }
}

fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (name, value) in changes {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, value) => *into = value,
    }
}

#[test]
fn what_motley_cannot_express_is_refused_with_its_concern() {
    let check = |changes: Value, concern: Concern| {
        assert_eq!(changed(changes.clone()).unwrap_err(), concern, "{changes}");
    };
    check(json!({"hardware": {"device": "tpu-v4"}}), Concern::Hardware);
    check(json!({"hardware": {"gpu_link": "carrier pigeon"}}), Concern::Hardware);
    check(json!({"hardware": {"fabric": {"kind": "token ring"}}}), Concern::Hardware);
    check(json!({"hardware": {"gpus": 12}}), Concern::Contradiction);
    check(json!({"model": {"heads": 15}}), Concern::Contradiction);
    check(json!({"model": {"heads": null}}), Concern::NotStated);
    check(json!({"model": {"attention": "MHA with cross attention"}}), Concern::Model);
    check(json!({"parallel": {"gbs": 33}}), Concern::Contradiction);
    check(json!({"parallel": {"precision": "fp1"}}), Concern::Precision);
    check(json!({"parallel": {"optimizer": "shampoo"}}), Concern::Training);
    check(json!({"parallel": {"batch_unit": "tokens"}}), Concern::Training);
    check(json!({"parallel": {"schedule": "snake"}}), Concern::Schedule);
    check(json!({"parallel": {"schedule": "interleaved"}}), Concern::NotStated);
    check(json!({"parallel": {"overlap_text": "inference fwd"}}), Concern::NotTraining);
    check(json!({"parallel": {"recompute": "some"}}), Concern::Training);
}

#[test]
fn ranks_that_share() {
    let plan = |changes: Value| changed(changes).unwrap().0.plan;
    let check = |changes: Value, stage: Option<u32>, gathers: Option<bool>| {
        let RawPlan::Uniform { zero, .. } = plan(changes.clone()) else { panic!() };
        assert_eq!(zero.map(|zero| zero.stage), stage, "{changes}");
        assert_eq!(zero.and_then(|zero| zero.overlap_gather), gathers, "{changes}");
    };
    check(json!({"parallel": {"zero": 0}}), None, None);
    check(json!({"parallel": {"zero": 1}}), Some(1), None);
    check(json!({"parallel": {"zero": 3}}), Some(3), None);
    let core = json!({"source": {"name": "NeMo"}, "parallel": {"zero": 1}});
    check(core, Some(1), Some(true));
    // A single replica has nobody to share with.
    check(json!({"parallel": {"zero": 1, "dp": 1, "tp": 8}}), None, None);
    assert_eq!(changed(json!({"parallel": {"zero": 4}})).unwrap_err(), Concern::Sharding);

    let RawPlan::Uniform { cp, ep, etp, .. } = plan(json!({
        "model": {"moe": {"experts": 8, "topk": 2, "moe_ffn": 1024}},
        "parallel": {"cp": 2, "dp": 1, "ep": 2, "etp": 1}
    })) else {
        panic!()
    };
    assert_eq!((cp, ep, etp), (2, 2, Some(1)));
}

#[test]
fn software_stacks_have_their_own_defaults() {
    let check =
        |source: &str, year: u32, precision: &str, expected: (u32, bool, bool, RawAttention)| {
            let source = json!({"source": {"name": source, "year": year},
                            "parallel": {"precision": precision}});
            let (raw, _) = changed(source.clone()).unwrap();
            let RawPlan::Uniform { gradient_sync, .. } = raw.plan else { panic!("{source}") };
            let overlapped = matches!(gradient_sync, RawGradientSync::Overlapped { .. });
            let training = &raw.training;
            let found = (
                training.gradient_bytes,
                training.fused_gradient_accumulation,
                overlapped,
                training.attention,
            );
            assert_eq!(found, expected, "{source}");
        };
    let (flash, unfused) = (RawAttention::FlashWhereSupported, RawAttention::Unfused);
    check("Megatron-LM", 2021, "fp16", (2, false, false, unfused));
    check("Megatron-LM", 2022, "bf16", (4, true, false, unfused));
    check("NeMo performance page", 2024, "bf16", (4, true, true, flash));
    check("NVIDIA Megatron-Bridge performance summary", 2025, "bf16", (2, true, true, flash));
    check("BigScience chronicles", 2022, "fp16", (2, false, false, unfused));
    check("nanotron sweep", 2025, "bf16", (4, false, true, flash));
    check("llm-foundry", 2023, "bf16", (2, false, true, flash));
    check("Somebody", 2020, "fp16", (2, false, false, unfused));
}

#[test]
fn flash_attention_needs_half_precision() {
    let check = |precision: &str, expected: RawAttention| {
        let parallel = json!({"flash_attention": true, "precision": precision});
        let (raw, _) = changed(json!({"parallel": parallel})).unwrap();
        assert_eq!(raw.training.attention, expected, "{precision}");
    };
    check("bf16", RawAttention::Flash);
    check("fp8", RawAttention::Flash);
    check("tf32", RawAttention::Unfused);
    check("fp32", RawAttention::Unfused);
}

#[test]
fn assumptions_are_told() {
    let (raw, assumptions) =
        changed(json!({"parallel": {"mbs": null, "recompute": null}})).unwrap();
    let told =
        |part: &str| assert!(assumptions.iter().any(|a| a.contains(part)), "{assumptions:?}");
    told("micro-batch not stated");
    told("recomputation not stated");
    told("vocabulary of 50257 padded to 50688");
    told("node design: dgx-a100");
    assert_eq!(raw.training.precision, Precision::Fp16);
    let (_, assumptions) = changed(json!({})).unwrap();
    assert!(!assumptions.iter().any(|assumption| assumption.contains("micro-batch")));
}

/// The rate of a switch port where it is not that of the NICs.
fn port(fabric: RawFabric) -> Option<BytesPerSec> {
    let RawFabric::Written(fabric) = fabric else { panic!("rows name no fabric: {fabric:?}") };
    fabric.port
}

#[test]
fn machines_by_link_and_rate() {
    let check = |hardware: Value, design: &str, nic: Option<&str>, port_gbps: Option<f64>| {
        let (raw, _) = changed(json!({"hardware": hardware.clone()})).unwrap();
        let group = &raw.cluster.groups[0];
        assert_eq!(group.design, design, "{hardware}");
        assert_eq!(group.nic.as_deref(), nic, "{hardware}");
        assert_eq!(
            port(raw.cluster.fabric.unwrap()).map(|port| port.0 * 8.0 / 1e9),
            port_gbps,
            "{hardware}"
        );
    };
    check(json!({}), "dgx-a100", None, None);
    let fabric = |kind: &str, rate: f64| json!({"fabric": {"kind": kind, "gbps_per_node": rate}});
    check(fabric("roce", 800.0), "dgx-a100", Some("roce-100"), None);
    check(fabric("roce", 1600.0), "dgx-a100", Some("roce-200"), None);
    check(fabric("efa", 400.0), "p4de.24xlarge", None, None);
    check(fabric("omni-path", 400.0), "dgx-a100", Some("edr"), Some(50.0));
    // A rate from memory is better than none.
    check(
        json!({"fabric": {"kind": "infiniband", "gbps_per_node": 200, "stated": false}}),
        "dgx-a100",
        Some("edr"),
        Some(25.0),
    );
    check(json!({"device": "h800-sxm"}), "hgx-h800", Some("cx6-hdr"), None);
    check(
        json!({"device": "v100-sxm2-32", "gpu_link": "nvlink-cube-mesh",
               "fabric": {"gbps_per_node": 400}}),
        "dgx1-v100",
        None,
        None,
    );
}

/// 16 trays of four cards are one part of a rack, 32 are two; NICs are those of all trays together.
#[test]
fn trays_are_parts_of_racks() {
    let check = |gpus: u32, design: &str, racks: u32, nic: Option<&str>| {
        let (raw, _) = changed(json!({
            "hardware": {"device": "gb200", "gpus": gpus, "nodes": gpus / 4, "gpus_per_node": 4,
                         "gpu_link": "nvl72",
                         "fabric": {"kind": "infiniband", "gbps_per_node": 1600}},
            "parallel": {"dp": gpus / 8, "gbs": 64, "precision": "mxfp8"}
        }))
        .unwrap();
        let group = &raw.cluster.groups[0];
        assert_eq!((group.design.as_str(), group.count), (design, racks), "{gpus}");
        assert_eq!(group.nic.as_deref(), nic, "{gpus}");
        assert_eq!(raw.cluster.fabric.is_some(), racks > 1, "{gpus}");
        assert_eq!(raw.cluster.fabric.and_then(port), None, "{gpus}");
    };
    check(8, "gb200-nvl8", 1, None);
    check(64, "gb200-nvl64", 1, None);
    check(128, "gb200-nvl64", 2, None);
    check(512, "gb200-nvl64", 8, None);
}

/// What Megatron-Bridge's recipes set beyond what Megatron-Core has by itself.
#[test]
fn recipes_of_megatron_bridge() {
    let row = |source: &str| {
        let (raw, _) = changed(json!({
            "source": {"name": source, "year": 2025},
            "model": {"moe": {"experts": 8, "topk": 2, "moe_ffn": 1024}},
            "hardware": {"device": "h100-sxm"},
            "parallel": {"ep": 2, "sp": true, "precision": "fp8", "vpp": 2,
                         "schedule": "interleaved"}
        }))
        .unwrap();
        let RawPlan::Uniform { etp, dispatch, schedule, .. } = raw.plan else { panic!() };
        (etp, dispatch, schedule, raw.training.precision, raw.training.flash_version)
    };
    assert_eq!(
        row("Megatron-Bridge"),
        (
            Some(1),
            RawDispatch::Forwarded,
            RawSchedule::Paired { chunks: 2 },
            Precision::Fp8(Fp8Recipe::Current),
            None
        )
    );
    assert_eq!(
        row("NeMo"),
        (
            None,
            RawDispatch::AllToAll,
            RawSchedule::Interleaved { chunks: 2 },
            Precision::Fp8(Fp8Recipe::Delayed),
            None
        )
    );
    assert_eq!(row("llm-foundry").4, Some(2));
}

#[test]
fn fp32_that_may_have_been_tf32_is() {
    let check = |words: &str, expected: (Precision, Option<Precision>)| {
        let precision = json!({"parallel": {"precision": "fp32", "precision_text": words}});
        let training = changed(precision).unwrap().0.training;
        assert_eq!((training.precision, training.fallback), expected, "{words}");
    };
    check("fp32", (Precision::Fp32, None));
    check("fp32/TF32 (not verified)", (Precision::Fp32, None));
    check("fp32 (TF32 possible on Ampere)", (Precision::Tf32, Some(Precision::Fp32)));
    check("fp32 (TF32, 495T peak)", (Precision::Tf32, Some(Precision::Fp32)));
}

#[test]
fn part_of_a_node_is_written_out() {
    let (raw, _) = changed(json!({
        "hardware": {"gpus": 4, "gpus_per_node": 4},
        "parallel": {"tp": 1, "pp": 2, "vpp": 2, "dp": 2, "schedule": "interleaved"}
    }))
    .unwrap();
    let RawPlan::Explicit { schedule, pipelines, .. } = raw.plan else { panic!() };
    assert_eq!(schedule, RawSchedule::Interleaved { chunks: 2 });
    assert_eq!(pipelines.len(), 2);
    let second = &pipelines[1];
    assert_eq!(second.micro_batches, 16);
    assert_eq!(second.stages[0].gpus.0.as_slice(), std::slice::from_ref(&(1..2)));
    assert_eq!(second.stages[1].gpus.0.as_slice(), std::slice::from_ref(&(3..4)));
    assert_eq!(second.stages[0].layers.0, [0..6, 12..18]);
    assert_eq!(second.stages[1].layers.0, [6..12, 18..24]);
}

/// What the code of Aleph Alpha's trainer and of DeepSpeed does with sends, sums and layers.
#[test]
fn software_by_its_code() {
    let check = |source: &str, precision: &str, scatter: bool, whole: bool, gate: bool| {
        let (raw, _) = changed(json!({
            "source": {"name": source},
            "parallel": {"zero": 1, "precision": precision}
        }))
        .unwrap();
        let RawPlan::Uniform { scatter_gather, zero, layers, .. } = raw.plan else { panic!() };
        assert_eq!(scatter_gather, scatter, "{source}");
        let reduction = zero.and_then(|zero| zero.reduction);
        assert_eq!(reduction == Some(RawReduction::Whole), whole, "{source}");
        assert_eq!(raw.training.fusion.gate, gate, "{source}");
        (raw.training.gradient_bytes, raw.training.reduce_bytes, layers)
    };
    let scaling = check("Hagemann et al.", "bf16", false, true, false);
    // 24 layers and three more: the first stage has the embedding, the last the norm and the head.
    assert_eq!(scaling, (2, Some(4), RawSplit::Counts(vec![13, 11])));
    let deepspeed = check("BLOOM", "bf16", true, true, true);
    assert_eq!(deepspeed, (4, None, RawSplit::Equal));
    assert_eq!(check("BLOOM", "fp16", true, false, true).0, 2);
    check("Megatron-LM", "fp16", true, false, true);
    check("NeMo", "bf16", false, false, true);
    let words = json!({"parallel": {"overlap_text": "scatter/gather p2p off"}});
    let RawPlan::Uniform { scatter_gather, .. } = changed(words).unwrap().0.plan else { panic!() };
    assert!(!scatter_gather);
}

#[test]
fn stages_on_named_cards() {
    let replicas = |device: &str| {
        json!([
            {"tp": 2, "devices": [{"device": device, "gpus": 2}]},
            {"tp": 2, "devices": [{"device": device, "gpus": 2}]},
        ])
    };
    let (raw, _) = changed(json!({
        "hardware": {"device": null, "gpus": 8, "gpus_per_node": 4, "gpu_link": "pcie",
            "fabric": {"kind": "ethernet", "gbps_per_node": 10},
            "groups": [{"device": "v100-sxm2-16", "nodes": 1, "gpus_per_node": 4},
                       {"device": "t4", "nodes": 1, "gpus_per_node": 4}]},
        "parallel": {"tp": 2, "pp": 2, "dp": 2,
            "stages": [{"layers": 8, "replicas": replicas("t4")},
                       {"layers": 18, "replicas": replicas("v100-sxm2-16")}]}
    }))
    .unwrap();
    let RawPlan::Explicit { pipelines, .. } = raw.plan else { panic!() };
    assert_eq!(pipelines[0].stages[0].gpus.0.as_slice(), std::slice::from_ref(&(4..6)));
    assert_eq!(pipelines[1].stages[0].gpus.0.as_slice(), std::slice::from_ref(&(6..8)));
    assert_eq!(pipelines[0].stages[1].gpus.0.as_slice(), std::slice::from_ref(&(0..2)));
    // 26 slots for 24 layers: the first is the embedding's, the last the head's.
    assert_eq!(pipelines[0].stages[0].layers.0.as_slice(), std::slice::from_ref(&(0..7)));
    assert_eq!(pipelines[0].stages[1].layers.0.as_slice(), std::slice::from_ref(&(7..24)));
}

#[test]
fn models_by_shape() {
    let stack = |changes: Value| {
        let (raw, _) = changed(json!({"model": changes})).unwrap();
        let Description::Stack(stack) = raw.model else { panic!() };
        stack
    };
    let layer = |changes: Value, index: usize| {
        let runs = stack(changes).layers;
        let Layer::Transformer(layer) = runs[index].layers[0].clone() else { panic!() };
        layer
    };
    assert_eq!(layer(json!({}), 0).attention.positions, Positions::Embedded);
    assert_eq!(layer(json!({"attention": "MHA (ALiBi)"}), 0).attention.positions, Positions::Alibi);
    let llama = layer(json!({"gated_mlp": true, "ffn": 5504, "kv_heads": 4}), 0);
    assert_eq!(llama.attention.positions, Positions::Rotary);
    assert!(!llama.dropout);
    let near = layer(json!({"attention": "MHA (alternating local 256)"}), 0);
    assert_eq!(near.attention.window, Some(256));
    let experts = json!({"moe": {"experts": 8, "topk": 2, "moe_ffn": 1024, "dense_layers": 3}});
    let experts = stack(experts);
    let repeats: Vec<u32> = experts.layers.iter().map(|run| run.repeat).collect();
    assert_eq!(repeats, [3, 21]);

    let (raw, _) = changed(json!({
        "model": {"name": "ResNet-50 v1.5 (MXNet)", "attention": "none (CNN)", "seq": null,
                  "layers": null, "hidden": null, "heads": null},
        "hardware": {"gpus": 8},
        "parallel": {"tp": 1, "pp": 1, "dp": 8, "gbs": 2048, "mbs": 256}
    }))
    .unwrap();
    assert_eq!(raw.model, Description::Preset("resnet-50".to_owned()));
    assert_eq!(raw.training.sequence_length, None);
}

/// What a model's printed size leaves beside its layers is its vocabulary.
#[test]
fn vocabulary_by_size() {
    let check = |params_b: Option<f64>, tied: bool, expected: u32| {
        let (raw, _) = changed(json!({
            "model": {"vocab": null, "params_b": params_b, "tied_embeddings": tied}
        }))
        .unwrap();
        let Description::Stack(stack) = raw.model else { panic!() };
        let motley_workload::Embedding::Tokens(tokens) = stack.embedding else { panic!() };
        assert_eq!(tokens.vocab, expected, "{params_b:?}");
    };
    // 24 layers of 12 h^2 are 1.20796 B; 0.06554 B more are 32,000 rows of 2,048, padded to 512.
    check(Some(1.273_496), true, 32_256);
    check(Some(1.339_032), false, 32_256);
    check(Some(1.0), true, 51_200);
    check(None, true, 51_200);
}

/// Whatever number stands in whatever field, a row has a verdict.
#[test]
fn no_number_breaks_anything() {
    let mixed = json!({
        "hardware": {"device": null, "groups": [
            {"device": "v100-sxm2-16", "nodes": 1, "gpus_per_node": 8, "gpus": 8},
            {"device": "t4", "nodes": 2, "gpus_per_node": 4, "gpus": 8}]},
        "parallel": {"pipeline_partition": [10, 14], "vpp": 1, "cp": 1, "ep": 1, "grad_accum": 16},
        "model": {"ffn": 8192, "kv_heads": 16, "params_b": 1.3,
                  "moe": {"experts": 8, "topk": 2, "moe_ffn": 512, "shared": 1, "dense_layers": 1}},
        "measured": {"iter_s": 1.0, "mem_gb": 10.0}
    });
    let mut bases = vec![plain(), plain(), plain()];
    merge(&mut bases[1], mixed);
    merge(&mut bases[2], json!({"source": {"name": "nanotron"}}));
    let mut text = String::new();
    let mut count = 0;
    for base in bases {
        let mut places = Vec::new();
        numbers(&base, String::new(), &mut places);
        for place in places {
            for number in [0, 1, 3, 4_000_001, u32::MAX] {
                let mut row = base.clone();
                row["id"] = json!(format!("{place}-{number}"));
                *row.pointer_mut(&place).unwrap() = json!(number);
                text.push_str(&row.to_string());
                text.push('\n');
                count += 1;
            }
        }
    }
    let verdicts = crate::validated(&text).verdicts;
    assert_eq!(verdicts.len(), count);
    for verdict in verdicts {
        assert_ne!(verdict.concern, Some(Concern::Defect), "{}: {:?}", verdict.id, verdict.reason);
        assert!(verdict.predicted_s.is_none_or(f64::is_finite), "{}", verdict.id);
    }
}

/// The places of all numbers.
fn numbers(value: &Value, place: String, places: &mut Vec<String>) {
    match value {
        Value::Number(_) => places.push(place),
        Value::Object(object) => {
            object
                .iter()
                .for_each(|(name, inner)| numbers(inner, format!("{place}/{name}"), places));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(i, inner)| numbers(inner, format!("{place}/{i}"), places));
        }
        _ => {}
    }
}

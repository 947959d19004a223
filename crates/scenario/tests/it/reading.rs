//! What valid files mean.

use motley_hardware::{Catalog, Fabric};
use motley_scenario::raw::{RawFabric, RawScenario, WrittenFabric};
use motley_scenario::{PlanChoice, Scenario, SourceFile, load_text, parse};
use motley_scheduler::ActivationLimit::{Available, Stages};
use motley_scheduler::OptimizerStep::{PostValidation, Synchronous};
use motley_scheduler::{
    Fidelity, GradientSync, PlanError, PlanPath, Schedule, ZeroBubble, ZeroBubbleOrder,
};
use motley_topology::GpuId;
use motley_units::{Bytes, BytesPerSec};
use motley_workload::{
    ExpertDispatch, Fp8Recipe, MasterWeights, Moments, Optimizer, Precision, Recompute,
};

use crate::base::{EXPLICIT, UNIFORM, changed};

fn read(text: &str) -> Scenario {
    load_text("test.ron", text, &[]).unwrap_or_else(|rejected| panic!("{rejected}"))
}

#[test]
fn the_shorthand_is_read_with_its_defaults() {
    let scenario = read(UNIFORM);
    let groups = &scenario.cluster.groups;
    assert_eq!(groups[0].name, "dgx1-v100");
    assert_eq!(groups[0].device.id, groups[0].design.device);
    assert_eq!((groups[1].name.as_str(), groups[1].device.id.as_str()), ("old", "p100-pcie-16"));
    assert_eq!((groups[1].nic.id.as_str(), groups[1].count), ("edr", 2));
    assert_eq!(scenario.cluster.fabric.port, Some(BytesPerSec(12.5e9)));
    assert_eq!((scenario.model.layer_count(), scenario.global_batch), (24, 256));
    assert_eq!((scenario.iterations, scenario.seed, scenario.training.gradient_bytes), (1, 0, 4));
    assert!(scenario.training.attention_fallback);
    assert_eq!(scenario.fidelity, Fidelity::Bundled);
    let PlanChoice::Uniform(plan) = &scenario.plan else { panic!("{:?}", scenario.plan) };
    assert_eq!((plan.dp, plan.tp, plan.pp, plan.chunks), (2, 8, 2, 1));
    assert_eq!((plan.schedule, plan.recompute), (Schedule::OneFOneB, Recompute::None));
    assert_eq!(plan.gradient_sync, GradientSync::AtEnd);
    assert!(scenario.warnings.is_empty(), "{}", scenario.warnings);
}

/// A fabric of the catalogue is the one that is written out, in the cluster and in the hash, and is
/// written as it was named.
#[test]
fn every_known_fabric_is_its_written_form() {
    let catalog = Catalog::builtin();
    let check = |fabric: &Fabric| {
        let text = |form: &str| {
            let nic = format!("nic: \"{}\"", fabric.nic.get());
            let first = format!("count: 2, {nic}), // one design for both\n");
            let written = "(technology: InfiniBand, port: Gbps(100), oversubscription: 2.0)";
            changed(UNIFORM, &[("count: 2),", &first), ("nic: \"edr\"", &nic), (written, form)])
        };
        let named = read(&text(&format!("Preset({:?})", fabric.id)));
        let written = read(&text(&WrittenFabric::of(fabric, catalog).to_ron()));
        assert_eq!(named.cluster, written.cluster, "{}", fabric.id);
        assert_eq!(named.hash, written.hash, "{}", fabric.id);
        let spec = &named.cluster.fabric;
        assert_eq!(spec.technology, *fabric.technology.get());
        assert_eq!((spec.shape, spec.routing), (*fabric.shape.get(), *fabric.routing.get()));
        assert_eq!(spec.oversubscription.to_bits(), fabric.oversubscription.get().to_bits());
        assert_eq!(spec.port, catalog.nic(fabric.nic.get()).map(|nic| *nic.rate.get()));
        assert_eq!(named.raw.cluster.fabric, Some(RawFabric::Preset(fabric.id.clone())));
        let again = named.raw.clone().resolve().unwrap_or_else(|rejected| panic!("{rejected}"));
        assert_eq!((again.raw, again.hash), (named.raw, named.hash));
        spec.clone()
    };
    let specs: Vec<_> = catalog.fabrics.values().map(check).collect();
    for (index, spec) in specs.iter().enumerate() {
        assert!(!specs[..index].contains(spec), "two names of one fabric: {spec:?}");
    }
}

#[test]
fn narrow_precisions_and_states_are_read() {
    let check = |text: &str, precision: Precision| {
        let states = "fallback: Fp16, optimizer: Adam(moments: Bf16), master_weights: None, \
                      expert_dispatch: Fp8";
        let training = read(&changed(
            UNIFORM,
            &[("precision: Fp16", &format!("precision: {text}, {states}"))],
        ))
        .training;
        assert_eq!((training.precision, training.fallback), (precision, Some(Precision::Fp16)));
        let moments = Moments::Bf16;
        assert_eq!(training.optimizer, Optimizer::Adam { fused: true, moments });
        assert_eq!(training.master_weights, MasterWeights::None);
        assert_eq!(training.expert_dispatch, ExpertDispatch::Fp8);
    };
    check("Fp8(Delayed)", Precision::Fp8(Fp8Recipe::Delayed));
    check("Fp8(Current)", Precision::Fp8(Fp8Recipe::Current));
    check("Fp8(Block)", Precision::Fp8(Fp8Recipe::Block));
    check("Mxfp8", Precision::Mxfp8);
    check("Nvfp4", Precision::Nvfp4);
}

#[test]
fn the_explicit_plan_is_read() {
    let scenario = read(EXPLICIT);
    let PlanChoice::Explicit(plan) = &scenario.plan else { panic!("{:?}", scenario.plan) };
    let first = &plan.pipelines[0].stages;
    assert_eq!(first[0].gpus, [GpuId(0), GpuId(1)]);
    assert_eq!((first[1].gpus.len(), first[1].chunks[0].clone()), (1, 14..24));
    assert_eq!((first[0].recompute, first[1].recompute), (Recompute::None, Recompute::Selective));
    assert_eq!(plan.pipelines[1].stages[0].gpus, [3, 4, 5, 7].map(GpuId));
}

#[test]
fn a_repeated_pipeline_is_written_out() {
    let text = changed(
        EXPLICIT,
        &[
            ("global_batch: 20", "global_batch: 32"),
            (
                "micro_batches: 4, micro_batch_size: 2",
                "micro_batches: 4, micro_batch_size: 2, repeat: (count: 2, stride: 4)",
            ),
            ("[3..6, 7]", "[3]"),
            ("micro_batches: 12, micro_batch_size: 1", "micro_batches: 16, micro_batch_size: 1"),
        ],
    );
    let PlanChoice::Explicit(plan) = read(&text).plan else { panic!() };
    let last: Vec<_> = plan.pipelines.iter().map(|p| p.stages[0].gpus.clone()).collect();
    assert_eq!(last, [vec![GpuId(0), GpuId(1)], vec![GpuId(3)], vec![GpuId(7)]]);
}

/// Faults that come to light later are shown at the stage of the file that the copy is of.
#[test]
fn later_faults_have_their_places() {
    let repeat = "micro_batches: 2, repeat: (count: 2, stride: 1)";
    let text = changed(EXPLICIT, &[("micro_batches: 4", repeat), ("[3..6, 7]", "[3]")]);
    let fault = |path| vec![PlanError::new(path, "does not fit").help("buy more")];
    let check = |text: &str, path: PlanPath, place: &str| {
        let shown = read(text).reject_plan(fault(path)).render(false);
        assert!(shown.starts_with("error[E0501]: does not fit"), "{shown}");
        assert!(shown.contains(place) && shown.contains("help: buy more"), "{shown}");
    };
    check(&text, PlanPath::StageField(2, 0, "layers"), "test.ron:12:37");
    check(&text, PlanPath::StageField(0, 1, "gpus"), "test.ron:9:24");
    check(UNIFORM, PlanPath::StageField(1, 1, "gpus"), "test.ron:13:11");
    check(UNIFORM, PlanPath::StageField(1, 1, "tp"), "test.ron:13:30");
}

#[test]
fn interleaved_chunks_and_buckets_are_read() {
    let text = changed(
        EXPLICIT,
        &[
            (
                "pipelines: [",
                "schedule: Interleaved(chunks: 2), gradient_sync: Overlapped(bucket: MiB(40)), pipelines: [",
            ),
            ("layers: 0..14", "layers: [0..6, 12..18]"),
            ("layers: 14..24", "layers: [6..12, 18..24]"),
            ("micro_batches: 12, micro_batch_size: 1", "micro_batches: 20, micro_batch_size: 1"),
            (
                "            (micro_batches: 4, micro_batch_size: 2, stages: [\n                (gpus: [3..6, 7], layers: 0..24, recompute: None),\n            ]),\n",
                "",
            ),
        ],
    );
    let PlanChoice::Explicit(plan) = read(&text).plan else { panic!() };
    assert_eq!(plan.schedule, Schedule::Interleaved);
    assert_eq!(plan.pipelines[0].stages[1].chunks, [6..12, 18..24]);
    assert_eq!(
        plan.gradient_sync,
        GradientSync::Overlapped { bucket: Bytes(40.0 * 1024.0 * 1024.0) }
    );
}

#[test]
fn schedules_are_read() {
    let zero_bubble =
        |order, optimizer_step| (Schedule::ZeroBubble(ZeroBubble { order, optimizer_step }), 1);
    let vee = |limit| {
        let order = ZeroBubbleOrder::V(limit);
        (Schedule::ZeroBubble(ZeroBubble { order, optimizer_step: PostValidation }), 2)
    };
    for (written, (schedule, chunks)) in [
        ("GPipe", (Schedule::GPipe, 1)),
        ("OneFOneB", (Schedule::OneFOneB, 1)),
        ("Interleaved(chunks: 3)", (Schedule::Interleaved, 3)),
        ("ZeroBubble(order: H1)", zero_bubble(ZeroBubbleOrder::H1, PostValidation)),
        (
            "ZeroBubble(order: H2, optimizer_step: Synchronous)",
            zero_bubble(ZeroBubbleOrder::H2, Synchronous),
        ),
        (
            "ZeroBubble(order: Automatic)",
            zero_bubble(ZeroBubbleOrder::Automatic(Stages(1.0)), PostValidation),
        ),
        (
            "ZeroBubble(order: Automatic, activations: Available, optimizer_step: PostValidation)",
            zero_bubble(ZeroBubbleOrder::Automatic(Available), PostValidation),
        ),
        ("ZeroBubble(order: V)", vee(Stages(1.0))),
        ("ZeroBubble(order: V, activations: Stages(2))", vee(Stages(2.0))),
        ("ZeroBubble(order: V, activations: Stages(0.75))", vee(Stages(0.75))),
        ("DualPipe", (Schedule::DualPipe, 2)),
        ("DualPipeV", (Schedule::DualPipeV, 2)),
    ] {
        let text = changed(UNIFORM, &[("pp: 2", &format!("pp: 2, schedule: {written}"))]);
        let PlanChoice::Uniform(plan) = read(&text).plan else { panic!() };
        assert_eq!((plan.schedule, plan.chunks), (schedule, chunks), "{written}");
    }
}

#[test]
fn a_shape_is_filled_in() {
    let shape = "Shape(name: \"mine\", layers: 24, hidden: 1024, heads: 16, vocab: 51200, positions: Rotary)";
    let model = read(&changed(UNIFORM, &[("Preset(\"bert-large\")", shape)])).model;
    let long = r#"Stack(
        name: "mine",
        embedding: Tokens(vocab: 51200, hidden: 1024, dropout: true),
        layers: [(repeat: 24, layers: [Transformer(
            attention: (
                heads: 16, projections: Grouped(kv_heads: 16, head_dim: 64), positions: Rotary,
                qkv_bias: true, output_bias: true, dropout: true,
            ),
            feed_forward: Dense(ffn: 4096, bias: true),
            norm: LayerNorm,
            dropout: true,
        )])],
        head: Language(norm: LayerNorm, tied: true),
    )"#;
    assert_eq!(read(&changed(UNIFORM, &[("Preset(\"bert-large\")", long)])).model, model);
}

#[test]
fn a_group_across_nodes_is_warned_of() {
    let text = changed(UNIFORM, &[("dp: 2, tp: 8, pp: 2", "dp: 1, tp: 16, pp: 2")]);
    let scenario = read(&text);
    let shown = scenario.warnings.render(&scenario.source, false);
    assert!(shown.starts_with("warning[W0501]: a tensor-parallel group spans"), "{shown}");
    assert!(shown.contains("dp: 1, tp: 16, pp: 2"), "{shown}");
}

/// What does not change the meaning does not change the hash, and the reverse.
#[test]
fn the_hash_is_of_the_meaning() {
    let check = |changes: &[(&str, &str)], same: bool| {
        let hash = read(&changed(UNIFORM, changes)).hash;
        assert_eq!(hash == read(UNIFORM).hash, same, "{changes:?}");
    };
    check(&[("// Half", "/* x */ // A third")], true);
    check(&[("\n    ", " ")], true);
    check(&[("Scenario(", "#![enable(implicit_some)]\n(")], true);
    check(&[("dp: 2, tp: 8", "tp: 8, dp: 2")], true);
    check(&[("What do P100 cost?", "Nothing?")], true);
    check(&[("Gbps(100)", "GBps(12.5)")], true);
    check(&[("precision: Fp16", "precision: Fp16, gradient_bytes: 4")], true);
    check(&[("precision: Fp16", "precision: Fp16, master_weights: Fp32")], true);
    check(&[("precision: Fp16", "precision: Fp16, optimizer: Adam(moments: Fp32)")], true);
    check(&[("precision: Fp16", "precision: Fp16, optimizer: Adam(moments: Bf16)")], false);
    check(&[("precision: Fp16", "precision: Fp16, master_weights: None")], false);
    check(&[("precision: Fp16", "precision: Fp16, expert_dispatch: Fp8")], false);
    check(&[("precision: Fp16", "precision: Fp16, communication_multiprocessors: 0")], true);
    check(&[("precision: Fp16", "precision: Fp16, communication_multiprocessors: 8")], false);
    check(&[("pp: 2,", "pp: 2, recompute: None,")], true);
    check(&[("pp: 2,", "pp: 2, recompute: Modules([LayerNorm]),")], false);
    check(&[("port: Gbps(100)", "port: Some(Gbps(100))")], true);
    check(&[("plan:", "fidelity: Bundled, plan:")], true);
    check(&[("plan:", "fidelity: Pairwise, plan:")], false);
    check(&[("dp: 2, tp: 8", "dp: 8, tp: 2")], false);
    check(
        &[
            ("count: 2, device", "count: 3, device"),
            ("dp: 2, tp: 8, pp: 2", "dp: 1, tp: 8, pp: 5"),
            ("pp: 5", "pp: 5, layers: Counts([4, 5, 5, 5, 5])"),
        ],
        false,
    );
    check(&[("plan:", "seed: 7, plan:")], false);
}

#[test]
fn what_is_written_out_is_read_back() {
    for text in [UNIFORM, EXPLICIT] {
        let raw = read(text).raw;
        let again: RawScenario = parse(&SourceFile::new("written", &raw.to_ron()))
            .unwrap_or_else(|errors| panic!("{errors}\n{}", raw.to_ron()));
        assert_eq!(again, raw);
        assert_eq!(raw.clone().resolve().unwrap().hash, read(text).hash);
    }
}

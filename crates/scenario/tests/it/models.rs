//! Models that a scenario writes out, and trainings that do not suit a model.

use crate::base::{UNIFORM, changed};
use crate::mistakes::check;

const EXPERTS: &str = r#"Stack(
        name: "mine",
        embedding: Tokens(vocab: 32000, hidden: 1024),
        layers: [
            (layers: [Transformer(
                attention: (heads: 16, projections: Grouped(kv_heads: 8, head_dim: 64), positions: Rotary),
                feed_forward: Dense(ffn: 4096),
                norm: RmsNorm,
            )]),
            (repeat: 23, layers: [Transformer(
                attention: (heads: 16, projections: Grouped(kv_heads: 8, head_dim: 64), positions: Rotary),
                feed_forward: Experts(experts: 8, top_k: 2, expert: (ffn: 4096, gated: true)),
                norm: RmsNorm,
            )]),
        ],
        head: Language(norm: RmsNorm, tied: true),
    )"#;

#[test]
fn images_have_no_length() {
    let images =
        [("bert-large", "resnet-50"), ("tp: 8", "tp: 1"), ("dp: 2", "dp: 32"), ("pp: 2", "pp: 1")];
    let with = |changes: &[(&str, &str)]| changed(UNIFORM, &[&images[..], changes].concat());
    check(&with(&[]), &["\"resnet-50\" reads images, which have no length"]);
    let without = [(" sequence_length: 512,", "")];
    let scenario = motley_scenario::load_text("test.ron", &with(&without), &[]).unwrap();
    assert_eq!(scenario.training.sequence_length, None);
    check(
        &with(&[without[0], ("dp: 32, tp: 1", "dp: 16, tp: 2")]),
        &["reads images: its layers are not split over 2 tensor or context ranks"],
    );
    check(
        &with(&[without[0], ("Fp16", "Fp16, adapters: (rank: 4, targets: [Query])")]),
        &["there is no matrix `Query` to adapt"],
    );
}

/// The two-node scenario with a mixture of experts, changed.
fn text(changes: &[(&str, &str)]) -> String {
    let split = ("tp: 8", "tp: 8, sequence_parallel: true");
    let experts = changed(UNIFORM, &[("Preset(\"bert-large\")", EXPERTS), split]);
    changed(&experts, changes)
}

#[test]
fn a_stack_is_read() {
    let scenario = motley_scenario::load_text("test.ron", &text(&[]), &[]).unwrap();
    assert_eq!((scenario.model.layer_count(), scenario.model.kinds().len()), (24, 2));
}

#[test]
fn slips_in_a_stack() {
    check(&text(&[("top_k: 2", "topk: 2")]), &["unknown field `topk`"]);
    check(&text(&[("Rotary", "Rotory")]), &["unknown value `Rotory`"]);
    check(
        &text(&[("(experts: 8, top_k: 2", "(experts: 8, top_k: 9")]),
        &["model `mine`: a token cannot visit 9 of 8 experts"],
    );
    check(
        &text(&[("kv_heads: 8", "kv_heads: 5")]),
        &["\
16 |                 attention: (heads: 16, projections: Grouped(kv_heads: 5, head_dim: 64), positions: Rotary),
   |                                                                       ^ not possible"],
    );
    check(&text(&[("repeat: 23", "repeat: 0")]), &["`layers[1].repeat` is 0"]);
    check(&text(&[("repeat: 23", "repeat: 22")]), &["23 layers do not divide into 2 equal"]);
    check(&text(&[("hidden: 1024", "hidden: 0")]), &["`embedding.hidden` is 0"]);
    check(&text(&[("Language(", "Langauge(")]), &["unknown value `Langauge`"]);
}

#[test]
fn degrees_split_experts_too() {
    check(
        &text(&[("expert: (ffn: 4096", "expert: (ffn: 4100")]),
        &["ffn 4100 of an expert cannot be split over etp 8"],
    );
    check(
        &text(&[(", sequence_parallel: true", "")]),
        &["experts on several tensor ranks take sequence parallelism"],
    );
}

#[test]
fn trainings_that_do_not_suit_the_model() {
    let with = |training: &str| text(&[("precision: Fp16", training)]);
    check(&text(&[(" sequence_length: 512,", "")]), &["needs a `sequence_length`"]);
    check(&with("precision: Fp16, target_length: 64"), &["has no decoder beside an encoder"]);
    check(
        &with("precision: Fp16, expert_load: (imbalance: 0.5)"),
        &["`training.expert_load.imbalance` is 0.5, expected 1 to"],
    );
    check(&with("precision: Fp16, expert_load: (capacity: Padded(0.0))"), &["is 0 times the mean"]);
    check(
        &with("precision: Fp16, adapters: (rank: 8, targets: [Query, Up])"),
        &["adapters on experts are not modelled, and `Up` is one of their matrices"],
    );
    check(
        &with("precision: Fp16, adapters: (rank: 0, targets: [])"),
        &["`training.adapters.rank` is 0"],
    );
    check(
        &with("precision: Fp16, adapters: (rank: 8, targets: [])"),
        &["adapters on no matrix train nothing"],
    );
    let dense = |training: &str| changed(UNIFORM, &[("precision: Fp16", training)]);
    check(
        &dense("precision: Fp16, expert_load: (imbalance: 2)"),
        &["\"bert-large\" has no experts to route tokens to"],
    );
    check(
        &dense("precision: Fp16, adapters: (rank: 8, targets: [Gate])"),
        &["there is no matrix `Gate` to adapt"],
    );
    let t5 = [("bert-large", "t5-large"), ("precision: Fp16", "precision: Fp16, attention: Flash")];
    check(
        &changed(UNIFORM, &t5),
        &["no FlashAttention 2", "no FlashAttention 2", "no FlashAttention takes"],
    );
}

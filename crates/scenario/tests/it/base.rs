//! Two valid scenarios that the tests change.

/// Two kinds of nodes, the shorthand.
pub(crate) const UNIFORM: &str = r#"// Half of the cards are P100.
Scenario(
    question: "What do P100 cost?",
    cluster: (
        groups: [
            (design: "dgx1-v100", count: 2),
            (name: "old", design: "pcie8-dual-root", count: 2, device: "p100-pcie-16", nic: "edr"),
        ],
        fabric: (technology: InfiniBand, port: Gbps(100), oversubscription: 2.0),
    ),
    model: Preset("bert-large"),
    training: (global_batch: 256, sequence_length: 512, precision: Fp16),
    plan: Uniform(dp: 2, tp: 8, pp: 2, micro_batch_size: 1),
)
"#;

/// One node, every stage written out, one of its cards idle.
pub(crate) const EXPLICIT: &str = r#"(
    cluster: (groups: [(design: "dgx1-v100", count: 1)]),
    model: Preset("bert-large"),
    training: (global_batch: 20, sequence_length: 512, precision: Fp16),
    plan: Explicit(
        pipelines: [
            (micro_batches: 12, micro_batch_size: 1, stages: [
                (gpus: 0..2, layers: 0..14),
                (gpus: [2], layers: 14..24, recompute: Selective),
            ]),
            (micro_batches: 4, micro_batch_size: 2, stages: [
                (gpus: [3..6, 7], layers: 0..24, recompute: None),
            ]),
        ],
    ),
)
"#;

/// `text` with each `(from, to)` applied once; `from` must be there.
pub(crate) fn changed(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from:?} is not in {text}");
        text.replacen(from, to, 1)
    })
}

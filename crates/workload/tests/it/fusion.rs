//! What runs as a kernel for each operation where chains are not fused: kernels and bytes by hand.

use motley_workload::{
    AttentionKernel, CardPath, Fusion, Model, Pass, Preset, Shard, Training, blocks,
};

use crate::common::{SEQUENCE, close, path, training};

/// Kernels and bytes of a layer's pass.
fn layer(model: &Model, fusion: Fusion, attention: AttentionKernel, pass: Pass) -> (usize, f64) {
    let training = Training { attention, fusion, ..training(SEQUENCE) };
    let path: CardPath = path(attention);
    let blocks = blocks(model, model.part(0), &training, &path, &Shard::new(1, false, 1));
    let operators = || blocks.iter().flat_map(|block| block.operators(pass));
    (operators().count(), operators().map(|op| op.bytes(&path).0).sum())
}

/// How many kernels and bytes more there are forward and backward.
fn check(
    preset: &str,
    attention: AttentionKernel,
    fusion: Fusion,
    expected: [(usize, f64); 2],
    what: &str,
) {
    let model = Preset::find(preset).expect("a preset").model.clone();
    let model = model.build().expect("presets are sound");
    for (pass, (kernels, bytes)) in [Pass::Forward, Pass::Backward].into_iter().zip(expected) {
        let fused = layer(&model, Fusion::default(), attention, pass);
        let apart = layer(&model, fusion, attention, pass);
        assert_eq!(apart.0 - fused.0, kernels, "{what}, {pass:?}");
        close(apart.1 - fused.1, bytes, 1e-9, what);
    }
}

#[test]
fn chains_move_what_their_operations_do() {
    let (tokens, all) = (f64::from(SEQUENCE), Fusion::default());
    let flash = AttentionKernel::Flash;
    // Llama 2 7B, in 16 bits: two norms of 36 bytes instead of 4 and 68 instead of 10.
    let (hidden, ffn) = (tokens * 4096.0, tokens * 11008.0);
    let norm = Fusion { norm: false, ..all };
    let expected = [(10, 2.0 * 32.0 * hidden), (18, 2.0 * 58.0 * hidden)];
    check("llama-2-7b", flash, norm, expected, "norm");
    // Queries and keys, 20 bytes instead of 4.
    let rotary = Fusion { rotary: false, ..all };
    let both = (9, 2.0 * 16.0 * hidden);
    check("llama-2-7b", flash, rotary, [both, both], "rotary");
    // 10 bytes instead of 6, 18 instead of 10.
    let activation = Fusion { activation: false, ..all };
    check("llama-2-7b", flash, activation, [(1, 4.0 * ffn), (2, 8.0 * ffn)], "activation");
    // Without dropout a sum is a sum.
    let residual = Fusion { residual: false, ..all };
    check("llama-2-7b", flash, residual, [(0, 0.0), (0, 0.0)], "residual");

    // A product more reads the input once more, and so does its gradient, whose products are three; the
    // sums of input gradients move three times the stream.
    let gate = Fusion { gate: false, ..all };
    let expected = [(1, 2.0 * hidden), (3, 2.0 * (1.0 + 1.0 + 3.0) * hidden)];
    check("llama-2-7b", flash, gate, expected, "gate");
    let qkv = Fusion { qkv: false, ..all };
    let expected = [(2, 4.0 * hidden), (6, 4.0 * (1.0 + 1.0 + 3.0) * hidden)];
    check("llama-2-7b", flash, qkv, expected, "queries, keys and values");

    // GPT-3 175B's layers have dropout, and layer norm is one kernel.
    let unfused = AttentionKernel::Unfused;
    let (hidden, scores) = (tokens * 12288.0, tokens * tokens * 96.0);
    let expected = [(3, 17.0 * scores), (3, 20.0 * scores)];
    check("gpt3-175b", unfused, Fusion { softmax: false, ..all }, expected, "softmax");
    check("gpt3-175b", unfused, residual, [(2, 2.0 * 4.0 * hidden), (0, 0.0)], "residual");
    check("gpt3-175b", unfused, norm, [(0, 0.0), (0, 0.0)], "layer norm");
}

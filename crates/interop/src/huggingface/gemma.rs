//! Gemma 2 and 3.

use motley_workload::{
    LanguageHead, Norm, NormPlacement, QkNorm, Stack, TokenEmbedding, Transformer,
};

use super::fields::Fields;
use super::layers::{attention, dense, stack, windowed};

/// Gemma 2: every other layer, from the first, looks at a window.
pub(super) fn read_2(fields: &mut Fields) -> Option<Stack> {
    read(fields, false, 2)
}

/// Gemma 3: all but every sixth layer look at a window; queries and keys are normalised.
pub(super) fn read_3(fields: &mut Fields) -> Option<Stack> {
    let pattern = fields.optional_size("sliding_window_pattern");
    let other_name = fields.optional_size("_sliding_window_pattern");
    read(fields, true, pattern.or(other_name).unwrap_or(6))
}

fn read(fields: &mut Fields, qk_norm: bool, pattern: u32) -> Option<Stack> {
    let hidden = fields.size("hidden_size");
    let count = fields.layers(&["num_hidden_layers"]);
    let heads = fields.size("num_attention_heads");
    let kv_heads = fields.size("num_key_value_heads");
    let head_dim = fields.optional_size("head_dim").unwrap_or(256);
    let vocab = fields.size("vocab_size");
    let ffn = fields.size("intermediate_size");
    let window = fields.optional_size("sliding_window").unwrap_or(4096);
    let _ = fields.optional_size("max_position_embeddings");
    let softcap = fields.optional_number("attn_logit_softcapping").is_some();
    let final_softcap = fields.optional_number("final_logit_softcapping").is_some();
    let biased = fields.flag("attention_bias", false);
    let dropout = fields.drops("attention_dropout", false);
    let tied = fields.flag("tie_word_embeddings", true);
    let count = count?;
    let listed = windowed(fields, count).unwrap_or_else(|| {
        (0..count).map(|layer| !(layer + 1).is_multiple_of(pattern.max(1))).collect()
    });
    let mut attention = attention(heads?, kv_heads?, head_dim);
    attention.qk_norm = qk_norm.then_some(QkNorm::PerHead);
    attention.softcap = softcap;
    attention.qkv_bias = biased;
    attention.output_bias = biased;
    attention.dropout = dropout;
    let ffn = ffn?;
    let layers: Vec<Transformer> = listed
        .into_iter()
        .map(|looks| {
            let mut attention = attention.clone();
            attention.window = looks.then_some(window);
            let mut layer = Transformer::new(attention, dense(ffn, true, false), Norm::RmsNorm);
            layer.norms = NormPlacement::BeforeAndAfter;
            layer
        })
        .collect();
    let head = LanguageHead { softcap: final_softcap, ..LanguageHead::new(Norm::RmsNorm, tied) };
    Some(stack(TokenEmbedding::new(vocab?, hidden?), &layers, head))
}

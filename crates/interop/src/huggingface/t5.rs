//! T5.

use motley_workload::{
    AttentionMask, LanguageHead, Norm, Positions, Stack, TokenEmbedding, Transformer,
};

use super::fields::Fields;
use super::layers::{attention, dense, stack};

pub(super) fn read(fields: &mut Fields) -> Option<Stack> {
    let hidden = fields.size("d_model");
    let ffn = fields.size("d_ff");
    let head_dim = fields.size("d_kv");
    let heads = fields.size("num_heads");
    let vocab = fields.size("vocab_size");
    let encoder = fields.layers(&["num_layers"]);
    let decoder = fields.layers(&["num_decoder_layers", "num_layers"]);
    let buckets = fields.optional_size("relative_attention_num_buckets").unwrap_or(32);
    let dropout = fields.drops("dropout_rate", true);
    let tied = fields.flag("tie_word_embeddings", true);
    let activation = fields.optional_text("feed_forward_proj");
    for name in ["dense_act_fn", "is_gated_act", "is_encoder_decoder", "n_positions"] {
        fields.ignored(name);
    }
    let gated = activation.is_some_and(|name| name.starts_with("gated-"));
    let (heads, head_dim, ffn) = (heads?, head_dim?, ffn?);
    let attention = |positions, mask| {
        let mut attention = attention(heads, heads, head_dim);
        attention.positions = positions;
        attention.mask = mask;
        attention.dropout = dropout;
        attention
    };
    let layer = |mask| {
        let own = attention(Positions::RelativeBias { buckets }, mask);
        let mut layer = Transformer::new(own, dense(ffn, gated, false), Norm::RmsNorm);
        layer.dropout = dropout;
        layer
    };
    let mut decoding = layer(AttentionMask::Causal);
    decoding.cross_attention = Some(attention(Positions::Embedded, AttentionMask::Bidirectional));
    let mut layers = vec![layer(AttentionMask::Bidirectional); encoder? as usize];
    layers.extend(vec![decoding; decoder? as usize]);
    let embedding = TokenEmbedding { dropout, ..TokenEmbedding::new(vocab?, hidden?) };
    Some(stack(embedding, &layers, LanguageHead::new(Norm::RmsNorm, tied)))
}

//! GPT-OSS.

use motley_workload::{
    Experts, FeedForward, LanguageHead, Mlp, Norm, Stack, TokenEmbedding, Transformer,
};

use super::fields::Fields;
use super::layers::{attention, head_dim, stack, windowed};

pub(super) fn read(fields: &mut Fields) -> Option<Stack> {
    let hidden = fields.size("hidden_size");
    let count = fields.layers(&["num_hidden_layers"]);
    let heads = fields.size("num_attention_heads");
    let kv_heads = fields.size("num_key_value_heads");
    let vocab = fields.size("vocab_size");
    let ffn = fields.size("intermediate_size");
    let experts = fields.size("num_local_experts");
    let top_k = fields.size_of(&["num_experts_per_tok", "experts_per_token"]);
    let window = fields.optional_size("sliding_window");
    let _ = fields.optional_size("max_position_embeddings");
    let biased = fields.flag("attention_bias", true);
    let dropout = fields.drops("attention_dropout", false);
    let tied = fields.flag("tie_word_embeddings", false);
    if fields.ignored("quantization_config") {
        fields.remark("how the checkpoint is quantised is left out".to_owned());
    }
    let (hidden, count, heads) = (hidden?, count?, heads?);
    let head_dim = head_dim(fields, hidden, heads)?;
    // Every other layer, from the first, unless the file lists them.
    let listed = windowed(fields, count)
        .unwrap_or_else(|| (0..count).map(|layer| layer.is_multiple_of(2)).collect());
    let mut attention = attention(heads, kv_heads?, head_dim);
    attention.qkv_bias = biased;
    attention.output_bias = biased;
    attention.sinks = true;
    attention.dropout = dropout;
    let expert = Mlp { ffn: ffn?, gated: true, bias: true };
    let bank = Experts { router_bias: true, ..Experts::new(experts?, top_k?, expert) };
    let layers: Vec<Transformer> = listed
        .into_iter()
        .map(|looks| {
            let mut attention = attention.clone();
            attention.window = window.filter(|_| looks);
            Transformer::new(attention, FeedForward::Experts(bank.clone()), Norm::RmsNorm)
        })
        .collect();
    Some(stack(
        TokenEmbedding::new(vocab?, hidden),
        &layers,
        LanguageHead::new(Norm::RmsNorm, tied),
    ))
}

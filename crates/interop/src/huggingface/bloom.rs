//! BLOOM.

use motley_workload::{LanguageHead, Norm, Positions, Stack, TokenEmbedding, Transformer};

use super::fields::Fields;
use super::layers::{attention, dense, head_dim, stack};

pub(super) fn read(fields: &mut Fields) -> Option<Stack> {
    let hidden = fields.size_of(&["hidden_size", "n_embed"]);
    let count = fields.layers(&["n_layer", "num_hidden_layers"]);
    let heads = fields.size_of(&["n_head", "num_attention_heads"]);
    let vocab = fields.size("vocab_size");
    let ffn = fields.optional_size("n_inner");
    let attention_dropout = fields.drops("attention_dropout", false);
    let dropout = fields.drops("hidden_dropout", false);
    let tied = fields.flag("tie_word_embeddings", true);
    let (hidden, heads) = (hidden?, heads?);
    let mut attention = attention(heads, heads, head_dim(fields, hidden, heads)?);
    attention.positions = Positions::Alibi;
    attention.qkv_bias = true;
    attention.output_bias = true;
    attention.dropout = attention_dropout;
    let ffn = ffn.unwrap_or(hidden.saturating_mul(4));
    let mut layer = Transformer::new(attention, dense(ffn, false, true), Norm::LayerNorm);
    layer.dropout = dropout;
    let embedding =
        TokenEmbedding { norm: Some(Norm::LayerNorm), ..TokenEmbedding::new(vocab?, hidden) };
    Some(stack(embedding, &vec![layer; count? as usize], LanguageHead::new(Norm::LayerNorm, tied)))
}

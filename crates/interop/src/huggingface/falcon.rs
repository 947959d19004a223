//! Falcon.

use motley_workload::{
    LanguageHead, Norm, Positions, Residual, Stack, TokenEmbedding, Transformer,
};

use super::fields::Fields;
use super::layers::{attention, dense, head_dim, stack};

pub(super) fn read(fields: &mut Fields) -> Option<Stack> {
    let hidden = fields.size("hidden_size");
    let count = fields.layers(&["num_hidden_layers", "n_layer"]);
    let heads = fields.size_of(&["num_attention_heads", "n_head"]);
    let vocab = fields.size("vocab_size");
    let kv_heads = fields.optional_size("num_kv_heads");
    let ffn = fields.optional_size("ffn_hidden_size");
    let _ = fields.optional_size("max_position_embeddings");
    fields.ignored("activation");
    let new = fields.flag("new_decoder_architecture", false);
    let multi_query = fields.flag("multi_query", true);
    let parallel = fields.flag("parallel_attn", true);
    let norms = fields.optional_size("num_ln_in_parallel_attn");
    let biased = fields.flag("bias", false);
    let alibi = fields.flag("alibi", false);
    let attention_dropout = fields.drops("attention_dropout", false);
    let dropout = fields.drops("hidden_dropout", false);
    let tied = fields.flag("tie_word_embeddings", true);
    let (hidden, heads) = (hidden?, heads?);
    let head_dim = head_dim(fields, hidden, heads)?;
    let kv_heads = if new {
        kv_heads.unwrap_or(heads)
    } else if multi_query {
        1
    } else {
        heads
    };
    let mut attention = attention(heads, kv_heads, head_dim);
    if alibi {
        attention.positions = Positions::Alibi;
    }
    attention.qkv_bias = biased;
    attention.output_bias = biased;
    attention.dropout = attention_dropout;
    let ffn = ffn.unwrap_or(hidden.saturating_mul(4));
    let mut layer = Transformer::new(attention, dense(ffn, false, biased), Norm::LayerNorm);
    if new || parallel {
        let shared_norm = norms.map_or(!new, |norms| norms < 2);
        layer.residual = Residual::Parallel { shared_norm };
    }
    layer.dropout = dropout;
    let layers = vec![layer; count? as usize];
    Some(stack(
        TokenEmbedding::new(vocab?, hidden),
        &layers,
        LanguageHead::new(Norm::LayerNorm, tied),
    ))
}

//! BERT.

use motley_workload::{
    AttentionMask, LanguageHead, Norm, Positions, Stack, TokenEmbedding, Transformer,
};
use serde_json::json;

use super::fields::Fields;
use super::layers::{attention, dense, head_dim, stack};

pub(super) fn read(fields: &mut Fields) -> Option<Stack> {
    let hidden = fields.size("hidden_size");
    let count = fields.layers(&["num_hidden_layers"]);
    let heads = fields.size("num_attention_heads");
    let vocab = fields.size("vocab_size");
    let ffn = fields.size("intermediate_size");
    let positions = fields.size("max_position_embeddings");
    let token_types = fields.optional_size("type_vocab_size").unwrap_or(2);
    let attention_dropout = fields.drops("attention_probs_dropout_prob", true);
    let dropout = fields.drops("hidden_dropout_prob", true);
    let tied = fields.flag("tie_word_embeddings", true);
    let absolute = [json!("absolute")];
    fields.only("position_embedding_type", &absolute, "positions must be `absolute`");
    fields.only("is_decoder", &[json!(false)], "BERT is an encoder");
    fields.only("add_cross_attention", &[json!(false)], "BERT is an encoder");
    let pooler = [
        "directionality",
        "pooler_fc_size",
        "pooler_num_attention_heads",
        "pooler_num_fc_layers",
        "pooler_size_per_head",
        "pooler_type",
    ];
    for name in pooler {
        fields.ignored(name);
    }
    fields.remark("the pooler and the prediction of the next sentence are left out".to_owned());
    let (hidden, heads) = (hidden?, heads?);
    let mut attention = attention(heads, heads, head_dim(fields, hidden, heads)?);
    attention.positions = Positions::Embedded;
    attention.mask = AttentionMask::Bidirectional;
    attention.qkv_bias = true;
    attention.output_bias = true;
    attention.dropout = attention_dropout;
    let mut layer = Transformer::new(attention, dense(ffn?, false, true), Norm::LayerNorm);
    layer.dropout = dropout;
    let embedding = TokenEmbedding {
        learned_positions: positions?,
        token_types,
        norm: Some(Norm::LayerNorm),
        dropout,
        ..TokenEmbedding::new(vocab?, hidden)
    };
    let head = LanguageHead { masked: true, ..LanguageHead::new(Norm::LayerNorm, tied) };
    Some(stack(embedding, &vec![layer; count? as usize], head))
}

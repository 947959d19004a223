//! GPT-2, GPT-J and GPT-NeoX.

use motley_workload::{
    LanguageHead, Norm, Positions, Residual, Stack, TokenEmbedding, Transformer,
};
use serde_json::json;

use super::fields::Fields;
use super::layers::{attention, dense, head_dim, stack};

/// What GPT-2 and GPT-J name alike.
struct Sizes {
    hidden: u32,
    layers: u32,
    heads: u32,
    vocab: u32,
    ffn: u32,
    head_dim: u32,
    attention_dropout: bool,
    dropout: bool,
    embedding_dropout: bool,
}

fn sizes(fields: &mut Fields) -> Option<Sizes> {
    let hidden = fields.size_of(&["n_embd", "hidden_size"]);
    let layers = fields.layers(&["n_layer", "num_hidden_layers"]);
    let heads = fields.size_of(&["n_head", "num_attention_heads"]);
    let vocab = fields.size("vocab_size");
    let inner = fields.optional_size("n_inner");
    let attention_dropout = fields.drops("attn_pdrop", true);
    let dropout = fields.drops("resid_pdrop", true);
    let embedding_dropout = fields.drops("embd_pdrop", true);
    for name in [
        "activation_function",
        "summary_activation",
        "summary_first_dropout",
        "summary_proj_to_labels",
        "summary_type",
        "summary_use_proj",
        "n_special",
        "predict_special_tokens",
    ] {
        fields.ignored(name);
    }
    fields.only("add_cross_attention", &[json!(false)], "a decoder without its encoder");
    let (hidden, heads) = (hidden?, heads?);
    Some(Sizes {
        hidden,
        layers: layers?,
        heads,
        vocab: vocab?,
        ffn: inner.unwrap_or(hidden.saturating_mul(4)),
        head_dim: head_dim(fields, hidden, heads)?,
        attention_dropout,
        dropout,
        embedding_dropout,
    })
}

pub(super) fn read_gpt2(fields: &mut Fields) -> Option<Stack> {
    let positions = fields.size_of(&["n_positions", "n_ctx", "max_position_embeddings"]);
    let tied = fields.flag("tie_word_embeddings", true);
    let sizes = sizes(fields)?;
    let embedding = TokenEmbedding {
        learned_positions: positions?,
        dropout: sizes.embedding_dropout,
        ..TokenEmbedding::new(sizes.vocab, sizes.hidden)
    };
    let mut attention = attention(sizes.heads, sizes.heads, sizes.head_dim);
    attention.positions = Positions::Embedded;
    attention.qkv_bias = true;
    attention.output_bias = true;
    attention.dropout = sizes.attention_dropout;
    let mut layer = Transformer::new(attention, dense(sizes.ffn, false, true), Norm::LayerNorm);
    layer.dropout = sizes.dropout;
    let layers = vec![layer; sizes.layers as usize];
    Some(stack(embedding, &layers, LanguageHead::new(Norm::LayerNorm, tied)))
}

pub(super) fn read_gptj(fields: &mut Fields) -> Option<Stack> {
    fields.ignored("n_positions");
    fields.ignored("n_ctx");
    let rotated = fields.optional_size("rotary_dim");
    fields.ignored("rotary");
    let tied = fields.flag("tie_word_embeddings", false);
    let sizes = sizes(fields)?;
    let embedding = TokenEmbedding {
        dropout: sizes.embedding_dropout,
        ..TokenEmbedding::new(sizes.vocab, sizes.hidden)
    };
    let mut attention = attention(sizes.heads, sizes.heads, sizes.head_dim);
    if let Some(dim) = rotated {
        attention.positions = Positions::PartialRotary { dim };
    }
    attention.dropout = sizes.attention_dropout;
    let mut layer = Transformer::new(attention, dense(sizes.ffn, false, true), Norm::LayerNorm);
    layer.residual = Residual::Parallel { shared_norm: true };
    layer.dropout = sizes.dropout;
    let layers = vec![layer; sizes.layers as usize];
    let head = LanguageHead { bias: true, ..LanguageHead::new(Norm::LayerNorm, tied) };
    Some(stack(embedding, &layers, head))
}

pub(super) fn read_neox(fields: &mut Fields) -> Option<Stack> {
    let hidden = fields.size("hidden_size");
    let count = fields.layers(&["num_hidden_layers"]);
    let heads = fields.size("num_attention_heads");
    let vocab = fields.size("vocab_size");
    let ffn = fields.size("intermediate_size");
    let _ = fields.optional_size("max_position_embeddings");
    let share = fields.optional_number("rotary_pct").unwrap_or(0.25);
    let parallel = fields.flag("use_parallel_residual", true);
    let biased = fields.flag("attention_bias", true);
    let attention_dropout = fields.drops("attention_dropout", false);
    let dropout = fields.drops("hidden_dropout", false);
    let tied = fields.flag("tie_word_embeddings", false);
    let (hidden, heads) = (hidden?, heads?);
    let head_dim = head_dim(fields, hidden, heads)?;
    let mut attention = attention(heads, heads, head_dim);
    if share < 1.0 {
        attention.positions =
            Positions::PartialRotary { dim: (f64::from(head_dim) * share) as u32 };
    }
    attention.qkv_bias = biased;
    attention.output_bias = biased;
    attention.dropout = attention_dropout;
    let mut layer = Transformer::new(attention, dense(ffn?, false, true), Norm::LayerNorm);
    if parallel {
        layer.residual = Residual::Parallel { shared_norm: false };
    }
    layer.dropout = dropout;
    let embedding = TokenEmbedding { dropout, ..TokenEmbedding::new(vocab?, hidden) };
    Some(stack(embedding, &vec![layer; count? as usize], LanguageHead::new(Norm::LayerNorm, tied)))
}

//! Llama and what is built like it: Mistral, Mixtral, Qwen 2 and 3.

use motley_workload::{
    Experts, FeedForward, LanguageHead, Mlp, Norm, QkNorm, SharedExpert, Stack, TokenEmbedding,
    Transformer,
};

use super::fields::Fields;
use super::layers::{attention, dense, head_dim, stack, windowed};

/// Reads the feed-forward of each layer.
type FeedForwards = fn(&mut Fields, u32) -> Option<Vec<FeedForward>>;

/// What the relatives differ in.
#[derive(Clone, Copy)]
struct Traits {
    biases: Biases,
    qk_norm: Option<QkNorm>,
    windows: Windows,
    feed_forward: FeedForwards,
}

/// Which projections of attention add biases.
#[derive(Clone, Copy, PartialEq)]
enum Biases {
    None,
    /// Queries, keys and values.
    Inputs,
    /// All four, if `attention_bias` says so.
    AsGiven,
}

/// Which layers look at a window of `sliding_window` tokens.
#[derive(Clone, Copy, PartialEq)]
enum Windows {
    None,
    /// All, where a window is given.
    All,
    /// Those from `max_window_layers` on, if `use_sliding_window` says so.
    Upper,
}

const LLAMA: Traits = Traits {
    biases: Biases::AsGiven,
    qk_norm: None,
    windows: Windows::None,
    feed_forward: llama_mlp,
};
const MISTRAL: Traits =
    Traits { biases: Biases::None, qk_norm: None, windows: Windows::All, feed_forward: plain_mlp };
const QWEN_2: Traits = Traits {
    biases: Biases::Inputs,
    qk_norm: None,
    windows: Windows::Upper,
    feed_forward: plain_mlp,
};
const QWEN_3: Traits = Traits { biases: Biases::AsGiven, qk_norm: Some(QkNorm::PerHead), ..QWEN_2 };

pub(super) fn read_llama(fields: &mut Fields) -> Option<Stack> {
    read(fields, LLAMA)
}

pub(super) fn read_mistral(fields: &mut Fields) -> Option<Stack> {
    read(fields, MISTRAL)
}

pub(super) fn read_mixtral(fields: &mut Fields) -> Option<Stack> {
    read(fields, Traits { feed_forward: mixtral_experts, ..MISTRAL })
}

pub(super) fn read_qwen2(fields: &mut Fields) -> Option<Stack> {
    read(fields, QWEN_2)
}

pub(super) fn read_qwen2_moe(fields: &mut Fields) -> Option<Stack> {
    read(fields, Traits { feed_forward: qwen2_experts, ..QWEN_2 })
}

pub(super) fn read_qwen3(fields: &mut Fields) -> Option<Stack> {
    read(fields, QWEN_3)
}

pub(super) fn read_qwen3_moe(fields: &mut Fields) -> Option<Stack> {
    read(fields, Traits { feed_forward: qwen3_experts, ..QWEN_3 })
}

fn read(fields: &mut Fields, traits: Traits) -> Option<Stack> {
    let hidden = fields.size("hidden_size");
    let count = fields.layers(&["num_hidden_layers"]);
    let heads = fields.size("num_attention_heads");
    let vocab = fields.size("vocab_size");
    let kv_heads = fields.optional_size("num_key_value_heads");
    // Positions are rotated; how many there can be changes no shape.
    fields.ignored("max_position_embeddings");
    let given = traits.biases == Biases::AsGiven && fields.flag("attention_bias", false);
    let dropout = fields.drops("attention_dropout", false);
    let tied = fields.flag("tie_word_embeddings", false);
    let (hidden, count, heads, vocab) = (hidden?, count?, heads?, vocab?);
    let head_dim = head_dim(fields, hidden, heads);
    let feed_forward = (traits.feed_forward)(fields, count);
    let windows = windows(fields, traits.windows, count);
    let mut attention = attention(heads, kv_heads.unwrap_or(heads), head_dim?);
    attention.qkv_bias = given || traits.biases == Biases::Inputs;
    attention.output_bias = given;
    attention.qk_norm = traits.qk_norm;
    attention.dropout = dropout;
    let layers: Vec<Transformer> = feed_forward?
        .into_iter()
        .zip(windows)
        .map(|(feed_forward, window)| {
            let mut attention = attention.clone();
            attention.window = window;
            Transformer::new(attention, feed_forward, Norm::RmsNorm)
        })
        .collect();
    Some(stack(TokenEmbedding::new(vocab, hidden), &layers, LanguageHead::new(Norm::RmsNorm, tied)))
}

/// The window of each layer.
fn windows(fields: &mut Fields, windows: Windows, layers: u32) -> Vec<Option<u32>> {
    if windows == Windows::None {
        return vec![None; layers as usize];
    }
    let window = fields.optional_size("sliding_window");
    let listed = windowed(fields, layers);
    let first = match windows {
        Windows::All | Windows::None => 0,
        Windows::Upper => {
            let first = fields.optional_size("max_window_layers");
            let used = fields.flag("use_sliding_window", false);
            if used { first.unwrap_or(0) } else { layers }
        }
    };
    let looks =
        |layer: u32| listed.as_ref().map_or(layer >= first, |listed| listed[layer as usize]);
    (0..layers).map(|layer| window.filter(|_| looks(layer))).collect()
}

fn plain_mlp(fields: &mut Fields, layers: u32) -> Option<Vec<FeedForward>> {
    let ffn = fields.size("intermediate_size")?;
    Some(vec![dense(ffn, true, false); layers as usize])
}

fn llama_mlp(fields: &mut Fields, layers: u32) -> Option<Vec<FeedForward>> {
    let biased = fields.flag("mlp_bias", false);
    let ffn = fields.size("intermediate_size")?;
    Some(vec![dense(ffn, true, biased); layers as usize])
}

/// A bank of equal experts in every layer.
fn mixtral_experts(fields: &mut Fields, layers: u32) -> Option<Vec<FeedForward>> {
    let experts = fields.size("num_local_experts");
    let top_k = fields.size("num_experts_per_tok");
    let ffn = fields.size("intermediate_size");
    let bank = bank(experts?, top_k?, ffn?);
    Some(vec![FeedForward::Experts(bank); layers as usize])
}

fn qwen2_experts(fields: &mut Fields, layers: u32) -> Option<Vec<FeedForward>> {
    let ffn = fields.size("shared_expert_intermediate_size");
    let shared = ffn.map(|ffn| SharedExpert { ffn, gate: true });
    sparse_layers(fields, layers, shared)
}

fn qwen3_experts(fields: &mut Fields, layers: u32) -> Option<Vec<FeedForward>> {
    sparse_layers(fields, layers, None)
}

/// Experts in every so many layers, but for those that are listed.
fn sparse_layers(
    fields: &mut Fields,
    layers: u32,
    shared: Option<SharedExpert>,
) -> Option<Vec<FeedForward>> {
    let experts = fields.size("num_experts");
    let top_k = fields.size("num_experts_per_tok");
    let ffn = fields.size("moe_intermediate_size");
    let dense_ffn = fields.size("intermediate_size");
    let step = fields.optional_size("decoder_sparse_step").unwrap_or(1).max(1);
    let listed = fields.sizes("mlp_only_layers");
    let bank = Experts { shared, ..bank(experts?, top_k?, ffn?) };
    let bank = FeedForward::Experts(bank);
    let dense = dense(dense_ffn?, true, false);
    let of = |layer: u32| {
        let routed = !listed.contains(&layer) && (layer + 1).is_multiple_of(step);
        if routed { bank.clone() } else { dense.clone() }
    };
    Some((0..layers).map(of).collect())
}

fn bank(experts: u32, top_k: u32, ffn: u32) -> Experts {
    Experts::new(experts, top_k, Mlp { ffn, gated: true, bias: false })
}

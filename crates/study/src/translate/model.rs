//! The model, from its shape.

use motley_workload::{
    Attention, AttentionMask, Description, Embedding, Experts, FeedForward, Head, LanguageHead,
    Layer, Mlp, Norm, Positions, Preset, Projections, Router, Run, SharedExpert, Stack,
    TokenEmbedding, Transformer,
};

use super::assumptions::Assumptions;
use super::plan::Degrees;
use super::vocabulary::vocabulary;
use super::{Concern, Software, Unsupported, recipe};
use crate::runs::{Model, Row};

/// More layers than any model has.
const LAYERS: u32 = 10_000;

/// BERT's position embedding.
const BERT_POSITIONS: u32 = 512;

/// Latent attention of DeepSeek-V2 and V3, which share these widths (arXiv 2405.04434, section
/// 3.1.2; 2412.19437, section 4.2).
const LATENT: [u32; 5] = [1536, 512, 128, 64, 128];

pub(super) fn model(
    row: &Row,
    software: Software,
    degrees: &Degrees,
    assumptions: &mut Assumptions,
) -> Result<Description, Unsupported> {
    let words = row.model.attention.as_deref().unwrap_or_default().to_lowercase();
    if reads_images(row) {
        return images(row);
    }
    if words.contains("cross") || words.contains("enc-dec") {
        let reason = "the shapes of an encoder with a decoder are not in a row";
        return Err(Unsupported::new(Concern::Model, reason));
    }
    let stack = stack(row, &words, software, degrees, assumptions)?;
    Ok(Description::Stack(stack))
}

/// Whether a row's model reads images.
pub(super) fn reads_images(row: &Row) -> bool {
    row.model.image.is_some()
        || row.model.attention.as_deref().is_some_and(|words| words.to_lowercase().contains("cnn"))
}

/// A preset by its name: "ResNet-50 v1.5 (MXNet)" is `resnet-50`.
pub(super) fn images(row: &Row) -> Result<Description, Unsupported> {
    let plain = |name: &str| -> String {
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
    };
    let name = row.model.name.as_deref().unwrap_or_default();
    let wanted = plain(name);
    let found = Preset::all()
        .iter()
        .map(Preset::name)
        .filter(|preset| wanted.starts_with(&plain(preset)))
        .min_by_key(|preset| preset.len());
    found.map(|preset| Description::Preset(preset.to_owned())).ok_or_else(|| {
        let reason = format!("no preset is a model of images `{name}`");
        Unsupported::new(Concern::Model, reason)
    })
}

/// A family of transformers: what its members have in common and rows do not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// GPT-2, GPT-3, OPT, BLOOM: layer norm, biases, learned positions.
    Gpt,
    /// MPT: the same without biases.
    GptWithoutBias,
    /// Llama, Qwen, DeepSeek, nanotron's: gated MLP, RMS norm, rotary positions, no biases.
    Llama,
    /// BERT: bidirectional, norm after the embedding, a masked head.
    Bert,
}

impl Family {
    fn of(model: &Model, words: &str) -> Self {
        match model.gated_mlp {
            Some(true) => Self::Llama,
            _ if words.contains("bidirectional") => Self::Bert,
            _ if words.contains("no bias") => Self::GptWithoutBias,
            _ => Self::Gpt,
        }
    }

    fn norm(self) -> Norm {
        match self {
            Self::Gpt | Self::Bert => Norm::LayerNorm,
            Self::GptWithoutBias => Norm::LayerNormWithoutBias,
            Self::Llama => Norm::RmsNorm,
        }
    }

    fn biases(self) -> bool {
        matches!(self, Self::Gpt | Self::Bert)
    }
}

fn stack(
    row: &Row,
    words: &str,
    software: Software,
    degrees: &Degrees,
    assumptions: &mut Assumptions,
) -> Result<Stack, Unsupported> {
    let model = &row.model;
    let stated = |value: Option<u32>, field| value.ok_or_else(|| Unsupported::not_stated(field));
    let layers = stated(model.layers, "model.layers")?;
    if layers > LAYERS {
        let reason = format!("{layers} layers are more than {LAYERS}");
        return Err(Unsupported::new(Concern::Model, reason));
    }
    let hidden = stated(model.hidden, "model.hidden")?;
    let sequence = stated(model.seq, "model.seq")?;
    let family = Family::of(model, words);
    let norm = family.norm();
    let rule = family != Family::Llama;
    let tied = assumptions.fill(
        model.tied_embeddings,
        rule,
        format!("embedding and head not stated: {}", if rule { "tied" } else { "untied" }),
    );
    // Zero-bubble schedules need a first and a last stage that share nothing (the authors' fork of
    // Megatron-LM asks for `--untie-embeddings-and-output-weights`), and compare with equal models.
    let apart = row.source.name.to_lowercase().contains("zero bubble");
    if tied && apart {
        assumptions.note("embedding and head untied, as the zero-bubble code wants them");
    }
    let tied = tied && !apart;
    let dropout = match family {
        Family::Gpt | Family::Bert => {
            // MLPerf's rules; Sailor's OPT, whose layers leave their dropout out (`opt_model.py`).
            let source = &row.source.name;
            let opt = model.name.as_deref().is_some_and(|name| name.starts_with("OPT"));
            let without = source.contains("MLPerf") || source.contains("Sailor") && opt;
            software.drops_out() && !without || family == Family::Bert
        }
        Family::GptWithoutBias | Family::Llama => false,
    };
    let attention = attention(model, words, family, dropout, assumptions)?;
    let ffn = model.ffn.unwrap_or_else(|| hidden.saturating_mul(4));
    let mlp = |ffn| Mlp { ffn, gated: model.gated_mlp == Some(true), bias: family.biases() };
    let layer = |attention: Attention, feed_forward| {
        Layer::Transformer(Transformer {
            dropout,
            ..Transformer::new(attention, feed_forward, norm)
        })
    };
    let window = window(words);
    if let Some(window) = window {
        assumptions.note(format!("every other layer sees {window} tokens"));
    }
    let run = |count: u32, feed_forward: &FeedForward| -> Vec<Run> {
        let whole = layer(attention.clone(), feed_forward.clone());
        let Some(window) = window else { return vec![Run { repeat: count, layers: vec![whole] }] };
        let near = Attention { window: Some(window), ..attention.clone() };
        let near = layer(near, feed_forward.clone());
        let mut runs = vec![Run { repeat: count / 2, layers: vec![near.clone(), whole] }];
        if !count.is_multiple_of(2) {
            runs.push(Run { repeat: 1, layers: vec![near] });
        }
        runs
    };
    let dense = FeedForward::Dense(mlp(ffn));
    let mut runs = match &model.moe {
        None => run(layers, &dense),
        Some(moe) => {
            let first = moe.dense_layers.unwrap_or(0).min(layers);
            let experts = FeedForward::Experts(experts(moe, words, mlp)?);
            [run(first, &dense), run(layers - first, &experts)].concat()
        }
    };
    runs.retain(|run| run.repeat > 0);
    let vocab = vocabulary(row, software, degrees, tied, assumptions)?;
    let positions = match (attention.positions, family) {
        (Positions::Embedded, Family::Bert) => sequence.max(BERT_POSITIONS),
        (Positions::Embedded, _) => sequence,
        _ => 0,
    };
    let bert = family == Family::Bert;
    let embedding = TokenEmbedding {
        learned_positions: positions,
        token_types: if bert { 2 } else { 0 },
        norm: bert.then_some(norm),
        dropout,
        ..TokenEmbedding::new(vocab, hidden)
    };
    Ok(Stack {
        name: model.name.clone().unwrap_or_else(|| row.id.clone()),
        embedding: Embedding::Tokens(embedding),
        layers: runs,
        mtp_layers: recipe::predicted_ahead(row, software),
        head: Head::Language(LanguageHead { masked: bert, ..LanguageHead::new(norm, tied) }),
    })
}

fn attention(
    model: &Model,
    words: &str,
    family: Family,
    dropout: bool,
    assumptions: &mut Assumptions,
) -> Result<Attention, Unsupported> {
    let heads = model.heads.filter(|heads| *heads > 0);
    let heads = heads.ok_or_else(|| Unsupported::not_stated("model.heads"))?;
    let hidden = model.hidden.unwrap_or(0);
    let projections = if words.contains("mla") {
        let [q_rank, kv_rank, nope_dim, rope_dim, v_dim] = latent(words, assumptions);
        Projections::Latent { q_rank: Some(q_rank), kv_rank, nope_dim, rope_dim, v_dim }
    } else {
        let head_dim = model.head_dim.unwrap_or(hidden / heads);
        if model.head_dim.is_none() && !hidden.is_multiple_of(heads) {
            let reason = format!("hidden {hidden} is not a multiple of heads {heads}");
            return Err(Unsupported::new(Concern::Contradiction, reason));
        }
        Projections::Grouped { kv_heads: model.kv_heads.unwrap_or(heads), head_dim }
    };
    let positions = match family {
        _ if words.contains("alibi") => Positions::Alibi,
        Family::Llama => Positions::Rotary,
        Family::Gpt | Family::GptWithoutBias | Family::Bert => Positions::Embedded,
    };
    let mask = if words.contains("bidirectional") {
        AttentionMask::Bidirectional
    } else {
        AttentionMask::Causal
    };
    Ok(Attention {
        mask,
        qkv_bias: family.biases(),
        output_bias: family.biases(),
        dropout,
        ..Attention::new(heads, projections, positions)
    })
}

/// The widths in "MLA (q_lora 1536, kv_lora 512, qk_nope 128, qk_rope 64, v 128)".
fn latent(words: &str, assumptions: &mut Assumptions) -> [u32; 5] {
    let names = ["q_lora ", "kv_lora ", "qk_nope ", "qk_rope ", " v "];
    let stated: Option<Vec<u32>> = names.iter().map(|name| number_after(words, name)).collect();
    if let Some(&[q, kv, nope, rope, v]) = stated.as_deref() {
        return [q, kv, nope, rope, v];
    }
    assumptions.note("widths of latent attention not stated: DeepSeek-V3's");
    LATENT
}

/// How far every other layer sees: "alternating sliding window 128 / full", "alternating local 256".
fn window(words: &str) -> Option<u32> {
    if !words.contains("alternating") {
        return None;
    }
    number_after(words, "window ").or_else(|| number_after(words, "local "))
}

fn number_after(words: &str, name: &str) -> Option<u32> {
    let (_, rest) = words.split_once(name)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn experts(
    moe: &crate::runs::Experts,
    words: &str,
    mlp: impl Fn(u32) -> Mlp,
) -> Result<Experts, Unsupported> {
    let stated = |value: Option<u32>, field| value.ok_or_else(|| Unsupported::not_stated(field));
    let width = stated(moe.moe_ffn, "model.moe.moe_ffn")?;
    let shared = moe
        .shared_ffn
        .or_else(|| moe.shared.map(|count| count.saturating_mul(width)))
        .filter(|ffn| *ffn > 0);
    Ok(Experts {
        experts: stated(moe.experts, "model.moe.experts")?,
        top_k: stated(moe.topk, "model.moe.topk")?,
        expert: mlp(width),
        // DeepSeek-V3 and those that follow it score with a sigmoid.
        router: if words.contains("mla") { Router::Sigmoid } else { Router::Softmax },
        router_bias: false,
        shared: shared.map(|ffn| SharedExpert { ffn, gate: false }),
    })
}

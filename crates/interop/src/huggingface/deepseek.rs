//! DeepSeek-V2 and V3.

use motley_workload::{
    Attention, Experts, FeedForward, LanguageHead, Mlp, Norm, Positions, Projections, Router,
    SharedExpert, Stack, TokenEmbedding, Transformer,
};
use serde_json::json;

use super::fields::Fields;
use super::layers::{dense, stack};

pub(super) fn read(fields: &mut Fields) -> Option<Stack> {
    let hidden = fields.size("hidden_size");
    let count = fields.layers(&["num_hidden_layers"]);
    let heads = fields.size("num_attention_heads");
    let vocab = fields.size("vocab_size");
    // Latents are expanded for all heads; the number says nothing else.
    let _ = fields.optional_size("num_key_value_heads");
    let _ = fields.optional_size("max_position_embeddings");
    let q_rank = fields.optional_size("q_lora_rank");
    let kv_rank = fields.size("kv_lora_rank");
    let nope_dim = fields.size("qk_nope_head_dim");
    let rope_dim = fields.size("qk_rope_head_dim");
    let v_dim = fields.size("v_head_dim");
    // Derived from the two by newer files.
    let _ = fields.optional_size("qk_head_dim");
    let _ = fields.optional_size("head_dim");
    fields.only("rope_interleave", &[json!(true), json!(false)], "expected true or false");
    let ffn = fields.size("intermediate_size");
    let first = fields.optional_size("first_k_dense_replace").unwrap_or(0);
    let step = fields.optional_size("moe_layer_freq").unwrap_or(1).max(1);
    let bank = bank(fields);
    let biased = fields.flag("attention_bias", false);
    let dropout = fields.drops("attention_dropout", false);
    let tied = fields.flag("tie_word_embeddings", false);
    let mtp_layers = fields.optional_size("num_nextn_predict_layers").unwrap_or(0);
    if mtp_layers > 0 {
        fields.remark(format!(
            "`mtp_layers: {mtp_layers}` trains the modules for multi-token prediction \
             (`num_nextn_predict_layers`), which count as one more layer of plans; leave it out to \
             train without them"
        ));
    }
    if fields.ignored("quantization_config") {
        fields.remark("how the checkpoint is quantised is left out".to_owned());
    }

    let projections = Projections::Latent {
        q_rank,
        kv_rank: kv_rank?,
        nope_dim: nope_dim?,
        rope_dim: rope_dim?,
        v_dim: v_dim?,
    };
    let mut attention = Attention::new(heads?, projections, Positions::Rotary);
    attention.qkv_bias = biased;
    attention.output_bias = biased;
    attention.dropout = dropout;
    let (ffn, bank) = (ffn?, bank?);
    let layers: Vec<Transformer> = (0..count?)
        .map(|index| {
            let routed = index >= first && index.is_multiple_of(step);
            let feed_forward =
                if routed { FeedForward::Experts(bank.clone()) } else { dense(ffn, true, false) };
            Transformer::new(attention.clone(), feed_forward, Norm::RmsNorm)
        })
        .collect();
    let head = LanguageHead::new(Norm::RmsNorm, tied);
    Some(Stack { mtp_layers, ..stack(TokenEmbedding::new(vocab?, hidden?), &layers, head) })
}

fn bank(fields: &mut Fields) -> Option<Experts> {
    let experts = fields.size("n_routed_experts");
    let top_k = fields.size("num_experts_per_tok");
    let ffn = fields.size("moe_intermediate_size");
    let shared = fields.optional_size("n_shared_experts").filter(|&count| count > 0);
    let groups = fields.optional_size("n_group");
    let top_groups = fields.optional_size("topk_group");
    let method = fields.optional_text("topk_method");
    let sigmoid = match fields.optional_text("scoring_func").as_deref() {
        // V3 files of `transformers` itself leave it out.
        None => method.is_none() || method.as_deref() == Some("noaux_tc"),
        Some("softmax") => false,
        Some("sigmoid") => true,
        Some(other) => {
            fields.problem("scoring_func", format!("\"{other}\" is not modelled"));
            false
        }
    };
    let (grouped, biased) = match method.as_deref() {
        Some("greedy") => (false, false),
        Some("group_limited_greedy") => (true, false),
        Some("noaux_tc") | None => (true, true),
        Some(other) => {
            fields.problem("topk_method", format!("\"{other}\" is not modelled"));
            (false, false)
        }
    };
    let router = match (sigmoid, groups.zip(top_groups).filter(|_| grouped)) {
        (false, None) => Router::Softmax,
        (true, None) => Router::Sigmoid,
        (false, Some((groups, top_groups))) => Router::GroupedSoftmax { groups, top_groups },
        (true, Some((groups, top_groups))) => Router::GroupedSigmoid { groups, top_groups },
    };
    let ffn = ffn?;
    Some(Experts {
        router,
        router_bias: biased,
        shared: shared.map(|count| SharedExpert { ffn: count.saturating_mul(ffn), gate: false }),
        ..Experts::new(experts?, top_k?, Mlp { ffn, gated: true, bias: false })
    })
}

//! Files with the published facts of models give the models that the presets are.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the value in the message")]

use motley_interop::{ImportError, huggingface};
use motley_workload::{Description, Model, Preset};
use proptest::prelude::*;
use proptest::sample::{Index, select};

fn model(json: &str) -> Model {
    let imported = huggingface(json, Some("imported")).unwrap_or_else(|error| panic!("{error}"));
    imported.model.build().unwrap()
}

/// `fields`, in the braces of an object.
fn same(preset: &str, fields: &str) {
    let mut expected = Preset::find(preset).unwrap().build();
    "imported".clone_into(&mut expected.name);
    assert_eq!(model(&format!("{{{fields}}}")), expected, "{preset}");
}

fn counts(fields: &str, parameters: f64, layers: u32, kinds: usize) -> Model {
    let model = model(&format!("{{{fields}}}"));
    let found = model.parameters();
    assert!((found / parameters - 1.0).abs() < 0.002, "{found}");
    assert_eq!((model.layer_count(), model.kinds().len()), (layers, kinds));
    model
}

const LLAMA_3_8B: &str = r#""model_type": "llama", "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256,
    "max_position_embeddings": 8192, "rope_theta": 500000.0, "rms_norm_eps": 1e-05,
    "hidden_act": "silu", "attention_bias": false, "mlp_bias": false, "torch_dtype": "bfloat16",
    "tie_word_embeddings": false, "bos_token_id": 128000, "eos_token_id": 128001,
    "rope_scaling": null, "use_cache": true, "transformers_version": "4.40.0""#;

const DEEPSEEK_V3: &str = r#""model_type": "deepseek_v3", "hidden_size": 7168, "num_hidden_layers": 61,
        "num_attention_heads": 128, "num_key_value_heads": 128, "q_lora_rank": 1536,
        "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
        "intermediate_size": 18432, "moe_intermediate_size": 2048, "n_routed_experts": 256,
        "n_shared_experts": 1, "num_experts_per_tok": 8, "first_k_dense_replace": 3,
        "moe_layer_freq": 1, "n_group": 8, "topk_group": 4, "topk_method": "noaux_tc",
        "scoring_func": "sigmoid", "vocab_size": 129280, "num_nextn_predict_layers": 1,
        "quantization_config": {"quant_method": "fp8"}"#;

const GEMMA_3: &str = r#""model_type": "gemma3_text", "hidden_size": 1152, "num_hidden_layers": 26,
        "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256,
        "intermediate_size": 6912, "vocab_size": 262144, "sliding_window": 512,
        "sliding_window_pattern": 6"#;

#[test]
fn what_is_built_like_llama() {
    same("llama-3-8b", LLAMA_3_8B);
    same(
        "llama-2-7b",
        r#""model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32,
        "num_attention_heads": 32, "intermediate_size": 11008, "vocab_size": 32000"#,
    );
    same(
        "qwen-2.5-7b",
        r#""model_type": "qwen2", "hidden_size": 3584, "num_hidden_layers": 28,
        "num_attention_heads": 28, "num_key_value_heads": 4, "intermediate_size": 18944,
        "vocab_size": 152064, "use_sliding_window": false, "sliding_window": 131072,
        "max_window_layers": 28, "attention_dropout": 0.0, "use_mrope": false"#,
    );
    same(
        "qwen-3-8b",
        r#""model_type": "qwen3", "hidden_size": 4096, "num_hidden_layers": 36,
        "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
        "intermediate_size": 12288, "vocab_size": 151936, "sliding_window": null,
        "use_sliding_window": false, "max_window_layers": 36, "tie_word_embeddings": false"#,
    );
    same(
        "qwen-3-30b-a3b",
        r#""model_type": "qwen3_moe", "hidden_size": 2048, "num_hidden_layers": 48,
        "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
        "intermediate_size": 6144, "moe_intermediate_size": 768, "num_experts": 128,
        "num_experts_per_tok": 8, "decoder_sparse_step": 1, "mlp_only_layers": [],
        "norm_topk_prob": true, "vocab_size": 151936, "tie_word_embeddings": false"#,
    );
    same(
        "mixtral-8x7b",
        r#""model_type": "mixtral", "hidden_size": 4096, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,
        "num_local_experts": 8, "num_experts_per_tok": 2, "vocab_size": 32000,
        "sliding_window": null, "router_aux_loss_coef": 0.02"#,
    );
}

#[test]
fn layers_that_are_unlike() {
    // Mistral 7B v0.1: every layer looks at a window.
    let mistral = counts(
        r#""model_type": "mistral", "hidden_size": 4096, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,
        "vocab_size": 32000, "sliding_window": 4096"#,
        7.2417e9,
        32,
        1,
    );
    let text = format!("{:?}", mistral.kinds());
    assert!(text.contains("window: Some(4096)"), "{text}");
    // The upper half of the layers looks at a window.
    counts(
        r#""model_type": "qwen2", "hidden_size": 3584, "num_hidden_layers": 28,
        "num_attention_heads": 28, "num_key_value_heads": 4, "intermediate_size": 18944,
        "vocab_size": 152064, "use_sliding_window": true, "sliding_window": 4096,
        "max_window_layers": 14"#,
        7.616e9,
        28,
        2,
    );
    // Qwen1.5-MoE-A2.7B has a shared expert with a gate.
    counts(
        r#""model_type": "qwen2_moe", "hidden_size": 2048, "num_hidden_layers": 24,
        "num_attention_heads": 16, "num_key_value_heads": 16, "intermediate_size": 5632,
        "moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632,
        "num_experts": 60, "num_experts_per_tok": 4, "decoder_sparse_step": 1,
        "vocab_size": 151936, "use_sliding_window": false"#,
        14.316e9,
        24,
        1,
    );
    // Every other layer has experts, the first listed one does not.
    counts(
        r#""model_type": "qwen3_moe", "hidden_size": 1024, "num_hidden_layers": 8,
        "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 64,
        "intermediate_size": 4096, "moe_intermediate_size": 512, "num_experts": 16,
        "num_experts_per_tok": 2, "decoder_sparse_step": 2, "mlp_only_layers": [1],
        "vocab_size": 32000"#,
        229.2e6,
        8,
        2,
    );
}

#[test]
fn latent_attention() {
    let remarks = |fields: &str| huggingface(&format!("{{{fields}}}"), None).unwrap().remarks;
    same(
        "deepseek-v2-lite",
        r#""model_type": "deepseek_v2", "hidden_size": 2048, "num_hidden_layers": 27,
        "num_attention_heads": 16, "num_key_value_heads": 16, "q_lora_rank": null,
        "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
        "intermediate_size": 10944, "moe_intermediate_size": 1408, "n_routed_experts": 64,
        "n_shared_experts": 2, "num_experts_per_tok": 6, "first_k_dense_replace": 1,
        "moe_layer_freq": 1, "n_group": 1, "topk_group": 1, "topk_method": "greedy",
        "scoring_func": "softmax", "vocab_size": 102400, "seq_aux": true, "ep_size": 1"#,
    );
    let v3 = DEEPSEEK_V3;
    same("deepseek-v3-mtp", v3);
    same(
        "deepseek-v3",
        &v3.replace("\"num_nextn_predict_layers\": 1", "\"num_nextn_predict_layers\": 0"),
    );
    let found = remarks(v3);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("num_nextn_predict_layers"), "{found:?}");
}

#[test]
fn gpt_and_its_relatives() {
    counts(
        r#""model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 1024,
        "n_layer": 24, "n_head": 16, "n_positions": 1024, "n_ctx": 1024, "vocab_size": 50257,
        "activation_function": "gelu_new", "attn_pdrop": 0.1, "resid_pdrop": 0.1,
        "embd_pdrop": 0.1, "layer_norm_epsilon": 1e-05, "summary_type": "cls_index""#,
        354.8e6,
        24,
        1,
    );
    same(
        "gpt-neox-20b",
        r#""model_type": "gpt_neox", "hidden_size": 6144, "num_hidden_layers": 44,
        "num_attention_heads": 64, "intermediate_size": 24576, "vocab_size": 50432,
        "rotary_pct": 0.25, "rotary_emb_base": 10000, "use_parallel_residual": true"#,
    );
    same(
        "gpt-j-6b",
        r#""model_type": "gptj", "n_embd": 4096, "n_layer": 28, "n_head": 16, "n_positions": 2048,
        "vocab_size": 50400, "rotary_dim": 64, "attn_pdrop": 0.0, "resid_pdrop": 0.0,
        "embd_pdrop": 0.0, "tie_word_embeddings": false"#,
    );
    same(
        "falcon-7b",
        r#""model_type": "falcon", "hidden_size": 4544, "num_hidden_layers": 32,
        "num_attention_heads": 71, "multi_query": true, "parallel_attn": true, "bias": false,
        "alibi": false, "new_decoder_architecture": false, "vocab_size": 65024"#,
    );
    same(
        "falcon-40b",
        r#""model_type": "falcon", "hidden_size": 8192, "num_hidden_layers": 60,
        "num_attention_heads": 128, "num_kv_heads": 8, "new_decoder_architecture": true,
        "parallel_attn": true, "bias": false, "alibi": false, "vocab_size": 65024"#,
    );
    same(
        "bloom-176b",
        r#""model_type": "bloom", "n_embed": 14336, "n_layer": 70, "num_attention_heads": 112,
        "vocab_size": 250880, "attention_dropout": 0.0, "hidden_dropout": 0.0,
        "masked_softmax_fusion": true, "pretraining_tp": 4, "offset_alibi": 100"#,
    );
}

#[test]
fn encoders_and_decoders() {
    let bert = r#""model_type": "bert", "architectures": ["BertForMaskedLM"], "hidden_size": 1024,
        "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
        "max_position_embeddings": 512, "type_vocab_size": 2, "vocab_size": 30592,
        "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
        "position_embedding_type": "absolute""#;
    same("bert-large", bert);
    for (preset, sizes) in [
        (
            "t5-small",
            r#""d_model": 512, "d_ff": 2048, "num_layers": 6, "num_heads": 8, "d_kv": 64"#,
        ),
        (
            "t5-11b",
            r#""d_model": 1024, "d_ff": 65536, "num_layers": 24, "num_heads": 128, "d_kv": 128"#,
        ),
    ] {
        let rest = r#""model_type": "t5", "vocab_size": 32128, "dropout_rate": 0.1,
            "relative_attention_num_buckets": 32, "feed_forward_proj": "relu",
            "is_encoder_decoder": true, "n_positions": 512"#;
        same(preset, &format!("{rest}, {sizes}"));
    }
}

#[test]
fn windows_in_turn() {
    let types = [r#""sliding_attention", "full_attention""#; 12].join(", ");
    for listed in [String::new(), format!(r#", "layer_types": [{types}]"#)] {
        same(
            "gpt-oss-20b",
            &format!(
                r#""model_type": "gpt_oss", "hidden_size": 2880, "num_hidden_layers": 24,
                "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64,
                "intermediate_size": 2880, "num_local_experts": 32, "num_experts_per_tok": 4,
                "experts_per_token": 4, "sliding_window": 128, "vocab_size": 201088,
                "swiglu_limit": 7.0, "initial_context_length": 4096 {listed}"#
            ),
        );
    }
    // Gemma 2 2B and Gemma 3 1B; every sixth layer of the latter sees all.
    counts(
        r#""model_type": "gemma2", "hidden_size": 2304, "num_hidden_layers": 26,
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
        "intermediate_size": 9216, "vocab_size": 256000, "sliding_window": 4096,
        "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
        "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 256"#,
        2.614e9,
        26,
        2,
    );
    let gemma = counts(GEMMA_3, 0.99989e9, 26, 2);
    let full: Vec<u32> = (0..26).filter(|&layer| gemma.part(layer) == gemma.part(5)).collect();
    assert_eq!(full, [5, 11, 17, 23]);
    let written = huggingface(
        r#"{"model_type": "gemma3_text", "hidden_size": 1152, "num_hidden_layers": 26,
        "num_attention_heads": 4, "num_key_value_heads": 1, "intermediate_size": 6912,
        "vocab_size": 262144}"#,
        None,
    );
    let Description::Stack(stack) = written.unwrap().model else { panic!() };
    // Five that look at a window and one that does not, four times, and two more.
    let runs: Vec<(u32, usize)> =
        stack.layers.iter().map(|run| (run.repeat, run.layers.len())).collect();
    assert_eq!(runs, [(4, 6), (2, 1)]);
}

proptest! {
    /// Whatever a field holds, the answer is a model or a reason.
    #[test]
    fn no_value_is_too_strange(
        file in select(vec![LLAMA_3_8B, DEEPSEEK_V3, GEMMA_3]),
        field in any::<Index>(),
        value in select(vec![
            "null", "-1", "0", "1", "3", "2147483648", "4294967295", "4294967296", "1e300", "-0.5",
            "true", "[]", "[1, 2]", "{}", "\"greedy\"", "\"\"",
        ]),
    ) {
        let object: serde_json::Value = serde_json::from_str(&format!("{{{file}}}")).unwrap();
        let mut object = object.as_object().unwrap().clone();
        let field = field.index(object.len());
        let name = object.keys().nth(field).unwrap().clone();
        object.insert(name, serde_json::from_str(value).unwrap());
        let text = serde_json::Value::Object(object).to_string();
        match huggingface(&text, None) {
            Ok(imported) => prop_assert!(imported.model.build().unwrap().parameters() > 0.0),
            Err(error) => prop_assert!(!error.problems.is_empty()),
        }
    }
}

#[test]
fn models_are_named_by_file_or_caller() {
    let name = |fields: &str, given| {
        let text = format!("{{{LLAMA_3_8B} {fields}}}");
        huggingface(&text, given).unwrap().model.name().to_owned()
    };
    assert_eq!(name("", None), "llama");
    assert_eq!(
        name(r#", "_name_or_path": "meta-llama/Meta-Llama-3-8B/""#, None),
        "Meta-Llama-3-8B"
    );
    assert_eq!(name(r#", "_name_or_path": "a/b""#, Some("mine")), "mine");
}

/// Each problem as `field: message`, of which the expected ones are a part.
fn refused(text: &str, expected: &[&str]) {
    let Err(ImportError { problems }) = huggingface(text, None) else { panic!("accepted: {text}") };
    let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (message, part) in found.iter().zip(expected) {
        assert!(message.contains(part), "{message} lacks {part}");
    }
}

#[test]
fn what_is_not_understood_is_named() {
    let llama = |more: &str| format!("{{{LLAMA_3_8B}, {more}}}");
    refused("{", &["this is not JSON"]);
    refused("[]", &["expected a JSON object"]);
    refused("{}", &["`model_type`: is missing"]);
    refused(r#"{"model_type": "lama"}"#, &["did you mean \"llama\"?"]);
    refused(r#"{"model_type": "mamba2"}"#, &["\"mamba2\" is not an architecture"]);
    refused(
        r#"{"model_type": "gemma3", "text_config": {}}"#,
        &["`text_config`: a model of several"],
    );
    refused(&llama(r#""mystery": 3"#), &["`mystery`: is not understood"]);
    refused(
        &llama(r#""architectures": ["LlamaForSequenceClassification"]"#),
        &["`architectures`: \"LlamaForSequenceClassification\" has another head"],
    );
    refused(&llama(r#""hidden_size": "wide""#), &["`hidden_size`: expected a whole number"]);
    refused(&llama(r#""hidden_size": -1"#), &["`hidden_size`: expected a whole number"]);
    refused(&llama(r#""num_hidden_layers": 4000000000"#), &["more than any model has"]);
    refused(&llama(r#""num_hidden_layers": 0"#), &["the stack has no layer"]);
    refused(&llama(r#""num_key_value_heads": 5"#), &["32 heads cannot share 5 kv_heads"]);
    refused(&llama(r#""num_attention_heads": 33"#), &["33 heads do not share a width of 4096"]);
    refused(
        r#"{"model_type": "mixtral"}"#,
        &["`hidden_size`: is missing", "num_hidden_layers", "num_attention_heads", "vocab_size"],
    );
    refused(
        r#"{"model_type": "gpt_oss", "hidden_size": 2880, "num_hidden_layers": 2,
        "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64,
        "intermediate_size": 2880, "num_local_experts": 32, "num_experts_per_tok": 4,
        "vocab_size": 201088, "layer_types": ["full_attention", "linear_attention"]}"#,
        &["`layer_types`: \"linear_attention\" is not modelled"],
    );
}

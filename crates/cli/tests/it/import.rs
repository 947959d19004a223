//! `motley import huggingface`.

use crate::command::{MIXED, answer, changed, folder_with, motley};

/// GPT-2 medium, as far as a scenario must know it.
const CONFIG: &str = r#"{
    "model_type": "gpt2", "n_embd": 1024, "n_layer": 24, "n_head": 16, "n_positions": 1024,
    "vocab_size": 50304, "attn_pdrop": 0.1, "resid_pdrop": 0.1, "embd_pdrop": 0.1
}"#;

/// What is printed is a model that a scenario takes.
#[test]
fn an_imported_model_runs() {
    let folder = folder_with("config.json", CONFIG);
    let import = ["import", "huggingface", "config.json", "--name", "mine"];
    let model = answer(folder.path(), &import);
    let scenario = changed(MIXED, &[("Preset(\"gpt3-350m\")", model.trim_end())]);
    std::fs::write(folder.path().join("scenario.ron"), scenario).unwrap();
    let page = answer(folder.path(), &["run", "scenario.ron"]);
    assert!(page.contains("mine, 355M parameters"), "{page}");

    let path = folder.path().join("model.ron");
    let arguments = [&import[..], &["-o", "model.ron"]].concat();
    assert_eq!(answer(folder.path(), &arguments), "");
    assert_eq!(std::fs::read_to_string(path).unwrap(), model);
}

#[test]
fn what_is_left_out_is_said() {
    let bert = r#"{
        "model_type": "bert", "hidden_size": 768, "num_hidden_layers": 12,
        "num_attention_heads": 12, "intermediate_size": 3072, "max_position_embeddings": 512,
        "vocab_size": 30522
    }"#;
    let folder = folder_with("config.json", bert);
    let ran = motley(folder.path(), &["import", "huggingface", "config.json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("// the pooler"), "{}", ran.stdout);
    assert!(ran.stderr.contains("config.json: the pooler"), "{}", ran.stderr);
}

#[test]
fn refusals_name_the_file_and_the_field() {
    let check = |text: &str, code: i32, parts: &[&str]| {
        let folder = folder_with("config.json", text);
        let ran = motley(folder.path(), &["import", "huggingface", "config.json"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{}", ran.stderr);
        for part in parts {
            assert!(ran.stderr.contains(part), "{}", ran.stderr);
        }
    };
    check("{", 2, &["error: config.json: this is not JSON"]);
    check(&CONFIG.replace("n_embd", "n_embed"), 2, &["error: config.json: `n_embd`: is missing"]);
    check(
        &CONFIG.replace("\"n_head\"", "\"mystery\": 1, \"n_head\""),
        2,
        &["error: config.json: `mystery`: is not understood"],
    );
    let folder = folder_with("other.json", "");
    let ran = motley(folder.path(), &["import", "huggingface", "config.json"]);
    assert_eq!(ran.code, Some(74), "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot read config.json"), "{}", ran.stderr);
}

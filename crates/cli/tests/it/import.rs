//! `motley import`.

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

/// A short run of four cards, made up.
const RUN: &str = "\
# nThread 1 nGpus 4 minBytes 1024 maxBytes 1048576 step: 1024(factor) warmup iters: 1 iters: 5 validation: 1
#
# Using devices
#   Rank  0 Pid     11 on        one device  0 [0x1a] Tesla V100-SXM2-32GB
#   Rank  1 Pid     11 on        one device  1 [0x1c] Tesla V100-SXM2-32GB
#   Rank  2 Pid     11 on        one device  2 [0x1d] Tesla V100-SXM2-32GB
#   Rank  3 Pid     11 on        one device  3 [0x1e] Tesla V100-SXM2-32GB
#
#       size         count    type   redop     time   algbw   busbw  error     time   algbw   busbw  error
#        (B)    (elements)                     (us)  (GB/s)  (GB/s)            (us)  (GB/s)  (GB/s)
        1024           256   float     sum    21.50    0.05    0.07  2e-07    21.25    0.05    0.07  2e-07
     1048576        262144   float     sum    60.00   17.48   26.21  2e-07    59.50   17.62   26.43  2e-07
# Out of bounds values : 0 OK
# Avg bus bandwidth    : 13.2
";

/// What is printed is a profile that a scenario names.
#[test]
fn an_imported_run_of_nccl_tests_counts() {
    let folder = folder_with("run.txt", RUN);
    let import = ["import", "nccl-tests", "run.txt", "--collective", "all_reduce"];
    let profile = answer(folder.path(), &import);
    let golden =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/nccl_tests.ron");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &profile).unwrap();
    }
    assert_eq!(profile, std::fs::read_to_string(golden).unwrap(), "UPDATE_GOLDEN=1 accepts");
    let arguments = [&import[..], &["-o", "profile.ron"]].concat();
    assert_eq!(answer(folder.path(), &arguments), "");
    let scenario = changed(MIXED, &[("cluster: (", "profile: \"profile.ron\",\n    cluster: (")]);
    std::fs::write(folder.path().join("scenario.ron"), scenario).unwrap();
    let said = answer(folder.path(), &["check", "scenario.ron"]);
    assert!(said.contains("collective times: profile (1 of "), "{said}");

    let check = |arguments: &[&str], parts: &[&str]| {
        let ran =
            motley(folder.path(), &[&["import", "nccl-tests", "run.txt"], arguments].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{}", ran.stderr);
        for part in parts {
            assert!(ran.stderr.contains(part), "{part} is not in {}", ran.stderr);
        }
    };
    check(&[], &["error: run.txt: the file does not say which collective", "--collective"]);
    check(&["--collective", "all_redcue"], &["did you mean all_reduce?"]);
    check(&["--collective", "all_gather"], &["error: run.txt:11: size 1024"]);
    check(&["--card", "v1000"], &["--card: \"v1000\"", "motley catalog devices"]);
    check(&["--design", "dgx"], &["--design: \"dgx\"", "motley catalog nodes"]);
    check(&["run.txt", "--collective", "all_reduce"], &["a second time of 1024 bytes"]);
    let ran = motley(folder.path(), &["import", "nccl-tests", "none.txt"]);
    assert_eq!(ran.code, Some(74), "{}", ran.stderr);
}

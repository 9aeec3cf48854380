//! `config.json` as savers old and new write it, and as people edit it.

use crate::support;

use serde_json::{Value, json};
use support::{edited, generate, image, model, run};

#[track_caller]
fn said(folder: &std::path::Path) -> String {
    run(generate(folder, &image("wide.png"), "What?").iter().map(String::as_str).chain(["--json"]))
        .ok()
        .stdout
}

/// A value of a configuration, which is there or is made.
fn set(config: &mut Value, pointer: &str, value: Value) {
    let (section, key) = pointer.rsplit_once('/').unwrap();
    config.pointer_mut(section).unwrap()[key] = value;
}

#[test]
fn keys_that_savers_leave_empty_move_or_write_twice_make_the_same_model() {
    let wanted = said(&model());
    let rope = json!({"mrope_section": [2, 3, 3], "rope_type": "default"});
    let settings: [&[(&str, Value)]; 12] = [
        &[("/text_config/rope_theta", Value::Null), ("/text_config/head_dim", Value::Null)],
        &[("/text_config/max_position_embeddings", Value::Null), ("/text_config/layer_types", Value::Null)],
        &[("/text_config/use_sliding_window", Value::Null), ("/text_config/hidden_act", Value::Null)],
        &[("/text_config/rope_scaling", Value::Null), ("/rope_scaling", rope.clone())],
        &[("/text_config/rope_scaling", Value::Null), ("/rope_parameters", rope.clone())],
        &[("/text_config/rope_scaling", json!({})), ("/text_config/rope_parameters", rope.clone())],
        &[("/rope_parameters", Value::Null), ("/rope_scaling", Value::Null)],
        &[("/text_config/tie_word_embeddings", Value::Null), ("/tie_word_embeddings", json!(true))],
        &[("/tie_word_embeddings", json!(false))],
        // Saved again by a version that has another name for it.
        &[("/vision_config/in_chans", json!(3))],
        &[("/text_config/hidden_size", json!(64.0)), ("/vision_config/depth", json!(3.0))],
        &[(
            "/quantization_config",
            json!({"quant_method": "bitsandbytes", "load_in_4bit": false, "load_in_8bit": false}),
        )],
    ];
    for changes in settings {
        let folder = edited("config.json", |config| {
            changes.iter().for_each(|(pointer, value)| set(config, pointer, value.clone()));
        });
        assert_eq!(said(folder.path()), wanted, "{changes:?}");
    }
    // Newer savers have the base of the frequencies with the other rotary settings, and there it counts.
    let with_theta = |theta: Value, newer: Value| {
        let folder = edited("config.json", |config| {
            let mut rope = rope.clone();
            rope["rope_theta"] = newer;
            set(config, "/text_config/rope_scaling", Value::Null);
            set(config, "/text_config/rope_parameters", rope);
            set(config, "/text_config/rope_theta", theta);
        });
        said(folder.path())
    };
    assert_eq!(with_theta(json!(17.0), json!(1e6)), wanted);
    assert_eq!(with_theta(Value::Null, Value::Null), wanted);
}

#[test]
fn what_is_malformed_is_refused_by_its_key_with_what_was_found_and_wanted() {
    for (pointer, value, parts) in [
        (
            "/text_config/hidden_size",
            json!("64"),
            ["text_config.hidden_size: found \"64\"", "a whole number"],
        ),
        ("/text_config/hidden_size", json!(64.5), ["text_config.hidden_size: found 64.5", "a whole number"]),
        ("/text_config/vocab_size", Value::Null, ["text_config.vocab_size: found null", "a whole number"]),
        ("/text_config/rms_norm_eps", json!([1]), ["text_config.rms_norm_eps: found [1]", "a number"]),
        ("/text_config/rope_theta", json!("1e6"), ["text_config.rope_theta: found \"1e6\"", "a number"]),
        ("/text_config/rope_scaling", json!("default"), ["text_config.rope_scaling: found \"def", "object"]),
        ("/text_config/rope_scaling/rope_type", json!(3), ["rope_scaling.rope_type: found 3", "a text"]),
        ("/text_config/rope_scaling/type", json!("yarn"), ["rope_scaling.type: found \"yarn\"", "mrope"]),
        ("/text_config/rope_scaling/mrope_section", json!([2, 6]), ["mrope_section: found [2,6]", "three"]),
        (
            "/text_config/use_sliding_window",
            json!(true),
            ["text_config.use_sliding_window: found true", "false"],
        ),
        (
            "/text_config/use_sliding_window",
            json!("no"),
            ["use_sliding_window: found \"no\"", "true or false"],
        ),
        (
            "/text_config/tie_word_embeddings",
            json!(1),
            ["text_config.tie_word_embeddings: found 1", "true or"],
        ),
        (
            "/tie_word_embeddings",
            json!("true"),
            ["config.json:tie_word_embeddings: found \"true\"", "true or"],
        ),
        (
            "/text_config/layer_types",
            json!(["sliding_attention", "full_attention"]),
            ["text_config.layer_types", "full_"],
        ),
        (
            "/text_config/initializer_range",
            json!(-1),
            ["text_config.initializer_range: found -1", "negative"],
        ),
        ("/image_token_id", json!("x"), ["config.json:image_token_id: found \"x\"", "a whole number"]),
        ("/image_token_id", json!(1u64 << 40), ["config.json:image_token_id: found 1099", "a token id"]),
        ("/image_token_id", Value::Null, ["image_token_id: found 1036", "151655 in config.json"]),
        ("/vision_config", json!(3), ["config.json:vision_config: found 3", "a JSON object"]),
        ("/vision_config", Value::Null, ["config.json:vision_config: found null", "vision tower"]),
        ("/text_config", json!("none"), ["config.json:text_config: found \"none\"", "a JSON object"]),
        ("/vision_config/depth", json!(-3), ["config.json:vision_config.depth: found -3", "a whole number"]),
        (
            "/vision_config/fullatt_block_indexes",
            json!([0.5]),
            ["fullatt_block_indexes: found [0.5]", "list"],
        ),
        ("/vision_config/num_heads", json!(0), ["config.json:vision_config.num_heads: found 0", "from 1 to"]),
        (
            "/quantization_config",
            json!("int4"),
            ["config.json:quantization_config: found \"int4\"", "object"],
        ),
        ("/text_config/compression_config", json!({"format": "x"}), ["compression_config", "quantised"]),
        ("/quantization_config", json!({"load_in_8bit": true}), ["quantised by bitsandbytes", "unquantised"]),
    ] {
        let folder = edited("config.json", |config| set(config, pointer, value.clone()));
        let ran = run(generate(folder.path(), &image("wide.png"), "What?"));
        ran.refused(&["config.json"]);
        ran.refused(&parts);
    }
    let long = "x".repeat(100_000);
    let folder = edited("config.json", |config| set(config, "/text_config/hidden_size", json!(long)));
    let ran = run(generate(folder.path(), &image("wide.png"), "What?"));
    ran.refused(&["text_config.hidden_size", "a whole number"]);
    assert!(ran.stderr.len() < 1000, "{} bytes", ran.stderr.len());
}

//! Model and adapter folders with one thing wrong: refused with exit code 2, by file and tensor or key.

use crate::support;

use serde_json::json;
use std::path::Path;
use support::{adapter, copied_model, generate, image, model, model_with, run, set_json};

#[track_caller]
fn refused(folder: &Path, parts: &[&str]) {
    run(generate(folder, &image("wide.png"), "What?")).refused(parts);
}

#[test]
fn a_folder_or_file_that_is_missing_is_named() {
    refused(Path::new("no/such/model"), &["--model", "no/such/model", "no such folder"]);
    for name in ["config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json"] {
        let folder = copied_model();
        std::fs::remove_file(folder.path().join(name)).unwrap();
        refused(folder.path(), &[name]);
    }
}

#[test]
fn damaged_weights_are_refused_before_they_are_read() {
    let folder = copied_model();
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    for (bytes, part) in [
        (&bytes[..bytes.len() / 2], "truncated"),
        (&bytes[..100], "truncated"),
        (&bytes[..5], "truncated"),
        // A header of 2^62 bytes.
        (&[&(1u64 << 62).to_le_bytes()[..], &bytes[8..]].concat(), "claims"),
        (&[&bytes[..8], &vec![b'x'; bytes.len() - 8]].concat(), "model.safetensors"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        refused(folder.path(), &["model.safetensors", part]);
    }
}

#[test]
fn missing_unexpected_and_wrongly_shaped_tensors_are_all_in_one_message() {
    let folder = model_with(|tensors| {
        let last = tensors.iter().position(|(name, ..)| name.ends_with("norm.weight")).unwrap();
        tensors.remove(last);
        tensors.push(("stray.weight".into(), vec![1], vec![0; 4]));
        let matrix = tensors.iter_mut().find(|(_, shape, _)| shape.len() == 2).unwrap();
        matrix.1.reverse();
        matrix.1[0] *= 2;
        matrix.1[1] /= 2;
    });
    refused(
        folder.path(),
        &["missing", "norm.weight", "unexpected", "stray.weight", "wrong shape", "wanted ["],
    );
}

#[test]
fn a_configuration_that_no_model_can_have_is_named_by_key() {
    for (file, pointer, value, parts) in [
        ("config.json", "/model_type", json!("llama"), ["config.json:model_type", "llama"]),
        ("config.json", "/text_config/num_attention_heads", json!(0), ["num_attention_heads", "0"]),
        ("config.json", "/text_config/vocab_size", json!(1u64 << 40), ["vocab_size", "1099511627776"]),
        ("config.json", "/vision_config/patch_size", json!(16), ["patch_size", "16"]),
        ("preprocessor_config.json", "/patch_size", json!(0), ["preprocessor_config.json", "patch_size"]),
        (
            "generation_config.json",
            "/eos_token_id",
            json!("x"),
            ["generation_config.json:eos_token_id", "wanted"],
        ),
    ] {
        let folder = copied_model();
        set_json(&folder.path().join(file), pointer, value);
        refused(folder.path(), &parts);
    }
    let folder = copied_model();
    std::fs::write(folder.path().join("config.json"), "{").unwrap();
    refused(folder.path(), &["config.json"]);
}

#[test]
fn shards_that_lie_elsewhere_or_do_not_hold_what_the_index_says_are_refused() {
    let folder = copied_model();
    let single = folder.path().join("model.safetensors");
    std::fs::rename(&single, folder.path().join("shard.safetensors")).unwrap();
    let index = folder.path().join("model.safetensors.index.json");
    let with = |tensor: &str, file: &str, parts: &[&str]| {
        std::fs::write(&index, json!({"weight_map": {tensor: file}}).to_string()).unwrap();
        refused(folder.path(), parts);
    };
    let outside = folder.path().join("shard.safetensors");
    for file in ["../shard.safetensors", "sub/shard.safetensors", outside.to_str().unwrap()] {
        with("model.norm.weight", file, &["weight_map", file.rsplit('/').next().unwrap(), "same folder"]);
    }
    with("model.norm.weight", "absent.safetensors", &["absent.safetensors"]);
    let unlisted = ["missing", "model.stray", "unlisted", "model.embed_tokens.weight", "more"];
    with("model.stray", "shard.safetensors", &unlisted);
    // An index that was left beside a single file says nothing.
    std::fs::rename(folder.path().join("shard.safetensors"), &single).unwrap();
    run(generate(folder.path(), &image("wide.png"), "What?")).ok();
}

#[test]
fn weights_of_a_type_that_is_not_supported_are_named() {
    let folder = copied_model();
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    // Four bytes a value either way.
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let text = String::from_utf8(bytes[8..8 + header].to_vec()).unwrap().replacen("\"F32\"", "\"I32\"", 1);
    std::fs::write(&path, [&bytes[..8], text.as_bytes(), &bytes[8 + header..]].concat()).unwrap();
    refused(folder.path(), &["wrong dtype", "found I32", "wanted F32, F16 or BF16"]);
}

#[test]
fn a_tokenizer_without_the_special_tokens_is_refused() {
    for token in ["<|image_pad|>", "<|vision_start|>", "<|vision_end|>"] {
        let folder = copied_model();
        for name in ["tokenizer.json", "tokenizer_config.json"] {
            let path = folder.path().join(name);
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, text.replace(token, "<|other|>")).unwrap();
        }
        refused(folder.path(), &["tokenizer.json", token, "missing"]);
    }
}

#[test]
fn a_template_that_raises_runs_away_or_is_none_is_refused() {
    for (source, part) in [
        ("{{ raise_exception('No images here!') }}", "No images here!"),
        (
            "{% for a in range(90000) %}{% for b in range(90000) %}x{% endfor %}{% endfor %}",
            "loop without end",
        ),
        (
            "{% set n = namespace(s='xxxxxxxx') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
            "more time or memory",
        ),
        ("{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}", "chat template"),
        ("{% for %}", "does not compile"),
        ("{{ messages[0].content.nothing.at.all }}", "the chat template fails"),
    ] {
        let folder = copied_model();
        std::fs::write(folder.path().join("chat_template.jinja"), source).unwrap();
        refused(folder.path(), &[part]);
    }
}

#[test]
fn an_adapter_that_does_not_fit_is_refused() {
    let with = |adapter: &Path| {
        let args = generate(&model(), &image("wide.png"), "What?");
        run(args.iter().map(String::as_str).chain(["--adapter", adapter.to_str().unwrap()]))
    };
    with(Path::new("no/such/adapter")).refused(&["--adapter", "no/such/adapter"]);
    let dir = tempfile::tempdir().unwrap();
    let copy = |name: &str| std::fs::copy(adapter().join(name), dir.path().join(name)).unwrap();
    with(dir.path()).refused(&["adapter_config.json"]);
    copy("adapter_config.json");
    with(dir.path()).refused(&["adapter_model.safetensors"]);
    copy("adapter_model.safetensors");
    with(dir.path()).ok();
    set_json(&dir.path().join("adapter_config.json"), "/use_dora", json!(true));
    with(dir.path()).refused(&["adapter_config.json:use_dora", "true"]);
    set_json(&dir.path().join("adapter_config.json"), "/use_dora", json!(false));
    set_json(&dir.path().join("adapter_config.json"), "/r", json!(5));
    with(dir.path()).refused(&["adapter_model.safetensors", "wrong shape", "found [4"]);
}

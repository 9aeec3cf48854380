//! Model and adapter folders as people have them: what can be read is, and what cannot is called by its name.

use crate::support;

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use support::{Stored, adapter, copied_model, edited, generate, image, model, model_with, run, set_json};

/// What the model of a folder says to the picture.
#[track_caller]
fn answer(folder: &Path) -> (String, String) {
    let ran =
        run(generate(folder, &image("wide.png"), "What?").iter().map(String::as_str).chain(["--json"])).ok();
    (ran.stdout, ran.stderr)
}

#[track_caller]
fn refused(folder: &Path, parts: &[&str]) {
    run(generate(folder, &image("wide.png"), "What?")).refused(parts);
}

/// Adds a tensor of zeros.
fn with(name: &str, shape: &[usize]) -> tempfile::TempDir {
    let bytes = vec![0; 4 * shape.iter().product::<usize>()];
    model_with(|tensors| tensors.push((name.into(), shape.to_vec(), bytes)))
}

#[test]
fn tensors_that_are_no_weights_are_left_out_with_a_note_and_others_are_refused() {
    let (said, _) = answer(&model());
    for (name, shape) in [
        ("v_head.summary.weight", &[1, 64][..]),
        ("model.layers.0.self_attn.rotary_emb.inv_freq", &[8]),
        ("visual.rotary_pos_emb.inv_freq", &[8]),
    ] {
        let folder = with(name, shape);
        let (found, note) = answer(folder.path());
        assert_eq!(found, said, "{name}");
        assert!(note.contains("left out") && note.contains(name.rsplit('.').next().unwrap()), "{note}");
    }
    refused(with("model.layers.0.self_attn.gate.weight", &[8]).path(), &["unexpected", "gate.weight"]);
}

#[test]
fn settings_of_old_and_new_savers_make_the_same_model() {
    let (said, _) = answer(&model());
    // Transformers 5: rotary settings under another name, the old one null.
    let renamed = edited("config.json", |config| {
        let text = config["text_config"].as_object_mut().unwrap();
        let rope = text.insert("rope_scaling".into(), Value::Null).unwrap();
        text.insert("rope_parameters".into(), rope);
    });
    assert_eq!(answer(renamed.path()).0, said);
    let nothing = edited("config.json", |config| {
        config["text_config"]["rope_scaling"] = Value::Null;
    });
    refused(nothing.path(), &["config.json:text_config.rope_scaling.mrope_section", "nothing"]);
    // One file for the processor, and no other.
    let folder = copied_model();
    let old = folder.path().join("preprocessor_config.json");
    let settings: Value = serde_json::from_slice(&fs::read(&old).unwrap()).unwrap();
    fs::remove_file(old).unwrap();
    let new = json!({"processor_class": "Qwen2_5_VLProcessor", "image_processor": settings});
    fs::write(folder.path().join("processor_config.json"), new.to_string()).unwrap();
    assert_eq!(answer(folder.path()).0, said);
    // Line ends of Windows.
    let folder = copied_model();
    let template = folder.path().join("chat_template.jinja");
    let text = fs::read_to_string(&template).unwrap();
    fs::write(&template, text.replace('\n', "\r\n")).unwrap();
    assert_eq!(answer(folder.path()).0, said);
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
fn a_quantised_base_is_called_that_by_its_tensors_alone() {
    let layer = "model.layers.0.self_attn.q_proj";
    for (end, method) in [
        ("qweight", "GPTQ or AWQ"),
        ("qzeros", "GPTQ or AWQ"),
        ("weight.absmax", "bitsandbytes"),
        ("weight.quant_map", "bitsandbytes"),
        ("weight.quant_state.bitsandbytes__nf4", "bitsandbytes"),
        ("SCB", "bitsandbytes"),
        ("weight_scale", "FP8"),
        ("weight_scale_inv", "FP8"),
        ("weight_packed", "compressed-tensors"),
    ] {
        let name = format!("{layer}.{end}");
        let folder = with(&name, &[8]);
        refused(folder.path(), &["model.safetensors", "quantised by", method, &name, "unquantised", "bf16"]);
    }
    // The same bytes as another type.
    let folder = copied_model();
    let path = folder.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut text: Value = serde_json::from_slice(&bytes[8..header]).unwrap();
    let weight = &mut text[format!("{layer}.weight")];
    (weight["dtype"], weight["shape"]) = (json!("F8_E4M3"), json!([64, 256]));
    let text = text.to_string();
    let whole = [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), &bytes[header..]].concat();
    fs::write(&path, whole).unwrap();
    refused(folder.path(), &["quantised by F8_E4M3", "q_proj.weight", "unquantised"]);
}

#[test]
fn a_tied_head_that_is_there_is_left_out_if_it_is_the_embeddings_and_refused_if_not() {
    let (said, _) = answer(&model());
    let embeddings = |tensors: &[Stored]| {
        tensors.iter().position(|(name, ..)| name == "model.embed_tokens.weight").unwrap()
    };
    let copied = model_with(|tensors| {
        let (_, shape, bytes) = tensors[embeddings(tensors)].clone();
        tensors.push(("lm_head.weight".into(), shape, bytes));
    });
    let (found, note) = answer(copied.path());
    assert_eq!(found, said);
    assert!(note.contains("left out") && note.contains("lm_head.weight"), "{note}");
    // A saver that writes a shared tensor once may keep the other name.
    let renamed = model_with(|tensors| {
        let at = embeddings(tensors);
        tensors[at].0 = "lm_head.weight".into();
    });
    assert_eq!(answer(renamed.path()).0, said);
    let other = model_with(|tensors| {
        let (_, shape, mut bytes) = tensors[embeddings(tensors)].clone();
        *bytes.last_mut().unwrap() ^= 1;
        tensors.push(("lm_head.weight".into(), shape, bytes));
    });
    refused(other.path(), &["lm_head.weight differs from model.embed_tokens.weight", "tie_word_embeddings"]);
}

#[test]
fn a_pointer_of_git_lfs_is_called_one() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n";
    for name in ["config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json"] {
        let folder = copied_model();
        fs::write(folder.path().join(name), pointer).unwrap();
        refused(folder.path(), &[name, "Git LFS pointer", "git lfs pull", "hf:"]);
    }
}

#[test]
fn weights_in_other_formats_are_named() {
    for name in ["pytorch_model.bin", "model-Q4_K_M.gguf"] {
        let folder = copied_model();
        fs::rename(folder.path().join("model.safetensors"), folder.path().join(name)).unwrap();
        refused(folder.path(), &[name, "safetensors", "save_pretrained"]);
    }
}

#[test]
fn an_index_says_which_tensors_its_shards_hold_and_nothing_of_a_single_file() {
    let folder = copied_model();
    let single = folder.path().join("model.safetensors");
    let shard = folder.path().join("shard.safetensors");
    fs::rename(&single, &shard).unwrap();
    let index = json!({"weight_map": {"model.stray": "shard.safetensors"}}).to_string();
    fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
    refused(folder.path(), &["missing", "model.stray", "unlisted", "model.embed_tokens.weight", "more"]);
    // One that was left beside a single file.
    fs::rename(shard, single).unwrap();
    answer(folder.path());
}

/// The adapter with its tensors under other names, or values.
fn adapter_with(change: impl Fn(&mut Vec<Stored>)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(adapter().join("adapter_config.json"), folder.path().join("adapter_config.json")).unwrap();
    let bytes = fs::read(adapter().join("adapter_model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Vec<Stored> =
        file.iter().map(|(name, view)| (name.into(), view.shape().into(), view.data().into())).collect();
    change(&mut tensors);
    let views = tensors.iter().map(|(name, shape, data)| {
        (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), data).unwrap())
    });
    fs::write(folder.path().join("adapter_model.safetensors"), safetensors::serialize(views, None).unwrap())
        .unwrap();
    folder
}

#[test]
fn an_adapter_of_a_model_s_own_state_is_read() {
    let said = |folder: &Path| {
        let folder = folder.to_str().unwrap();
        let args = generate(&model(), &image("wide.png"), "What?");
        run(args.iter().map(String::as_str).chain(["--json", "--adapter", folder]))
    };
    let wanted = said(&adapter()).ok().stdout;
    let spellings: [fn(&str) -> String; 5] = [
        |name| name.replace(".weight", ".default.weight"),
        |name| name.replace(".weight", ".my-adapter.weight"),
        |name| name.replacen("base_model.model.", "", 1),
        |name| name.replace("base_model.model.model.language_model.", "language_model."),
        |name| name.replace(".model.language_model.", ".model.").replace(".weight", ".student.weight"),
    ];
    for spelling in spellings {
        let raw = adapter_with(|tensors| {
            assert!(tensors.iter().any(|(name, ..)| spelling(name) != *name));
            for (name, ..) in tensors {
                *name = spelling(name);
            }
        });
        assert_eq!(said(raw.path()).ok().stdout, wanted);
    }

    let folder = tempfile::tempdir().unwrap();
    fs::copy(adapter().join("adapter_config.json"), folder.path().join("adapter_config.json")).unwrap();
    fs::write(folder.path().join("adapter_model.bin"), "PK").unwrap();
    said(folder.path()).refused(&["adapter_model.bin", "adapter_model.safetensors", "save_pretrained"]);
    for (key, value) in [("use_dora", json!(true)), ("peft_type", json!("IA3")), ("bias", json!("all"))] {
        set_json(&folder.path().join("adapter_config.json"), "", {
            let mut config: Value =
                serde_json::from_slice(&fs::read(adapter().join("adapter_config.json")).unwrap()).unwrap();
            config[key] = value;
            config
        });
        said(folder.path()).refused(&["adapter_config.json", key, "supported"]);
    }
}

#[test]
fn what_is_not_finite_is_neither_merged_nor_scored_and_is_named() {
    let out = tempfile::tempdir().unwrap();
    let merge = |adapter: &Path, out: &Path| {
        let model = model();
        let [model, adapter, out] = [&model, adapter, out].map(|path| path.to_str().unwrap());
        run(["merge", "--model", model, "--adapter", adapter, "--out", out, "--check"])
    };
    for value in [f32::NAN, f32::INFINITY] {
        let poisoned = adapter_with(|tensors| {
            let (_, _, data) = tensors.iter_mut().find(|(name, ..)| name.contains("lora_B")).unwrap();
            data[..4].copy_from_slice(&value.to_le_bytes());
        });
        let target = out.path().join(value.to_string());
        merge(poisoned.path(), &target).refused(&["not finite", "weight", "adapter_model.safetensors"]);
        assert!(!target.exists(), "nothing is in the way of the next try");
    }
    merge(&adapter(), &out.path().join("sound")).ok();

    let with_norm = |value: f32| {
        model_with(|tensors| {
            let (_, _, data) =
                tensors.iter_mut().find(|(name, ..)| name.ends_with("model.norm.weight")).unwrap();
            data.chunks_exact_mut(4).for_each(|weight| weight.copy_from_slice(&value.to_le_bytes()));
        })
    };
    let (dir, data) = support::data_folder(&support::questions());
    let (recipe, run_dir) = (support::recipe(&data), dir.path().join("run"));
    let poisoned = with_norm(f32::NAN);
    for command in ["train", "eval"] {
        let base = format!("model.path={:?}", poisoned.path());
        let [recipe, run_dir] = [&recipe, &run_dir].map(|path| path.to_str().unwrap());
        let run_dir = format!("{run_dir}-{command}");
        let ran = run([command, recipe, "--run-dir", &run_dir, "--set", &base]);
        assert_eq!(ran.code, Some(1), "{command}: {}", ran.stderr);
        for part in ["model.safetensors: tensor `model.", "norm.weight` is not finite: value 0 is NaN"] {
            assert!(ran.stderr.contains(part), "{command}: {}", ran.stderr);
        }
    }

    let folder = with_norm(f32::NAN);
    let (dir, rows) = support::data_folder(&[
        json!({"id": "first", "image": "wide.png", "prompt": "What?", "completion": "A cat."}),
    ]);
    let scores = dir.path().join("scores.jsonl");
    let [model, rows, to] = [folder.path(), &rows, &scores].map(|path| path.to_str().unwrap());
    let ran = run(["score", "--model", model, "--input", rows, "--output", to]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("row \"first\"") && ran.stderr.contains("not finite"), "{}", ran.stderr);
    assert!(!scores.exists(), "a result is whole or not there");
}

#[test]
fn a_sharded_base_with_tensors_of_others_merges_into_a_model_that_loads() {
    let base = with("v_head.summary.weight", &[1, 64]);
    let shard = base.path().join("model-00001-of-00001.safetensors");
    fs::rename(base.path().join("model.safetensors"), &shard).unwrap();
    let bytes = fs::read(&shard).unwrap();
    let names = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let map: serde_json::Map<String, Value> = names
        .names()
        .into_iter()
        .map(|name| (name.to_owned(), json!("model-00001-of-00001.safetensors")))
        .collect();
    let index = base.path().join("model.safetensors.index.json");
    fs::write(index, json!({"weight_map": map}).to_string()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (out, adapter) = (dir.path().join("merged"), adapter());
    let [model, adapter, target] = [base.path(), &adapter, &out].map(|path| path.to_str().unwrap());
    run(["merge", "--model", model, "--adapter", adapter, "--out", target, "--check"]).ok();
    answer(&out);
}

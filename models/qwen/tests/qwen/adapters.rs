//! Adapters: PEFT folders in and out, and what an adapter does to the model.

use crate::common;

use burn::tensor::Device;
use common::folders::{
    Stored, Tensors, folder_with, load, read_tensors, tiny_tensors, values, write_tensors,
};
use common::lora::{lora_config, random_adapter};
use common::{Case, fixtures, tiny_model, tiny_processor};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use vigos_models::{ActiveAdapter, Adapter, LoraConfig, ModelError, Projection, peft};
use vigos_qwen::Model;

fn recorded() -> PathBuf {
    fixtures().join("method-qwen2_5-vl/adapter_init")
}

fn hidden(model: &Model, adapter: Option<&Adapter>) -> Vec<f32> {
    let case = Case::load("two_images", &tiny_processor());
    let active = adapter.map(|adapter| ActiveAdapter { adapter, dropout: None });
    let features = model.encode_images(&case.image_refs(), active);
    let packed = model.pack(&[&case.sequence]).unwrap();
    values(&model.forward(&packed, &features, active, &mut ()))
}

#[track_caller]
fn assert_same(found: &Adapter, wanted: &Adapter) {
    assert_eq!(found.config, wanted.config);
    let (found, wanted) = (found.tensors(), wanted.tensors());
    assert_eq!(found.len(), wanted.len());
    for ((name, found), (wanted_name, wanted)) in found.iter().zip(&wanted) {
        assert_eq!(name, wanted_name);
        assert_eq!(found.dims(), wanted.dims(), "{name}");
        assert_eq!(values(found), values(wanted), "{name}");
    }
}

#[test]
fn what_is_saved_is_what_is_loaded() {
    let model = tiny_model();
    for targets in [&Projection::ALL[..], &[Projection::Query, Projection::Value], &[Projection::Down]] {
        let adapter = random_adapter(&lora_config(targets), &model);
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("made/on/the/way");
        peft::save(&adapter, "some/base", &out).unwrap();
        assert_same(&peft::load(&out, &model.architecture, &model.device).unwrap(), &adapter);
        let config: Value =
            serde_json::from_slice(&std::fs::read(out.join("adapter_config.json")).unwrap()).unwrap();
        assert_eq!(config["base_model_name_or_path"], "some/base");
        assert_eq!(config["peft_type"], "LORA");
    }
}

#[test]
fn a_folder_that_peft_wrote_is_read_and_written_back_the_same() {
    let model = tiny_model();
    let adapter = peft::load(&recorded(), &model.architecture, &model.device).unwrap();
    let config = &adapter.config;
    assert_eq!((config.rank, config.alpha, config.rslora), (4, 8.0, false));
    assert_eq!(adapter.projections().into_iter().collect::<Vec<_>>(), Projection::ALL);
    // All seven layers of three decoder layers, the MLPs of three vision blocks.
    assert_eq!(adapter.tensors().len(), 2 * (3 * 7 + 3 * 3));
    let file = read_tensors(&recorded().join("adapter_model.safetensors"));
    for (name, tensor) in adapter.tensors() {
        assert_eq!(values(&tensor), file[&name].values(), "{name}");
        assert_eq!(tensor.dims().to_vec(), file[&name].shape, "{name}");
    }
    let values_in_file: usize = file.values().map(|t| t.values().len()).sum();
    assert_eq!(adapter.parameters(), values_in_file);

    let folder = tempfile::tempdir().unwrap();
    peft::save(&adapter, "base", folder.path()).unwrap();
    assert!(read_tensors(&folder.path().join("adapter_model.safetensors")) == file);
}

/// Loads the recorded adapter after `change` to its configuration and its tensors.
fn load_changed(change: impl FnOnce(&mut Value, &mut Tensors)) -> Result<Adapter, ModelError> {
    let mut config =
        serde_json::from_slice(&std::fs::read(recorded().join("adapter_config.json")).unwrap()).unwrap();
    let mut tensors = read_tensors(&recorded().join("adapter_model.safetensors"));
    change(&mut config, &mut tensors);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("adapter_config.json"), config.to_string()).unwrap();
    write_tensors(&tensors, &folder.path().join("adapter_model.safetensors"));
    peft::load(folder.path(), &tiny_model().architecture, &Device::flex())
}

#[test]
fn settings_that_would_change_the_numbers_are_refused_by_name() {
    assert!(load_changed(|_, _| ()).is_ok());
    for (key, value) in [
        ("peft_type", json!("LOHA")),
        ("bias", json!("all")),
        ("bias", json!("lora_only")),
        ("use_dora", json!(true)),
        ("use_rslora", json!("yes")),
        ("use_qalora", json!(true)),
        ("lora_bias", json!(true)),
        ("fan_in_fan_out", json!(true)),
        ("modules_to_save", json!(["lm_head"])),
        ("layers_to_transform", json!([1])),
        ("layers_to_transform", json!(1)),
        ("layer_replication", json!([[0, 2]])),
        ("exclude_modules", json!([1])),
        ("exclude_modules", json!("(")),
        ("target_parameters", json!(["x.weight"])),
        ("trainable_token_indices", json!([3])),
        ("init_lora_weights", json!("pissa")),
        ("init_lora_weights", json!("pissa_niter_16")),
        ("init_lora_weights", json!("olora")),
        ("init_lora_weights", json!("corda")),
        ("init_lora_weights", json!("loftq")),
        ("init_lora_weights", json!(3)),
        ("megatron_config", json!({"tp": 2})),
        ("alora_invocation_tokens", json!([5])),
        ("some_later_setting", json!("on")),
        ("some_later_setting", json!(0.5)),
        ("rank_pattern", json!({"q_proj": 0})),
        ("rank_pattern", json!({"q_proj": 2.5})),
        ("rank_pattern", json!({"(": 2})),
        ("rank_pattern", json!(["q_proj"])),
        ("alpha_pattern", json!({"q_proj": "8"})),
        ("alpha_pattern", json!({"q_proj": 8, "[": 1})),
        ("r", json!(0)),
        ("r", json!(-4)),
        ("r", json!(4.5)),
        ("r", json!(1u64 << 40)),
        ("r", json!("4")),
        ("r", Value::Null),
        ("lora_alpha", json!("8")),
        ("lora_alpha", Value::Null),
        ("lora_dropout", json!(1.0)),
        ("lora_dropout", json!(-0.1)),
        ("lora_dropout", json!("0.1")),
        ("target_modules", json!("all-linear")),
        ("target_modules", json!("All-Linear")),
        ("target_modules", json!(["q_proj", "qkv"])),
        ("target_modules", json!(["lm_head", "q_proj"])),
        ("target_modules", json!(["mlp"])),
        ("target_modules", json!(".*visual.*")),
        ("target_modules", json!("q_proj")),
        ("target_modules", json!(["q"])),
        ("target_modules", json!("(.*q_proj")),
        ("target_modules", json!("q_proj)|(.*")),
        ("target_modules", json!([3])),
        ("target_modules", json!("")),
        ("target_modules", json!([])),
        ("target_modules", Value::Null),
    ] {
        let error = load_changed(|config, _| config[key] = value.clone()).unwrap_err();
        assert!(matches!(&error, ModelError::Config { key: k, .. } if k == key), "{key} {value}: {error}");
        assert!(error.to_string().contains("adapter_config.json"), "{error}");
    }
}

#[test]
fn what_is_not_supported_comes_with_what_to_do_about_it() {
    for (key, value, parts) in [
        ("use_dora", json!(true), ["DoRA", "merge_and_unload"]),
        ("modules_to_save", json!(["lm_head", "embed_tokens"]), ["whole modules", "merge_and_unload"]),
        ("trainable_token_indices", json!([3]), ["embeddings", "merge_and_unload"]),
        ("bias", json!("lora_only"), ["biases", "merge_and_unload"]),
        ("peft_type", json!("LOHA"), ["\"LORA\"", "merge_and_unload"]),
        ("peft_type", json!("IA3"), ["\"LORA\"", "merge_and_unload"]),
        ("peft_type", json!("PROMPT_TUNING"), ["no weights can hold", "train a LoRA adapter"]),
        ("peft_type", json!("PREFIX_TUNING"), ["no weights can hold", "train a LoRA adapter"]),
        ("peft_type", json!("LATER"), ["\"LORA\"", "train a LoRA adapter"]),
        ("peft_type", json!(3), ["found 3", "a text"]),
        (
            "init_lora_weights",
            json!("pissa"),
            ["change the base", "path_initial_model_for_weight_conversion"],
        ),
    ] {
        let error = load_changed(|config, _| config[key] = value.clone()).unwrap_err().to_string();
        for part in [&format!("adapter_config.json:{key}: found {value}, wanted"), parts[0], parts[1]] {
            assert!(error.contains(part), "{part} in {error}");
        }
        assert!(!error.contains('\n') && error.len() < 600, "{error}");
    }
    // Numbers as Python writes them.
    assert!(load_changed(|config, _| config["r"] = json!(4.0)).is_ok());
}

#[test]
fn settings_at_their_neutral_values_or_absent_are_fine() {
    for (key, value) in [
        ("bias", json!("none")),
        ("use_dora", json!(false)),
        ("modules_to_save", json!([])),
        ("rank_pattern", json!({})),
        ("rank_pattern", Value::Null),
        ("exclude_modules", json!([])),
        ("init_lora_weights", json!(true)),
        ("init_lora_weights", json!("gaussian")),
        ("init_lora_weights", json!("eva")),
        ("runtime_config", json!({"ephemeral_gpu_offload": true})),
        ("megatron_core", json!("megatron.core")),
        ("some_later_setting", json!(false)),
        ("peft_version", json!("9.9.9")),
        ("layers_to_transform", Value::Null),
    ] {
        assert!(load_changed(|config, _| config[key] = value).is_ok(), "{key}");
        let absent = |config: &mut Value, _: &mut Tensors| drop(config.as_object_mut().unwrap().remove(key));
        assert!(load_changed(absent).is_ok(), "{key} absent");
    }
}

#[test]
fn tensors_that_are_missing_unexpected_or_misshapen_are_named_in_one_error() {
    let module = "base_model.model.model.language_model.layers.0.self_attn";
    let error = load_changed(|_, tensors| {
        tensors.remove(&format!("{module}.q_proj.lora_A.weight")).unwrap();
        tensors.get_mut(&format!("{module}.v_proj.lora_A.weight")).unwrap().shape.reverse();
        tensors.insert("base_model.model.lm_head.weight".into(), Stored::floats(&[1], &[0.0]));
    })
    .unwrap_err();
    let ModelError::Tensors { faults, .. } = &error else { panic!("{error}") };
    assert_eq!(faults.len(), 3, "{error}");
    let text = error.to_string();
    assert!(text.contains(&format!("missing {module}.q_proj.lora_A.weight [4, 64]")), "{text}");
    assert!(
        text.contains(&format!("{module}.v_proj.lora_A.weight: found [64, 4], wanted [4, 64]")),
        "{text}"
    );
    assert!(text.contains("unexpected base_model.model.lm_head.weight"), "{text}");
    // Another rank than the tensors have, and choices of layers that they are not of.
    for (key, value) in [
        ("r", json!(8)),
        ("target_modules", json!(["q_proj"])),
        ("target_modules", json!(["self_attn.q_proj"])),
        ("target_modules", json!(".*q_proj")),
        ("exclude_modules", json!(["v_proj"])),
        ("exclude_modules", json!(".*visual.*")),
        ("rank_pattern", json!({"q_proj": 8})),
    ] {
        let error = load_changed(|config, _| config[key] = value.clone()).unwrap_err();
        assert!(matches!(error, ModelError::Tensors { .. }), "{key} {value}: {error}");
    }
}

#[test]
fn a_folder_without_its_files_is_an_error_with_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let load = |folder: &Path| peft::load(folder, &tiny_model().architecture, &Device::flex()).unwrap_err();
    assert!(load(folder.path()).to_string().contains("adapter_config.json"));
    std::fs::copy(recorded().join("adapter_config.json"), folder.path().join("adapter_config.json")).unwrap();
    assert!(load(folder.path()).to_string().contains("adapter_model.safetensors"));
}

#[test]
fn a_fresh_adapter_changes_nothing() {
    let model = tiny_model();
    let adapter = Adapter::init(&lora_config(&Projection::ALL), &model.architecture, 3, &model.device);
    assert_eq!(hidden(&model, Some(&adapter)), hidden(&model, None));
}

#[test]
fn an_adapter_equals_a_base_into_which_its_update_is_merged() {
    let model = tiny_model();
    let vision_only = |adapter: &Adapter| {
        let mut adapter = adapter.clone();
        adapter.text.iter_mut().for_each(|layer| layer.clear());
        adapter
    };
    let all = random_adapter(&lora_config(&Projection::ALL), &model);
    for adapter in [vision_only(&all), all] {
        let merged = load(folder_with(&merge(&adapter)).path()).unwrap();
        let (found, wanted) = (hidden(&model, Some(&adapter)), hidden(&merged, None));
        let worst = |other: &[f32]| found.iter().zip(other).map(|(f, w)| (f - w).abs()).fold(0.0, f32::max);
        assert!(worst(&wanted) < 1e-4, "largest difference {:e}", worst(&wanted));
        assert!(worst(&hidden(&model, None)) > 0.01, "the update must matter");
    }
}

/// The tiny model's tensors with `W + 2·B·A` (α is 8, r is 4) in the place of every adapted `W`.
fn merge(adapter: &Adapter) -> Tensors {
    let mut tensors = tiny_tensors();
    let updates = adapter.tensors();
    for pair in updates.chunks(2) {
        let [(name, a), (_, b)] = pair else { panic!("A and B of a layer are neighbours") };
        let module = name.strip_suffix(".lora_A.weight").unwrap();
        let module = module.strip_prefix("base_model.model.model.").unwrap();
        let file_name = match module.strip_prefix("language_model.") {
            Some(rest) => format!("model.{rest}.weight"),
            None => format!("{module}.weight"),
        };
        let weight = tensors.get_mut(&file_name).unwrap();
        let (rank, input) = (a.dims()[0], a.dims()[1]);
        let (a, b) = (values(a), values(b));
        let mut merged = weight.values();
        for (i, value) in merged.iter_mut().enumerate() {
            let (row, column) = (i / input, i % input);
            let product: f64 =
                (0..rank).map(|k| f64::from(b[row * rank + k]) * f64::from(a[k * input + column])).sum();
            *value = (f64::from(*value) + 2.0 * product) as f32;
        }
        *weight = Stored::floats(&weight.shape, &merged);
    }
    tensors
}

#[test]
fn a_fresh_adapter_is_a_function_of_its_seed_uniform_within_one_over_the_root_of_its_width() {
    let model = tiny_model();
    let config = LoraConfig { rank: 16, ..lora_config(&Projection::ALL) };
    let make = |seed| Adapter::init(&config, &model.architecture, seed, &model.device);
    let (adapter, other) = (make(11), make(12));
    assert_same(&make(11), &adapter);
    for site in model.architecture.sites(&config.targets) {
        let pair_of = |adapter: &Adapter| {
            let tower = if site.vision { &adapter.vision } else { &adapter.text };
            tower[site.block][&site.projection].clone()
        };
        let pair = pair_of(&adapter);
        assert_eq!((pair.a.dims(), pair.b.dims()), ([16, site.input], [site.output, 16]));
        assert!(values(&pair.b).iter().all(|v| *v == 0.0));
        let a = values(&pair.a);
        assert_ne!(a, values(&pair_of(&other).a), "{site:?}: another seed");
        let bound = 1.0 / (site.input as f64).sqrt();
        assert!(a.iter().all(|v| f64::from(v.abs()) <= bound), "{site:?}");
        // The variance of a uniform distribution, within five standard errors.
        let n = a.len() as f64;
        let square = a.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / n / (bound * bound);
        assert!((square - 1.0 / 3.0).abs() < 5.0 * (4.0 / 45.0 / n).sqrt(), "{site:?}: {square}");
    }
    let distinct = |block: usize| values(&adapter.text[block][&Projection::Query].a);
    assert_ne!(distinct(0), distinct(1), "layers get draws of their own");
}

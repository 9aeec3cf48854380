//! Adapters as PEFT writes them, with logits that PEFT computed: see `fixtures/README.md`.

use crate::common;

use burn::tensor::{Device, Tensor};
use common::folders::{Stored, read_tensors, write_tensors};
use common::{Case, FAMILIES, architecture, assert_close, folder_of, tiny};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;
use vigos_models::VisionLanguageModel;
use vigos_models::lora::{AdapterConfig, Placement, Selection};
use vigos_models::merge::merge;
use vigos_models::weights::Weights;
use vigos_models::{ActiveAdapter, Adapter, peft};
use vigos_qwen::Model;

/// What PEFT was asked for; `tools/interop_check.py` has the settings.
const ADAPTERS: [&str; 6] = ["names", "regex", "patterns", "rslora", "exclude", "paths"];

fn written_by_peft(family: &str, name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/peft").join(family).join(name)
}

/// The logits of the last two positions of the recorded prompt.
fn logits(model: &Model, adapter: Option<&Adapter>, case: &Case) -> Tensor<2> {
    let active = adapter.map(|adapter| ActiveAdapter { adapter, dropout: None });
    let features = model.encode_images(&case.image_refs(), active);
    let hidden = model.forward(&model.pack(&[&case.sequence]).unwrap(), &features, active, &mut ());
    let rows = case.sequence.ids.len();
    model.logits_at(&hidden, &[rows - 2, rows - 1])
}

#[test]
fn an_adapter_of_pefts_gives_pefts_logits_and_so_does_its_merge_and_what_is_written_back() {
    for family in FAMILIES {
        let (model, processor) = tiny(family);
        let case = Case::of(family, "two_images", &processor);
        let base: Vec<f32> = logits(&model, None, &case).try_into_vec_as().unwrap();
        for name in ADAPTERS {
            let what = format!("{family} {name}");
            let folder = written_by_peft(family, name);
            let file = Weights::open_file(&folder.join("logits.safetensors")).unwrap();
            let shape = [2, model.config.text.vocab_size];
            let wanted: Tensor<2> =
                file.tensor("logits", shape, &model.device, burn::tensor::DType::F32).unwrap();
            let wanted: Vec<f32> = wanted.try_into_vec_as().unwrap();
            assert!(wanted.iter().zip(&base).any(|(w, b)| (w - b).abs() > 0.1), "{what}: it does something");

            let adapter = peft::load(&folder, &model.architecture, &model.device).unwrap();
            assert_close(&logits(&model, Some(&adapter), &case), &wanted, 1e-4, &what);

            let out = tempfile::tempdir().unwrap();
            peft::save(&adapter, "base", &out.path().join("again")).unwrap();
            let again = peft::load(&out.path().join("again"), &model.architecture, &model.device).unwrap();
            assert_eq!(again.config, adapter.config, "{what}");
            assert_close(&logits(&model, Some(&again), &case), &wanted, 1e-4, &format!("{what}, again"));

            let merged = out.path().join("merged");
            merge(&model.architecture, &folder_of(family), &folder, &merged, &model.device).unwrap();
            let merged = common::folders::load(&merged).unwrap();
            assert_close(&logits(&merged, None, &case), &wanted, 1e-4, &format!("{what}, merged"));
        }
    }
}

#[test]
fn what_is_written_back_says_what_peft_wrote() {
    let read = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    for family in FAMILIES {
        let config = architecture(&folder_of(family));
        for name in ADAPTERS {
            let folder = written_by_peft(family, name);
            let out = tempfile::tempdir().unwrap();
            peft::save(&peft::load(&folder, &config, &Device::flex()).unwrap(), "base", out.path()).unwrap();
            let wrote = read(&folder.join("adapter_config.json"));
            let again = read(&out.path().join("adapter_config.json"));
            for (key, value) in again.as_object().unwrap() {
                let same = match key.as_str() {
                    "base_model_name_or_path" => true,
                    // How an adapter began is of no interest once it is there.
                    "init_lora_weights" => *value == json!(true),
                    _ if value.is_number() => value.as_f64() == wrote[key].as_f64(),
                    "alpha_pattern" => {
                        value.as_object().unwrap().iter().all(|(k, v)| v.as_f64() == wrote[key][k].as_f64())
                    }
                    _ => *value == wrote[key],
                };
                assert!(same, "{family} {name} {key}: {value}, PEFT wrote {}", wrote[key]);
            }
        }
    }
}

#[test]
fn names_from_before_the_module_tree_changed_are_taken_and_a_tensor_in_both_spellings_is_not() {
    for family in FAMILIES {
        let config = architecture(&folder_of(family));
        let folder = written_by_peft(family, "names");
        let wanted = peft::load(&folder, &config, &Device::flex()).unwrap();
        let tensors = read_tensors(&folder.join("adapter_model.safetensors"));
        let older = |name: &str| {
            name.replace(".model.language_model.", ".model.").replace(".model.visual.", ".visual.")
        };
        let out = tempfile::tempdir().unwrap();
        let file = out.path().join("adapter_model.safetensors");
        std::fs::copy(folder.join("adapter_config.json"), out.path().join("adapter_config.json")).unwrap();
        write_tensors(&tensors.iter().map(|(name, t)| (older(name), t.clone())).collect(), &file);
        let found = peft::load(out.path(), &config, &Device::flex()).unwrap();
        for ((name, found), (_, wanted)) in found.tensors().iter().zip(wanted.tensors()) {
            found.to_data().assert_eq(&wanted.to_data(), true);
            assert!(tensors.contains_key(name));
        }
        let mut both = tensors.clone();
        let name = tensors.keys().next().unwrap();
        both.insert(older(name), Stored::floats(&[1], &[0.0]));
        write_tensors(&both, &file);
        let error = peft::load(out.path(), &config, &Device::flex()).unwrap_err();
        assert!(error.to_string().contains("two spellings"), "{error}");
    }
}

fn config(targets: Selection) -> AdapterConfig {
    AdapterConfig {
        rank: 4,
        alpha: 8.0,
        dropout: 0.0,
        targets,
        exclude: None,
        rank_pattern: vec![],
        alpha_pattern: vec![],
        rslora: false,
    }
}

fn pattern(text: &str) -> Selection {
    Selection::Pattern(text.into())
}

fn names(list: &[&str]) -> Selection {
    Selection::Names(list.iter().map(|&n| n.into()).collect())
}

fn places(config: &AdapterConfig) -> Vec<Placement> {
    config.placements(&architecture(&folder_of("qwen2_5-vl"))).unwrap()
}

#[test]
fn names_match_whole_parts_of_a_path_and_patterns_the_whole_of_it() {
    for (targets, count) in [
        (names(&["q_proj"]), 3),
        (names(&["self_attn.q_proj", "q_proj"]), 3),
        (names(&["model.language_model.layers.1.mlp.up_proj", "no_such"]), 1),
        (names(&["up_proj"]), 6),
        (names(&["layers.0.mlp.up_proj", "blocks.2.mlp.up_proj"]), 2),
        (pattern(".*up_proj"), 6),
        (pattern(".*\\.(q|v)_proj"), 6),
        (pattern("(?i).*Q_PROJ"), 3),
        (pattern("^model\\.(?!visual).*_proj$"), 21),
        (pattern("(?<!x).*(?<=layers\\.\\d\\.mlp\\.)up_proj\\Z"), 3),
        (pattern("model.visual.blocks.(?P<n>[02]).mlp.(gate|up|down)_proj"), 6),
    ] {
        assert_eq!(places(&config(targets.clone())).len(), count, "{targets:?}");
    }
    let without = AdapterConfig { exclude: Some(pattern(".*visual.*")), ..config(names(&["up_proj"])) };
    assert_eq!(places(&without).len(), 3);
    let without = AdapterConfig { exclude: Some(names(&["0.mlp.up_proj"])), ..config(names(&["up_proj"])) };
    assert_eq!(places(&without).len(), 4);
}

#[test]
fn the_first_pattern_that_matches_the_end_of_a_path_gives_the_rank_and_another_the_alpha() {
    let config = AdapterConfig {
        rank_pattern: vec![("0.self_attn.q_proj".into(), 1), ("q_proj".into(), 2), ("roj".into(), 9)],
        alpha_pattern: vec![("layers\\.[12]\\..*".into(), 3.0), ("k_proj|q_proj".into(), 5.0)],
        ..config(names(&["q_proj", "k_proj"]))
    };
    let found = |config: &AdapterConfig| -> Vec<(String, usize, f64)> {
        places(config)
            .into_iter()
            .map(|p| (p.site.path.replace("model.language_model.layers.", ""), p.rank, p.scale))
            .collect()
    };
    let wanted = |rank: f64, alpha: f64| if config.rslora { alpha / rank.sqrt() } else { alpha / rank };
    let table = |scale: &dyn Fn(f64, f64) -> f64| {
        vec![
            ("0.self_attn.q_proj".to_owned(), 1, scale(1.0, 5.0)),
            ("0.self_attn.k_proj".to_owned(), 4, scale(4.0, 5.0)),
            ("1.self_attn.q_proj".to_owned(), 2, scale(2.0, 3.0)),
            ("1.self_attn.k_proj".to_owned(), 4, scale(4.0, 3.0)),
            ("2.self_attn.q_proj".to_owned(), 2, scale(2.0, 3.0)),
            ("2.self_attn.k_proj".to_owned(), 4, scale(4.0, 3.0)),
        ]
    };
    assert_eq!(found(&config), table(&wanted));
    let stable = AdapterConfig { rslora: true, ..config.clone() };
    assert_eq!(found(&stable), table(&|rank, alpha| alpha / rank.sqrt()));
}

#[test]
fn a_choice_that_includes_what_cannot_be_adapted_names_it_and_what_can() {
    for family in FAMILIES {
        let model = architecture(&folder_of(family));
        for (targets, named) in [
            (names(&["q_proj", "attn.qkv"]), "model.visual.blocks.0.attn.qkv` and 2 others"),
            (names(&["lm_head"]), "lm_head`,"),
            (names(&["embed_tokens"]), "model.language_model.embed_tokens`,"),
            (names(&["proj"]), "model.visual.blocks.0.attn.proj` and 3 others"),
            (pattern(".*layers\\.0\\..*norm"), "model.language_model.layers.0.input_layernorm` and "),
            (pattern(".*"), "lm_head` and "),
            (pattern(".*patch_embed.*"), "model.visual.patch_embed` and 1 others"),
        ] {
            let error = config(targets.clone()).placements(&model).unwrap_err();
            assert_eq!(error.key, "target_modules");
            assert!(error.found.contains(named.trim_end_matches(',')), "{family} {targets:?}: {error}");
            assert!(error.wanted.contains("q_proj, k_proj"), "{error}");
            assert_eq!(error.wanted.contains("vision"), family == "qwen2_5-vl", "{error}");
        }
        let error = config(names(&["query"])).placements(&model).unwrap_err();
        assert!(error.found.contains("nothing that the model has"), "{error}");
    }
}

#[test]
fn patterns_written_to_run_for_ever_or_to_fill_the_memory_are_refused_at_once() {
    let model = architecture(&folder_of("qwen2_5-vl"));
    let begun = Instant::now();
    for text in [
        "(?=.*)(([a-z_.0-9]+)+)+\\1!",
        "(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)\\8!",
        "(?:(?:(?:a{1000}){1000}){1000}){1000}",
        "((((((((((\\w{500}){50}){50}",
    ] {
        let error = config(pattern(text)).placements(&model).unwrap_err();
        assert_eq!(error.key, "target_modules", "{error}");
        assert!(error.to_string().len() < 2000, "{error}");
    }
    // What the engine of linear time takes is no harm.
    let error = config(pattern("(([a-z_.0-9]+)+)+!")).placements(&model).unwrap_err();
    assert!(error.found.contains("nothing"), "{error}");
    let many = |text: &str, count: usize| AdapterConfig {
        rank_pattern: (0..count).map(|i| (format!("{text}{i}"), 1)).collect(),
        ..config(names(&["q_proj"]))
    };
    assert_eq!(many("x", 5000).placements(&model).unwrap_err().key, "rank_pattern");
    assert_eq!(many("(?!y)x", 40).placements(&model).unwrap_err().key, "rank_pattern");
    assert!(many("x", 600).placements(&model).is_ok());
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

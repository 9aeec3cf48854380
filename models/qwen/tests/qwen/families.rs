//! Which models are built, and that the shapes of the published ones come out right.

use crate::common;

use common::{FAMILIES, architecture_of, folder_of, init, tiny};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use vigos_models::ConfigFile;
use vigos_models::Projection;
use vigos_models::agreement::check_processor;
use vigos_qwen::{Config, Model, QwenFamily};

/// The published configurations with their parameter counts.
const PUBLISHED: [(&str, u64); 5] = [
    ("qwen2_5-vl-3b", 3_754_622_976),
    ("qwen2_5-vl-7b", 8_292_166_656),
    ("qwen3-vl-2b", 2_127_532_032),
    ("qwen3-vl-4b", 4_437_815_808),
    ("qwen3-vl-8b", 8_767_123_696),
];

fn published(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/configs/{name}.json"))
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn parse(value: &Value) -> Result<Config, String> {
    ConfigFile::parse(value.to_string(), Path::new("config.json"))
        .and_then(|f| Config::parse(&f))
        .map_err(|e| e.to_string())
}

#[test]
fn published_configurations_have_their_published_parameter_counts() {
    for (name, wanted) in PUBLISHED {
        let count: u64 = architecture_of(&published(name))
            .parameters
            .iter()
            .map(|p| p.shape.iter().map(|n| *n as u64).product::<u64>())
            .sum();
        assert_eq!(count, wanted, "{name}");
    }
}

#[test]
fn an_unsupported_family_is_named_with_the_supported_ones() {
    let mut config = read(&published("qwen3-vl-2b"));
    for family in ["qwen3_vl_moe", "qwen2_vl", "llama"] {
        config["model_type"] = json!(family);
        let message = parse(&config).unwrap_err();
        for part in ["config.json:model_type", family, "qwen2_5_vl, qwen3_vl"] {
            assert!(message.contains(part), "{message}");
        }
    }
    assert_eq!(QwenFamily::ALL.map(|f| QwenFamily::named(f.model_type())), QwenFamily::ALL.map(Some));
}

#[test]
fn settings_that_a_family_does_not_have_are_refused_by_name() {
    for (name, pointer, value) in [
        ("qwen3-vl-2b", "/text_config/attention_bias", json!(true)),
        ("qwen3-vl-2b", "/text_config/rope_scaling/mrope_interleaved", json!(false)),
        ("qwen3-vl-2b", "/text_config/rope_scaling/mrope_section", json!([24, 20, 21])),
        ("qwen3-vl-2b", "/text_config/hidden_act", json!("gelu")),
        ("qwen3-vl-2b", "/vision_config/hidden_act", json!("silu")),
        ("qwen3-vl-2b", "/vision_config/num_position_embeddings", json!(2305)),
        ("qwen3-vl-2b", "/vision_config/num_position_embeddings", json!(null)),
        ("qwen3-vl-2b", "/vision_config/deepstack_visual_indexes", json!([5, 5, 17])),
        ("qwen3-vl-2b", "/vision_config/deepstack_visual_indexes", json!([5, 11, 24])),
        ("qwen2_5-vl-3b", "/rope_scaling/mrope_section", json!([16, 24, 20])),
        ("qwen2_5-vl-3b", "/vision_config/hidden_act", json!("gelu_pytorch_tanh")),
        ("qwen2_5-vl-3b", "/vision_config/window_size", json!(27)),
        ("qwen2_5-vl-3b", "/vision_config/window_size", json!(null)),
    ] {
        let mut config = read(&published(name));
        *config.pointer_mut(pointer).unwrap() = value.clone();
        let message = parse(&config).unwrap_err();
        let key = pointer.rsplit('/').next().unwrap();
        assert!(message.contains(key), "{name} {pointer} = {value}: {message}");
    }
}

#[test]
fn a_missing_piece_of_the_vision_tower_is_named() {
    for (name, key) in [
        ("qwen2_5-vl-3b", "window_size"),
        ("qwen2_5-vl-3b", "fullatt_block_indexes"),
        ("qwen3-vl-2b", "num_position_embeddings"),
        ("qwen3-vl-2b", "deepstack_visual_indexes"),
    ] {
        let mut config = read(&published(name));
        config["vision_config"].as_object_mut().unwrap().remove(key);
        let message = parse(&config).unwrap_err();
        assert!(message.contains(&format!("vision_config.{key}: found nothing")), "{message}");
    }
}

#[test]
fn the_seven_names_mean_vision_layers_only_where_the_tower_has_them() {
    for (name, vision) in [("qwen2_5-vl-3b", 3 * 32), ("qwen3-vl-2b", 0)] {
        let model = architecture_of(&published(name));
        let sites = model.sites(&Projection::ALL);
        assert_eq!(sites.iter().filter(|s| s.vision).count(), vision, "{name}");
        assert_eq!(sites.iter().filter(|s| !s.vision).count(), 7 * model.text.num_hidden_layers, "{name}");
    }
}

#[test]
fn each_processor_fits_its_own_model_and_no_other() {
    let models = FAMILIES.map(tiny);
    for (i, (model, _)) in models.iter().enumerate() {
        for (j, (_, processor)) in models.iter().enumerate() {
            let result = check_processor(&model.architecture, processor, Path::new("m"));
            assert_eq!(result.is_ok(), i == j, "{result:?}");
        }
    }
}

#[test]
fn a_model_from_nothing_has_the_names_of_its_familys_files_and_loads() {
    for family in FAMILIES {
        let out = tempfile::tempdir().unwrap();
        init(&folder_of(family).join("config.json"), out.path(), 1).unwrap();
        let config = Config::read(out.path()).unwrap();
        let bytes = std::fs::read(out.path().join("model.safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let vision = match config.family {
            QwenFamily::Qwen2_5Vl => "visual.blocks.0.attn.qkv.weight",
            QwenFamily::Qwen3Vl => "model.visual.blocks.0.attn.qkv.weight",
        };
        assert!(file.names().contains(&vision), "{family}");
        if config.family == QwenFamily::Qwen3Vl {
            let reference = std::fs::read(folder_of(family).join("model.safetensors")).unwrap();
            let reference = safetensors::SafeTensors::deserialize(&reference).unwrap();
            let sorted = |file: &safetensors::SafeTensors| {
                let mut names: Vec<String> = file.names().into_iter().map(str::to_owned).collect();
                names.sort();
                names
            };
            assert_eq!(sorted(&file), sorted(&reference));
        }
        Model::load(out.path(), &burn::tensor::Device::flex(), burn::tensor::DType::F32).unwrap();
    }
}

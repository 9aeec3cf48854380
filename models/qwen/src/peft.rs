//! Adapters as PEFT folders: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! Reading refuses by name whatever would change the numbers and is not supported, rather than ignoring it.

use crate::adapter::{Adapter, LoraConfig, LoraPair, Projection, sites};
use crate::config::Config;
use crate::error::ModelError;
use crate::layout::{Initial, Parameter};
use crate::weights::{Weights, pytorch_metadata};
use burn::tensor::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use std::path::Path;
use vigos_core::files::{read_limited, write_atomic_bytes};

const CONFIG: &str = "adapter_config.json";
const MODEL: &str = "adapter_model.safetensors";
const MAX_CONFIG: u64 = 1 << 20;

/// Writes an adapter folder that PEFT reads; `base` is the name or path of the base model.
///
/// # Errors
/// If the folder or a file cannot be written.
pub fn save(adapter: &Adapter, base: &str, folder: &Path) -> Result<(), ModelError> {
    let write = |message: String| ModelError::Write { path: folder.to_owned(), message };
    std::fs::create_dir_all(folder).map_err(|e| write(e.to_string()))?;
    let config = &adapter.config;
    let targets: Vec<&str> = config.targets.iter().map(|t| t.name()).collect();
    let description = json!({
        "base_model_name_or_path": base,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "lora_alpha": config.alpha,
        "lora_dropout": config.dropout,
        "modules_to_save": null,
        "peft_type": "LORA",
        "r": config.rank,
        "target_modules": targets,
        "task_type": "CAUSAL_LM",
        "use_dora": false,
        "use_rslora": false,
    });
    let text = serde_json::to_vec_pretty(&description).map_err(|e| write(e.to_string()))?;
    save_tensors(&adapter.tensors(), &folder.join(MODEL))?;
    write_atomic_bytes(&folder.join(CONFIG), &text).map_err(|e| write(e.to_string()))
}

/// Writes named matrices as one safetensors file in f32.
///
/// # Errors
/// If the file cannot be written.
pub fn save_tensors(tensors: &[(String, Tensor<2>)], path: &Path) -> Result<(), ModelError> {
    let write = |message: String| ModelError::Write { path: path.to_owned(), message };
    let mut blobs = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let data = tensor
            .clone()
            .cast(DType::F32)
            .try_into_data()
            .map_err(|e| write(format!("tensor `{name}` cannot be read from the device: {e}")))?;
        blobs.push((name, data));
    }
    let views = blobs
        .iter()
        .map(|(name, data)| {
            let shape = data.shape().as_slice().to_vec();
            TensorView::new(Dtype::F32, shape, data.as_bytes()).map(|view| (name.as_str(), view))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| write(e.to_string()))?;
    let bytes = safetensors::serialize(views, Some(pytorch_metadata())).map_err(|e| write(e.to_string()))?;
    write_atomic_bytes(path, &bytes).map_err(|e| write(e.to_string()))
}

/// Reads an adapter folder for a model, in f32.
///
/// # Errors
/// If a file is missing or damaged, the adapter uses something that is not supported, or its tensors are not
/// those that its configuration and the model ask for.
pub fn load(folder: &Path, model: &Config, device: &Device) -> Result<Adapter, ModelError> {
    let config = read_config(folder)?;
    let weights = Weights::open_file(&folder.join(MODEL))?;
    let mut adapter = Adapter::empty(&config, model);
    let sites = sites(model, &config.targets);
    let parameter =
        |name: String, shape: [usize; 2]| Parameter { name, shape: shape.to_vec(), initial: Initial::Zeros };
    let wanted: Vec<Parameter> = sites
        .iter()
        .flat_map(|site| {
            let module = site.module();
            [
                parameter(format!("{module}.lora_A.weight"), [config.rank, site.input]),
                parameter(format!("{module}.lora_B.weight"), [site.output, config.rank]),
            ]
        })
        .collect();
    weights.check(&wanted, &[])?;
    for site in &sites {
        let module = site.module();
        let read =
            |part: &str, shape| weights.tensor(&format!("{module}.{part}.weight"), shape, device, DType::F32);
        let a = read("lora_A", [config.rank, site.input])?;
        let b = read("lora_B", [site.output, config.rank])?;
        adapter.insert(site, LoraPair { a, b });
    }
    Ok(adapter)
}

/// Reads and checks `adapter_config.json`.
fn read_config(folder: &Path) -> Result<LoraConfig, ModelError> {
    let path = folder.join(CONFIG);
    let bad = |key: &str, found: String, wanted: &str| ModelError::Config {
        path: path.clone(),
        key: key.to_owned(),
        found,
        wanted: wanted.to_owned(),
    };
    let bytes = read_limited(&path, MAX_CONFIG)
        .map_err(|e| ModelError::Read { path: path.clone(), source: std::io::Error::other(e) })?;
    let value: Value =
        serde_json::from_slice(&bytes).map_err(|e| bad("(whole file)", e.to_string(), "a JSON object"))?;
    let plain = [
        ("peft_type", json!("LORA")),
        ("bias", json!("none")),
        ("use_dora", json!(false)),
        ("use_rslora", json!(false)),
        ("use_qalora", json!(false)),
        ("lora_bias", json!(false)),
        ("fan_in_fan_out", json!(false)),
        ("modules_to_save", Value::Null),
        ("layers_to_transform", Value::Null),
        ("layer_replication", Value::Null),
        ("exclude_modules", Value::Null),
        ("target_parameters", Value::Null),
        ("trainable_token_indices", Value::Null),
        ("rank_pattern", json!({})),
        ("alpha_pattern", json!({})),
    ];
    for (key, wanted) in plain {
        let empty = |v: &Value| v.is_null() || v.as_array().is_some_and(Vec::is_empty);
        match value.get(key) {
            Some(found) if *found != wanted && !empty(found) => {
                return Err(bad(key, found.to_string(), &format!("{wanted}: nothing else is supported")));
            }
            _ => {}
        }
    }
    let number = |key: &str| value.get(key).and_then(Value::as_f64);
    let rank = value.get("r").and_then(Value::as_u64).filter(|r| (1..=65_536).contains(r));
    let rank = rank.ok_or_else(|| bad("r", format!("{:?}", value.get("r")), "a rank from 1 to 65536"))?;
    let alpha = number("lora_alpha").filter(|a| a.is_finite());
    let alpha =
        alpha.ok_or_else(|| bad("lora_alpha", format!("{:?}", value.get("lora_alpha")), "a number"))?;
    let dropout = match value.get("lora_dropout") {
        None => 0.0,
        Some(found) => found
            .as_f64()
            .filter(|p| (0.0..1.0).contains(p))
            .ok_or_else(|| bad("lora_dropout", found.to_string(), "a probability below 1"))?,
    };
    let names: Vec<String> = value
        .get("target_modules")
        .cloned()
        .and_then(|v| serde_json::from_value(v).ok())
        .filter(|names: &Vec<String>| !names.is_empty())
        .ok_or_else(|| {
            let found = value.get("target_modules").unwrap_or(&Value::Null).to_string();
            bad("target_modules", found, "a list of module names, at least one")
        })?;
    let mut targets = names
        .iter()
        .map(|name| {
            Projection::named(name).ok_or_else(|| {
                let known: Vec<&str> = Projection::ALL.iter().map(|p| p.name()).collect();
                bad("target_modules", format!("`{name}`"), &format!("some of {}", known.join(", ")))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    targets.sort();
    targets.dedup();
    Ok(LoraConfig { rank: rank as usize, alpha, dropout, targets })
}

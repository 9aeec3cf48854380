//! Adapters as PEFT folders: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! Layers are chosen and given their ranks as PEFT does it ([`crate::lora`]). Reading refuses by name whatever
//! would change the numbers and is not supported, rather than ignoring it.

use crate::adapter::{Adapter, LoraPair};
use crate::architecture::{Architecture, Initial, Parameter, WeightNames};
use crate::error::ModelError;
use crate::folder::{ADAPTER_CONFIG as CONFIG, ADAPTER_WEIGHTS as MODEL, pytorch_metadata};
use crate::lora::{AdapterConfig, Placement};
use crate::mistaken::not_an_adapter;
use crate::sites::PEFT_PREFIX;
use crate::weights::Weights;
use burn::tensor::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, TensorView};
use std::path::Path;
use vigos_core::files::write_atomic_bytes;
use vigos_core::formats::ADAPTER_ADVICE;
use vigos_core::manifest::{MANIFEST, Manifest, ManifestError};

mod config;

const OLDER_MODEL: &str = "adapter_model.bin";

/// Writes an adapter folder that PEFT reads; `base` is the name or path of the base model.
///
/// # Errors
/// If the folder or a file cannot be written.
pub fn save(adapter: &Adapter, base: &str, folder: &Path) -> Result<(), ModelError> {
    let write = |message: String| ModelError::Write { path: folder.to_owned(), message };
    std::fs::create_dir_all(folder).map_err(|e| write(e.to_string()))?;
    let description = config::describe(&adapter.config, base);
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

/// What the configuration of an adapter folder says; its tensors are not looked at.
///
/// # Errors
/// If it is missing or damaged, uses something that is not supported, or the folder is something else than an adapter's.
pub fn read_config(folder: &Path) -> Result<AdapterConfig, ModelError> {
    match not_an_adapter(folder) {
        Some(error) => Err(error),
        None => config::read(&folder.join(CONFIG)),
    }
}

/// Refuses a folder whose files are others than its manifest names, where it has one.
fn is_as_written(folder: &Path) -> Result<(), ModelError> {
    if !folder.join(MANIFEST).exists() {
        return Ok(());
    }
    let found = match Manifest::verify(folder) {
        Ok(_) => return Ok(()),
        Err(ManifestError::Mismatches { mismatches, .. }) => {
            let each = mismatches.iter().map(|(name, how)| format!("{name} ({how})")).collect::<Vec<_>>();
            format!("not what its {MANIFEST} names: {}", each.join(", "))
        }
        Err(other) => format!("not to be checked by its {MANIFEST}: {other}"),
    };
    let hint = format!("remove {MANIFEST} if the change was meant");
    Err(ModelError::Mistaken { path: folder.to_owned(), found, hint })
}

/// Reads an adapter folder for a model, in f32.
///
/// # Errors
/// If a file is missing or damaged, the adapter uses something that is not supported, or its tensors are not
/// those that its configuration and the model ask for.
pub fn load(folder: &Path, model: &Architecture, device: &Device) -> Result<Adapter, ModelError> {
    let config = read_config(folder)?;
    is_as_written(folder)?;
    let placements = config.placements(model).map_err(|e| ModelError::Config {
        path: folder.join(CONFIG),
        key: e.key.to_owned(),
        found: e.found,
        wanted: e.wanted,
    })?;
    is_in_safetensors(folder)?;
    let weights = Weights::open_renamed(&folder.join(MODEL), |name| newer_name(name, &model.names))?;
    let parameter =
        |name: String, shape: [usize; 2]| Parameter { name, shape: shape.to_vec(), initial: Initial::Zeros };
    let shapes = |p: &Placement| ([p.rank, p.site.input], [p.site.output, p.rank]);
    let wanted: Vec<Parameter> = placements
        .iter()
        .flat_map(|placement| {
            let (module, (a, b)) = (placement.site.module(), shapes(placement));
            [parameter(format!("{module}.lora_A.weight"), a), parameter(format!("{module}.lora_B.weight"), b)]
        })
        .collect();
    weights.check(&wanted, &[])?;
    let mut adapter = Adapter::empty(config, model);
    for placement in &placements {
        let module = placement.site.module();
        let read = |part: &str, shape| {
            let name = format!("{module}.{part}.weight");
            weights.is_finite(&name)?;
            weights.tensor(&name, shape, device, DType::F32)
        };
        let (a, b) = shapes(placement);
        let path = placement.site.path.as_str().into();
        let pair = LoraPair { path, a: read("lora_A", a)?, b: read("lora_B", b)?, scale: placement.scale };
        adapter.insert(&placement.site, pair);
    }
    Ok(adapter)
}

/// The name of a tensor in Transformers' present module tree; PEFT too takes adapters that were written with
/// the tree of the published files.
fn newer_name(name: &str, names: &WeightNames) -> String {
    let path = name.strip_prefix(PEFT_PREFIX).unwrap_or(name);
    let path = (names.module_path)(&(names.canonical)(path));
    format!("{PEFT_PREFIX}{}", without_adapter_name(&path).unwrap_or(path))
}

/// A model's own state has the adapter's name in its keys, `.lora_A.default.weight`; PEFT takes it off when it saves.
fn without_adapter_name(path: &str) -> Option<String> {
    let (rest, adapter) = path.strip_suffix(".weight")?.rsplit_once('.')?;
    let is_factor = [".lora_A", ".lora_B"].iter().any(|factor| rest.ends_with(factor));
    (is_factor && !adapter.is_empty()).then(|| format!("{rest}.weight"))
}

/// Refuses an adapter whose tensors are there in the older format alone.
fn is_in_safetensors(folder: &Path) -> Result<(), ModelError> {
    let older = folder.join(OLDER_MODEL);
    if folder.join(MODEL).exists() || !older.exists() {
        return Ok(());
    }
    Err(ModelError::Safetensors { path: older, message: ADAPTER_ADVICE.to_owned() })
}

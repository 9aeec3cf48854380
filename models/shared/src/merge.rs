//! An adapter merged into its base: a model folder like the base's, with the updates in the weights.
//!
//! `W' = W + s·B·A`, with s = α/r or α/√r, is computed in f32 and stored in the base's dtype. The files, their names and the
//! tensors in them stay as they were; tensors are read, changed and written one at a time.

use crate::adapter::{Adapter, LoraPair};
use crate::architecture::Architecture;
use crate::error::ModelError;
use crate::folder::{claim, pytorch_metadata};
use crate::peft;
use crate::weights::{Stored, Weights};
use burn::tensor::{DType, Device, Tensor, TensorData};
use safetensors::{Dtype, View};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use vigos_core::formats::OTHERS;

/// What a merge did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Tensors of the model.
    pub tensors: usize,
    /// How many of them took an update.
    pub updated: usize,
}

/// Merges the PEFT folder `adapter` into the model folder `base`, which holds `model`, and writes the model folder
/// `out`.
///
/// `config.json` is written last: a folder without it is a merge that did not end.
///
/// # Errors
/// If model or adapter are wrong or do not belong together, or `out` holds something already or cannot be
/// written.
pub fn merge(
    model: &Architecture,
    base: &Path,
    adapter: &Path,
    out: &Path,
    device: &Device,
) -> Result<Merged, ModelError> {
    let weights = Weights::open_model(base, model)?;
    let adapter = peft::load(adapter, model, device)?;
    let is_new = !out.exists();
    claim(out)?;
    let merged = write_merged(model, base, &weights, &adapter, out, device);
    if merged.is_err() {
        // What was written would be in the way of the next try; the folder held no model before.
        for file in weights.by_file().into_keys().filter_map(Path::file_name) {
            let _ = std::fs::remove_file(out.join(file));
        }
        if is_new {
            let _ = std::fs::remove_dir(out);
        }
    }
    merged
}

/// Writes the model folder `out`, its weights file by file.
fn write_merged(
    model: &Architecture,
    base: &Path,
    weights: &Weights,
    adapter: &Adapter,
    out: &Path,
    device: &Device,
) -> Result<Merged, ModelError> {
    let write = |message: String| ModelError::Write { path: out.to_owned(), message };
    let canonical = model.names.canonical;
    let updates = updates(adapter, canonical);
    let mut merged = Merged { tensors: 0, updated: 0 };
    // A view cannot fail, so the first failure while a file is written is kept here.
    let failure = RefCell::new(None);
    for (file, tensors) in weights.by_file() {
        let views: Vec<(&str, MergedTensor)> = tensors
            .into_iter()
            .map(|stored| {
                let update = updates.get(&canonical(&stored.name)).copied();
                merged.tensors += 1;
                merged.updated += usize::from(update.is_some());
                (stored.name.as_str(), MergedTensor { stored, update, device, failure: &failure })
            })
            .collect();
        let name = file.file_name().unwrap_or_default();
        let target = out.join(name);
        let written = safetensors::serialize_to_file(views, Some(pytorch_metadata()), &target);
        if let Some(error) = failure.take() {
            return Err(error);
        }
        written.map_err(|e| write(e.to_string()))?;
    }
    copy_side_files(base, out)?;
    Ok(merged)
}

/// The update of every adapted weight, by the weight's canonical name. Only the factors are held.
fn updates(adapter: &Adapter, canonical: fn(&str) -> String) -> BTreeMap<String, &LoraPair> {
    adapter.pairs().map(|pair| (canonical(&format!("{}.weight", pair.path)), pair)).collect()
}

/// A tensor that is merged when it is written.
struct MergedTensor<'a> {
    stored: &'a Stored,
    update: Option<&'a LoraPair>,
    device: &'a Device,
    failure: &'a RefCell<Option<ModelError>>,
}

impl MergedTensor<'_> {
    fn bytes(&self) -> Result<Vec<u8>, ModelError> {
        let bytes = self.stored.read()?;
        self.stored.is_finite(&bytes, "is NaN or infinite; fetch or save the file again")?;
        let Some(update) = self.update else {
            return Ok(bytes);
        };
        let fault = |message: String| ModelError::Safetensors {
            path: self.stored.file.clone(),
            message: format!("tensor `{}`: {message}", self.stored.name),
        };
        let [rows, columns] = self.stored.shape[..] else {
            return Err(fault(format!("found shape {:?}, wanted a matrix", self.stored.shape)));
        };
        let dtype = self.stored.float().ok_or_else(|| fault("wanted F32, F16 or BF16".into()))?;
        let data = TensorData::try_from_bytes_vec(bytes, [rows, columns], dtype)
            .map_err(|e| fault(e.to_string()))?;
        let weight = Tensor::<2>::from_data(data.convert_dtype(DType::F32), (self.device, DType::F32));
        let change = update.b.clone().matmul(update.a.clone()) * update.scale;
        let data = (weight + change).try_into_data().map_err(|e| fault(e.to_string()))?;
        let bytes = data.convert_dtype(dtype).as_bytes().to_vec();
        let why = "would be NaN or infinite with the adapter, which is too large for the base's dtype";
        self.stored.is_finite(&bytes, why)?;
        Ok(bytes)
    }
}

impl View for MergedTensor<'_> {
    fn dtype(&self) -> Dtype {
        self.stored.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.stored.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match self.bytes() {
            Ok(bytes) => bytes.into(),
            Err(error) => {
                self.failure.borrow_mut().get_or_insert(error);
                vec![0; self.data_len()].into()
            }
        }
    }

    fn data_len(&self) -> usize {
        self.stored.bytes
    }
}

/// Copies everything beside the weights, the configuration last.
fn copy_side_files(base: &Path, out: &Path) -> Result<(), ModelError> {
    let read = |source| ModelError::Read { path: base.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(base).map_err(read)? {
        let path = entry.map_err(read)?.path();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        // Weights in other formats would go on saying what the base says.
        let is_weights = extension == "safetensors" || OTHERS.contains(&extension.as_str());
        if path.is_file() && !is_weights {
            names.extend(path.file_name().map(std::ffi::OsStr::to_owned));
        }
    }
    names.sort_by_key(|name| name == "config.json");
    for name in names {
        let target = out.join(&name);
        std::fs::copy(base.join(&name), &target)
            .map_err(|e| ModelError::Write { path: target, message: e.to_string() })?;
    }
    Ok(())
}

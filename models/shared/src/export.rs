//! Trained weights as a model folder in Hugging Face layout, which every other tool reads.

use crate::error::ModelError;
use crate::folder::{CONFIG, WEIGHTS, copy_side_files, pytorch_metadata};
use crate::parameters::Parameters;
use crate::source::Source;
use burn::tensor::{DType, Tensor, TensorData};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
use std::path::Path;
use vigos_core::files::write_atomic_bytes;

/// Writes a model folder: `model.safetensors` in the family's spelling, the configuration and the side files of the
/// model folder `base`. `config.json` says in which precision the weights are stored, and is written last.
///
/// # Errors
/// If a file cannot be read or written, or `dtype` is none of f32, f16 and bf16.
pub fn save_model(weights: &Parameters, base: &Path, out: &Path, dtype: DType) -> Result<(), ModelError> {
    let (stored, name) = match dtype {
        DType::F32 => (Dtype::F32, "float32"),
        DType::F16 => (Dtype::F16, "float16"),
        DType::BF16 => (Dtype::BF16, "bfloat16"),
        other => {
            let message = format!("weights cannot be stored as {other:?}");
            return Err(ModelError::Write { path: out.to_owned(), message });
        }
    };
    save_weights(weights, &out.join(WEIGHTS), dtype, stored)?;
    let source = base.join(CONFIG);
    copy_side_files(&source, out)?;
    let text = std::fs::read_to_string(&source)
        .map_err(|error| ModelError::Read { path: source.clone(), source: error })?;
    let config = with_dtype(&text, name).map_err(|e| ModelError::Config {
        path: source,
        key: "(whole file)".into(),
        found: e.to_string(),
        wanted: "a JSON object".into(),
    })?;
    let path = out.join(CONFIG);
    write_atomic_bytes(&path, config.as_bytes())
        .map_err(|e| ModelError::Write { path, message: e.to_string() })
}

fn save_weights(weights: &Parameters, path: &Path, dtype: DType, stored: Dtype) -> Result<(), ModelError> {
    let write = |message: String| ModelError::Write { path: path.to_owned(), message };
    let mut blobs: Vec<(String, Vec<usize>, TensorData)> = Vec::new();
    let model = weights.architecture();
    for parameter in &model.parameters {
        let count = parameter.shape.iter().product();
        let tensor: Tensor<1> = weights.tensor(&parameter.name, [count])?;
        let data = tensor.try_into_data().map_err(|e| write(e.to_string()))?;
        let name = (model.names.published)(&parameter.name);
        blobs.push((name, parameter.shape.clone(), data.convert_dtype(dtype)));
    }
    let views = blobs
        .iter()
        .map(|(name, shape, data)| {
            TensorView::new(stored, shape.clone(), data.as_bytes()).map(|view| (name.as_str(), view))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| write(e.to_string()))?;
    let bytes = safetensors::serialize(views, Some(pytorch_metadata())).map_err(|e| write(e.to_string()))?;
    write_atomic_bytes(path, &bytes).map_err(|e| write(e.to_string()))
}

/// A configuration that says that its weights are stored as `dtype`, in every place where it says so.
fn with_dtype(config: &str, dtype: &str) -> Result<String, serde_json::Error> {
    let mut config: Value = serde_json::from_str(config)?;
    let mut said = false;
    for section in ["", "/text_config", "/vision_config"] {
        for key in ["torch_dtype", "dtype"] {
            if let Some(value) = config.pointer_mut(&format!("{section}/{key}")) {
                *value = dtype.into();
                said |= section.is_empty();
            }
        }
    }
    if let (false, Some(fields)) = (said, config.as_object_mut()) {
        fields.insert("torch_dtype".into(), dtype.into());
    }
    serde_json::to_string_pretty(&config)
}

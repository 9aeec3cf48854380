//! Checkpoints that start from nothing: random weights in hub layout, for tests, benchmarks and small worlds.

use crate::architecture::{Architecture, Initial, Parameter};
use crate::config_file::ConfigFile;
use crate::error::ModelError;
use crate::folder::{CONFIG, INDEX, WEIGHTS, claim, copy_side_files, pytorch_metadata};
use safetensors::{Dtype, View};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::path::Path;
use vigos_core::files::write_atomic_bytes;
use vigos_core::random::{Key, Purpose, draws};

/// A shard takes no further tensor once it is this large, as on the hub.
const SHARD_BYTES: usize = 5 << 30;

/// Writes a model folder with random weights for the configuration file `config`, which describes `model`.
///
/// Weights are normal with the configuration's `initializer_range`, norms one, biases zero, in its
/// `torch_dtype`; a tensor's values depend on the seed and its place alone. Tensors are made one at a time
/// while they are written. The other files beside `config` (tokenizer, processor, template) are copied.
///
/// # Errors
/// If the configuration names no precision for weights, or `out` already holds something or cannot be written.
pub fn init(model: &Architecture, config: &ConfigFile, out: &Path, seed: u64) -> Result<(), ModelError> {
    init_watched(model, config, out, seed, &mut |_, _| {})
}

/// The same for a large model: `progress` sees the bytes of weights that are made, and that there will be.
///
/// # Errors
/// As [`init`].
pub fn init_watched(
    model: &Architecture,
    config: &ConfigFile,
    out: &Path,
    seed: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), ModelError> {
    let write = |message: String| ModelError::Write { path: out.to_owned(), message };
    let dtype = stored_dtype(config)?;
    claim(out)?;

    let made = Cell::new(0);
    let fresh: Vec<NewTensor> = model
        .parameters
        .iter()
        .enumerate()
        .map(|(index, parameter)| NewTensor {
            parameter: Parameter { name: (model.names.published)(&parameter.name), ..parameter.clone() },
            dtype,
            deviation: model.initializer_range,
            key: Key { seed, sample: index as u64, ..Default::default() },
        })
        .collect();
    let total: usize = fresh.iter().map(|t| t.data_len()).sum();
    let progress = RefCell::new(progress);
    let mut shards: Vec<Vec<&NewTensor>> = vec![Vec::new()];
    let mut filled = 0;
    for tensor in &fresh {
        if filled + tensor.data_len() > SHARD_BYTES && filled > 0 {
            shards.push(Vec::new());
            filled = 0;
        }
        filled += tensor.data_len();
        if let Some(shard) = shards.last_mut() {
            shard.push(tensor);
        }
    }
    let count = shards.len();
    let mut map = serde_json::Map::new();
    for (i, shard) in shards.into_iter().enumerate() {
        let file = match count {
            1 => WEIGHTS.to_owned(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", i + 1),
        };
        for tensor in &shard {
            map.insert(tensor.parameter.name.clone(), Value::from(file.clone()));
        }
        let watched =
            |tensor| WatchedTensor { tensor, made: &made, total: total as u64, progress: &progress };
        let views = shard.into_iter().map(|t| (t.parameter.name.as_str(), watched(t)));
        safetensors::serialize_to_file(views, Some(pytorch_metadata()), &out.join(file))
            .map_err(|e| write(e.to_string()))?;
    }
    if count > 1 {
        let index = json!({ "metadata": { "total_size": total }, "weight_map": map });
        write_atomic_bytes(&out.join(INDEX), index.to_string().as_bytes())
            .map_err(|e| write(e.to_string()))?;
    }
    copy_side_files(config.path(), out)?;
    write_atomic_bytes(&out.join(CONFIG), config.text().as_bytes()).map_err(|e| write(e.to_string()))
}

/// The dtype that the configuration says its weights are stored in; f32 unless it says.
fn stored_dtype(config: &ConfigFile) -> Result<Dtype, ModelError> {
    let value = config.json();
    let keys = [value.get("torch_dtype"), value.get("dtype"), value.pointer("/text_config/dtype")];
    let name = keys.into_iter().flatten().find_map(Value::as_str).unwrap_or("float32");
    match name {
        "float32" => Ok(Dtype::F32),
        "float16" => Ok(Dtype::F16),
        "bfloat16" => Ok(Dtype::BF16),
        other => Err(config.fault("torch_dtype", other.to_owned(), "float32, float16 or bfloat16")),
    }
}

/// A tensor that is made when it is written.
struct NewTensor {
    parameter: Parameter,
    dtype: Dtype,
    deviation: f64,
    key: Key,
}

/// A tensor whose making is told of.
struct WatchedTensor<'a, 'p> {
    tensor: &'a NewTensor,
    made: &'a Cell<u64>,
    total: u64,
    progress: &'a RefCell<&'p mut dyn FnMut(u64, u64)>,
}

impl View for WatchedTensor<'_, '_> {
    fn dtype(&self) -> Dtype {
        self.tensor.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.tensor.parameter.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let bytes = self.tensor.bytes();
        self.made.set(self.made.get() + bytes.len() as u64);
        (self.progress.borrow_mut())(self.made.get(), self.total);
        bytes.into()
    }

    fn data_len(&self) -> usize {
        self.tensor.data_len()
    }
}

impl NewTensor {
    fn elements(&self) -> usize {
        self.parameter.shape.iter().product()
    }

    fn data_len(&self) -> usize {
        self.elements() * self.dtype.bitsize() / 8
    }

    fn bytes(&self) -> Vec<u8> {
        let mut stream = draws(Purpose::Initialisation, self.key);
        let mut bytes = Vec::with_capacity(self.data_len());
        for _ in 0..self.elements() {
            let value = match self.parameter.initial {
                Initial::Normal => (stream.normal() * self.deviation) as f32,
                Initial::Ones => 1.0,
                Initial::Zeros => 0.0,
            };
            match self.dtype {
                Dtype::BF16 => bytes.extend(half::bf16::from_f32(value).to_le_bytes()),
                Dtype::F16 => bytes.extend(half::f16::from_f32(value).to_le_bytes()),
                _ => bytes.extend(value.to_le_bytes()),
            }
        }
        bytes
    }
}

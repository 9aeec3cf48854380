//! Checkpoint folders that tests make from the tiny model's.

use super::tiny_folder;
use burn::tensor::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, View};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;
use vigos_qwen::Model;

/// A tensor as a file has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

/// The tensors of a file by name.
pub type Tensors = BTreeMap<String, Stored>;

impl View for &Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        self.bytes.as_slice().into()
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

impl Stored {
    pub fn floats(shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { dtype: Dtype::F32, shape: shape.to_vec(), bytes }
    }

    pub fn values(&self) -> Vec<f32> {
        assert_eq!(self.dtype, Dtype::F32);
        self.bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }
}

pub fn read_tensors(file: &Path) -> Tensors {
    let bytes = std::fs::read(file).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let stored = |v: safetensors::tensor::TensorView| Stored {
        dtype: v.dtype(),
        shape: v.shape().to_vec(),
        bytes: v.data().to_vec(),
    };
    file.tensors().into_iter().map(|(name, view)| (name, stored(view))).collect()
}

pub fn tiny_tensors() -> Tensors {
    read_tensors(&tiny_folder().join("model.safetensors"))
}

pub fn write_tensors(tensors: &Tensors, file: &Path) {
    safetensors::serialize_to_file(tensors.iter(), None, file).unwrap();
}

/// A folder with the tiny model's configuration and nothing else.
pub fn folder_without_weights() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(tiny_folder().join("config.json"), folder.path().join("config.json")).unwrap();
    folder
}

/// A folder with the tiny model's configuration and these weights.
pub fn folder_with(tensors: &Tensors) -> TempDir {
    let folder = folder_without_weights();
    write_tensors(tensors, &folder.path().join("model.safetensors"));
    folder
}

pub fn load(folder: &Path) -> Result<Model, vigos_models::ModelError> {
    Model::load(folder, &Device::flex(), DType::F32)
}

pub fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.clone().try_into_vec_as().unwrap()
}

//! From the host to tensors.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use vigos_devices::send;

/// One value a row, `[R, 1]` in f32.
pub(crate) fn column(values: Vec<f32>, device: &Device) -> Tensor<2> {
    let rows = values.len();
    send(TensorData::new(values, [rows, 1]), device, DType::F32)
}

/// Row numbers as a tensor.
pub(crate) fn indices(values: impl Iterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.map(|v| v as i32).collect();
    let count = values.len();
    send(TensorData::new(values, [count]), device, DType::I32)
}

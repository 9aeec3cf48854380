//! Rows of packed tensors: choosing them and cutting them apart.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use vigos_kernels::send;

/// Indices as a tensor on `device`.
pub fn indices(values: impl IntoIterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.into_iter().map(|v| v as i32).collect();
    let count = values.len();
    send(TensorData::new(values, [count]), device, DType::I32)
}

/// Splits `[M, D]` into parts of these many rows.
pub fn split_rows(tensor: Tensor<2>, rows: &[usize]) -> Vec<Tensor<2>> {
    let mut start = 0;
    rows.iter()
        .map(|&n| {
            start += n;
            tensor.clone().narrow(0, start - n, n)
        })
        .collect()
}

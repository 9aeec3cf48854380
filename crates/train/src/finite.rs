//! Whether numbers on a device are finite, told without reading them all back.

use burn::tensor::Tensor;
use vigos_kernels::{DeviceError, read};

/// Whether a tensor has no NaN and no infinity.
///
/// # Errors
/// If the device fails.
pub(crate) fn is_finite(tensor: &Tensor<2>) -> Result<bool, DeviceError> {
    // What is finite comes to zero, and nothing else does.
    let sum: Vec<f32> = read((tensor.clone() * 0.0).sum())?;
    Ok(sum == [0.0])
}

/// The name of the first tensor that is not finite.
///
/// # Errors
/// If the device fails.
pub(crate) fn first_not_finite<'a, N>(
    tensors: impl IntoIterator<Item = (N, &'a Tensor<2>)>,
) -> Result<Option<N>, DeviceError> {
    for (name, tensor) in tensors {
        if !is_finite(tensor)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

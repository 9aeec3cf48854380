//! Where a tensor lies.

use burn::tensor::Device;
#[cfg(feature = "flex")]
use burn::{
    backend::{DispatchDevice, DispatchTensorKind},
    tensor::{DType, Tensor},
};

/// Up to so many rows, the CPU's products give each the same bits whatever the others are.
pub const EXACT_ROWS: usize = 32;

/// Whether a device is the CPU backend, whose operators give a row the same bits whatever the other rows are.
pub fn on_cpu(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    return matches!(device.as_dispatch(), DispatchDevice::Flex(_));
    #[cfg(not(feature = "flex"))]
    return false;
}

#[cfg(feature = "flex")]
/// Whether a tensor lies on the CPU backend in f32, tracked by autodiff or not.
pub(crate) fn on_flex<const D: usize>(tensor: &Tensor<D>) -> bool {
    if tensor.dtype() != DType::F32 {
        return false;
    }
    if tensor.is_autodiff() { is_plain_flex(&tensor.clone().inner()) } else { is_plain_flex(tensor) }
}

#[cfg(feature = "flex")]
/// Whether a weight lies on the CPU backend in a precision that its products read, and autodiff does not track it.
pub(crate) fn is_frozen_on_flex(weight: &Tensor<2>) -> bool {
    matches!(weight.dtype(), DType::F32 | DType::BF16) && is_plain_flex(weight)
}

#[cfg(feature = "flex")]
/// Whether a tensor lies on the CPU backend, in whatever precision, and autodiff does not track it.
pub(crate) fn is_plain_flex<const D: usize>(tensor: &Tensor<D>) -> bool {
    matches!(tensor.clone().into_dispatch().kind, DispatchTensorKind::Flex(_))
}

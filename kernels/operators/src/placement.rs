//! Where a tensor lies.

#[cfg(feature = "flex")]
use burn::backend::DispatchDevice;
use burn::tensor::Device;
#[cfg(any(feature = "flex", feature = "cube"))]
use burn::{
    backend::DispatchTensorKind,
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

#[cfg(any(feature = "flex", feature = "cube"))]
/// Whether an operator of a tensor's backend takes it as it is: on the CPU in f32, on CubeCL's runtimes in every precision of
/// models, tracked by autodiff or not.
pub(crate) fn is_fused<const D: usize>(tensor: &Tensor<D>) -> bool {
    #[cfg(feature = "cube")]
    if on_cube(tensor) {
        return matches!(tensor.dtype(), DType::F32 | DType::F16 | DType::BF16);
    }
    #[cfg(feature = "flex")]
    return on_flex(tensor);
    #[cfg(not(feature = "flex"))]
    return false;
}

#[cfg(feature = "cube")]
/// Whether a tensor that autodiff does not track lies on one of CubeCL's runtimes.
pub(crate) fn is_on_cube<const D: usize>(tensor: &Tensor<D>) -> bool {
    matches!(tensor.clone().into_dispatch().kind, DispatchTensorKind::Cube(_))
}

#[cfg(feature = "cube")]
/// Whether a tensor lies on one of CubeCL's runtimes, tracked by autodiff or not.
fn on_cube<const D: usize>(tensor: &Tensor<D>) -> bool {
    if tensor.is_autodiff() { is_on_cube(&tensor.clone().inner()) } else { is_on_cube(tensor) }
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

//! Where a tensor lies.

use burn::backend::DispatchTensorKind;
use burn::tensor::{DType, Tensor};

/// Whether a tensor lies on the CPU backend in f32, tracked by autodiff or not.
pub(crate) fn on_flex<const D: usize>(tensor: &Tensor<D>) -> bool {
    if tensor.dtype() != DType::F32 {
        return false;
    }
    if tensor.is_autodiff() { is_plain_flex(&tensor.clone().inner()) } else { is_plain_flex(tensor) }
}

/// Whether a tensor lies on the CPU backend, in whatever precision, and autodiff does not track it.
pub(crate) fn is_plain_flex<const D: usize>(tensor: &Tensor<D>) -> bool {
    matches!(tensor.clone().into_dispatch().kind, DispatchTensorKind::Flex(_))
}

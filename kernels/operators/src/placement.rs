//! Where a tensor lies.

use burn::backend::DispatchTensorKind;
use burn::tensor::{DType, Tensor};

/// Whether a tensor lies on the CPU backend in f32, tracked by autodiff or not.
pub(crate) fn on_flex<const D: usize>(tensor: &Tensor<D>) -> bool {
    if tensor.dtype() != DType::F32 {
        return false;
    }
    let plain = if tensor.is_autodiff() { tensor.clone().inner() } else { tensor.clone() };
    matches!(plain.into_dispatch().kind, DispatchTensorKind::Flex(_))
}

//! Whether numbers on a device are finite, told without reading them all back.

use burn::tensor::Tensor;
use vigos_models::Trained;

/// Whether a tensor has no NaN and no infinity.
pub(crate) fn is_finite(tensor: &Tensor<2>) -> bool {
    // What is finite comes to zero, and nothing else does.
    (tensor.clone() * 0.0).sum().cast(burn::tensor::DType::F32).into_scalar::<f32>() == 0.0
}

/// The name of the first tensor that is not finite.
pub(crate) fn first_not_finite(weights: &impl Trained) -> Option<String> {
    weights.tensors().into_iter().find(|(_, tensor)| !is_finite(tensor)).map(|(name, _)| name)
}

//! Products with a frozen weight that is kept in bf16.
//!
//! A backend's own product may make a whole copy of the weight first: Flex turns bf16 into f32 and transposes what
//! is not in order. For the head of a large model that is gigabytes for a moment, on every token. Here the CPU
//! turns one block of the weight's rows into f32 at a time, which is also what makes it fast: a block stays in the
//! cache between its conversion and its product. Elsewhere, and in other precisions, it is the plain product.
//!
//! Shapes: `T` rows, `I` inputs, `O` outputs.

#[cfg(feature = "flex")]
use crate::flex::projection::{in_blocks, project_back_in_blocks, project_in_blocks};
use burn::tensor::Tensor;

/// `x·Wᵀ` for a weight without a gradient, summed in f32. The result is differentiable with respect to `x`.
///
/// ```
/// use burn::tensor::{DType, Device, Tensor};
/// use vigos_kernels::{project, project_back};
///
/// let ones = |rows, columns| Tensor::<2>::ones([rows, columns], (&Device::flex(), DType::BF16));
/// let (x, weight) = (ones(3, 8), ones(20, 8));
/// let y = project(x, &weight);
/// assert_eq!(y.dims(), [3, 20]);
/// assert_eq!(project_back(y, &weight).dims(), [3, 8]);
/// ```
///
/// # Shapes
/// - `x`: `[T, I]`, `weight`: `[O, I]`, both in one precision
/// - output: `[T, O]` in that precision
pub fn project(x: Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if in_blocks(weight) {
        return project_in_blocks(x, weight);
    }
    x.matmul(weight.clone().transpose())
}

/// `y·W`, the way back through [`project`]; not differentiable itself.
///
/// # Shapes
/// - `y`: `[T, O]`, `weight`: `[O, I]`, both in one precision
/// - output: `[T, I]` in that precision
pub fn project_back(y: Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if in_blocks(weight) {
        return project_back_in_blocks(y, weight);
    }
    y.matmul(weight.clone())
}

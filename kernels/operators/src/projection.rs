//! Products with a frozen weight.
//!
//! A backend's own product may make a whole copy of the weight first: Flex transposes it for any but a single row,
//! and turns bf16 into f32. In decoding that is most of the time, and for the head of a large model gigabytes for a
//! moment. So the CPU has its own: few rows are multiplied with every row of the weight as it is read, once; many with f32 as
//! it lies, on the processor's matrix unit where it has one, and with bf16 there too or a panel in f32 at a time. On CubeCL's
//! runtimes few rows have one that reads the weight once. Everything else is the backend's product.
//!
//! Shapes: `T` rows, `I` inputs, `O` outputs.

#[cfg(feature = "flex")]
use crate::frozen::{frozen, frozen_back};
#[cfg(feature = "flex")]
use crate::placement::is_frozen_on_flex;
use burn::tensor::{DType, Tensor};

/// `x·Wᵀ` for a weight without a gradient, summed in f32. The result is differentiable with respect to `x`.
///
/// ```
/// use burn::tensor::{DType, Device, Tensor};
/// use vigos_operators::{project, project_back};
///
/// let ones = |rows, columns| Tensor::<2>::ones([rows, columns], (&Device::flex(), DType::BF16));
/// let (x, weight) = (ones(3, 8), ones(20, 8));
/// let y = project(x, &weight);
/// assert_eq!(y.dims(), [3, 20]);
/// assert_eq!(project_back(y, &weight).dims(), [3, 8]);
/// ```
///
/// # Shapes
/// - `x`: `[T, I]`, `weight`: `[O, I]`, which may have another precision
/// - output: `[T, O]` in that of `x`
pub fn project(x: Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
    let dtype = x.dtype();
    #[cfg(feature = "flex")]
    if is_frozen_on_flex(weight) && (are_own([&x, weight]) || x.dims()[0] <= crate::EXACT_ROWS) {
        return frozen(x.cast(DType::F32), &weight.clone().into(), None).cast(dtype);
    }
    #[cfg(feature = "cube")]
    {
        let weight = weight.clone().into();
        if crate::few_rows::fits(&x, &weight, None) {
            return crate::few_rows::adapted(x, &weight, None, None, None);
        }
    }
    x.matmul(weight.clone().cast(dtype).transpose())
}

/// `y·W`, the way back through [`project`]; not differentiable itself.
///
/// # Shapes
/// - `y`: `[T, O]`, `weight`: `[O, I]`, which may have another precision
/// - output: `[T, I]` in that of `y`
pub fn project_back(y: Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
    let dtype = y.dtype();
    #[cfg(feature = "flex")]
    if is_frozen_on_flex(weight) && are_own([&y, weight]) {
        return frozen_back(y.cast(DType::F32), &weight.clone().into()).cast(dtype);
    }
    y.matmul(weight.clone().cast(dtype))
}

/// Whether the CPU's own product takes these as they are.
#[cfg(feature = "flex")]
fn are_own([x, weight]: [&Tensor<2>; 2]) -> bool {
    x.dtype() == DType::F32 || weight.dtype() == DType::BF16
}

//! A frozen linear layer with its bias and its low-rank update, `x·Wᵀ + b + s·(d·Aᵀ)·Bᵀ`, where d is x after dropout.
//!
//! On the CPU with x in f32 it is one operator, whatever the weight is kept in: bias and update are added to the product
//! while it is made, and in the backward both ways of the gradient to x are summed by the products themselves. For few rows
//! without a gradient it is one on CubeCL's runtimes too. Elsewhere it is made of others, and a quantised weight is made wide
//! for every product.
//!
//! Shapes: `T` rows, `I` inputs, `O` outputs, `r` rank.

#[cfg(feature = "cube")]
use crate::few_rows;
#[cfg(feature = "flex")]
use crate::frozen;
use crate::projection::project;
use crate::update::Update;
use crate::weight::Weight;
use burn::tensor::Tensor;

/// The layer's output. Weight and bias have no gradient; it is differentiable with respect to x, d, A and B.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use vigos_operators::{Update, adapted};
///
/// let ones = |shape: [usize; 2]| Tensor::<2>::ones(shape, &Device::flex());
/// let update = Update { dropped: None, a: ones([2, 3]), b: ones([4, 2]), scale: 0.5 };
/// let found = adapted(ones([1, 3]), &ones([4, 3]).into(), Some(&ones([1, 4])), Some(update));
/// // 3 of the layer, 1 of the bias, ½·2·3 of the update.
/// assert_eq!(found.into_data().to_vec::<f32>().unwrap(), [7.0; 4]);
/// ```
///
/// # Shapes
/// - `x`: `[T, I]`, `weight`: `[O, I]`, `bias`: `[1, O]` in the precision of `x`; weight and update may have others
/// - output: `[T, O]` in the precision of `x`
pub fn adapted(x: Tensor<2>, weight: &Weight, bias: Option<&Tensor<2>>, update: Option<Update>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if frozen::fits(&x, weight, bias, update.as_ref()) {
        return frozen::adapted(x, weight, bias, update);
    }
    #[cfg(feature = "cube")]
    if few_rows::fits(&x, weight, update.as_ref()) {
        return few_rows::adapted(x, weight, bias, update, None);
    }
    adapted_reference(x, weight, bias, update)
}

/// The layer's output added to `residual`, `[T, O]` in the precision of `x`.
///
/// # Shapes
/// As [`adapted`].
pub fn adapted_onto(
    residual: Tensor<2>,
    x: Tensor<2>,
    weight: &Weight,
    bias: Option<&Tensor<2>>,
    update: Option<Update>,
) -> Tensor<2> {
    #[cfg(feature = "cube")]
    if few_rows::fits(&x, weight, update.as_ref()) {
        return few_rows::adapted(x, weight, bias, update, Some(residual));
    }
    residual + adapted(x, weight, bias, update)
}

/// The same made of separate operators.
///
/// # Shapes
/// As [`adapted`].
pub fn adapted_reference(
    x: Tensor<2>,
    weight: &Weight,
    bias: Option<&Tensor<2>>,
    update: Option<Update>,
) -> Tensor<2> {
    let dtype = x.dtype();
    let mut y = match weight {
        Weight::Plain(weight) => project(x.clone(), weight),
        Weight::Quantised(_) => project(x.clone(), &weight.wide(dtype)),
    };
    if let Some(bias) = bias {
        y = y + bias.clone();
    }
    match update {
        None => y,
        Some(Update { dropped, a, b, scale }) => {
            let x = dropped.unwrap_or(x).cast(a.dtype());
            let update = x.matmul(a.transpose()).matmul(b.transpose());
            y + (update * scale).cast(dtype)
        }
    }
}

//! One update of AdamW (arXiv 1711.05101): decoupled weight decay, bias correction, the global clip's factor.
//!
//! On the CPU in f32 it is one pass over a tensor on all cores, in place where nobody else holds the moments; elsewhere
//! it is made of others. Both give the same bits.

use burn::tensor::Tensor;

/// What an update of one tensor takes beside its tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// The learning rate.
    pub lr: f64,
    /// How much of both moments is kept.
    pub betas: (f64, f64),
    /// `1 − βᵗ` of both, for update t counted from 1.
    pub corrections: (f64, f64),
    /// Is added to the root of the second moment.
    pub epsilon: f64,
    /// Weight decay of this tensor; 0: none.
    pub decay: f64,
}

/// Running moments of one tensor's gradient, of its shape, in f32.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Mean.
    pub mean: Tensor<2>,
    /// Mean of squares.
    pub square: Tensor<2>,
}

/// The weight and the moments after one update.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use vigos_operators::{AdamWStep, Moments, adamw};
///
/// let of = |value: f32| Tensor::<2>::from_floats([[value]], &Device::flex());
/// let step =
///     AdamWStep { lr: 0.1, betas: (0.9, 0.9), corrections: (0.1, 0.1), epsilon: 1e-8, decay: 0.0 };
/// let (weight, _) = adamw(of(1.0), of(3.0), Moments { mean: of(0.0), square: of(0.0) }, step);
/// // The first step is the learning rate, whatever the gradient.
/// assert!((weight.into_scalar::<f32>() - 0.9).abs() < 1e-6);
/// ```
///
/// # Shapes
/// - all of one shape, without a graph
pub fn adamw(
    weight: Tensor<2>,
    gradient: Tensor<2>,
    moments: Moments,
    step: AdamWStep,
) -> (Tensor<2>, Moments) {
    #[cfg(feature = "flex")]
    {
        let plain = |tensor: &Tensor<2>| crate::placement::on_flex(tensor) && !tensor.is_autodiff();
        if [&weight, &gradient, &moments.mean, &moments.square].into_iter().all(plain) {
            return fused::adamw(weight, gradient, moments, step);
        }
    }
    adamw_reference(weight, gradient, moments, step)
}

/// The same made of separate operators.
///
/// # Shapes
/// As [`adamw`].
pub fn adamw_reference(
    weight: Tensor<2>,
    gradient: Tensor<2>,
    moments: Moments,
    step: AdamWStep,
) -> (Tensor<2>, Moments) {
    let AdamWStep { lr, betas, corrections, epsilon, decay } = step;
    let mean = moments.mean * betas.0 + gradient.clone() * (1.0 - betas.0);
    let square = moments.square * betas.1 + gradient.square() * (1.0 - betas.1);
    let scale = (square.clone() / corrections.1).sqrt() + epsilon;
    let change = mean.clone() / corrections.0 / scale * lr;
    let weight = if decay > 0.0 { weight * (1.0 - lr * decay) - change } else { weight - change };
    (weight, Moments { mean, square })
}

#[cfg(feature = "flex")]
pub(crate) mod fused {
    use super::{AdamWStep, Moments};
    use burn::backend::tensor::FloatTensor;
    use burn::backend::{Backend, Dispatch, backend_extension};
    use burn::tensor::Tensor;

    pub(super) fn adamw(
        weight: Tensor<2>,
        gradient: Tensor<2>,
        Moments { mean, square }: Moments,
        step: AdamWStep,
    ) -> (Tensor<2>, Moments) {
        let [weight, gradient, mean, square] = [weight, gradient, mean, square].map(Tensor::into_dispatch);
        let (weight, mean, square) =
            <Dispatch as AdamWBackend>::adamw_step(weight, gradient, mean, square, step);
        let [weight, mean, square] = [weight, mean, square].map(Tensor::from_dispatch);
        (weight, Moments { mean, square })
    }

    /// A backend with the update as one operator.
    #[backend_extension(Flex)]
    pub(crate) trait AdamWBackend: Backend {
        /// The weight and both moments after the update.
        fn adamw_step(
            weight: FloatTensor<Self>,
            gradient: FloatTensor<Self>,
            mean: FloatTensor<Self>,
            square: FloatTensor<Self>,
            step: AdamWStep,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    }
}

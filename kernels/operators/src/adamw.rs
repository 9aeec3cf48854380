//! One update of AdamW (arXiv 1711.05101): decoupled weight decay, bias correction, the global clip's factor.
//!
//! In f32 it is one pass over a tensor on the CPU, on all cores, and one launch on CubeCL's runtimes, in place where nobody else
//! holds the moments; elsewhere it is made of others. On the CPU both give the same bits.

#[cfg(any(feature = "flex", feature = "cube"))]
use burn::tensor::DType;
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

/// A step's numbers in f32, as separate operators round them.
#[cfg(any(feature = "flex", feature = "cube"))]
#[derive(Clone, Copy)]
pub(crate) struct Rounded {
    pub(crate) betas: [f32; 2],
    pub(crate) rests: [f32; 2],
    pub(crate) corrections: [f32; 2],
    pub(crate) epsilon: f32,
    pub(crate) lr: f32,
    /// What is left of the weight; exactly 1 where it does not decay.
    pub(crate) kept: f32,
}

#[cfg(any(feature = "flex", feature = "cube"))]
impl AdamWStep {
    pub(crate) fn rounded(self) -> Rounded {
        let Self { lr, betas, corrections, epsilon, decay } = self;
        Rounded {
            betas: [betas.0 as f32, betas.1 as f32],
            rests: [(1.0 - betas.0) as f32, (1.0 - betas.1) as f32],
            corrections: [corrections.0 as f32, corrections.1 as f32],
            epsilon: epsilon as f32,
            lr: lr as f32,
            kept: if decay > 0.0 { (1.0 - lr * decay) as f32 } else { 1.0 },
        }
    }
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
    #[cfg(any(feature = "flex", feature = "cube"))]
    {
        let plain = |tensor: &Tensor<2>| {
            crate::placement::is_fused(tensor) && tensor.dtype() == DType::F32 && !tensor.is_autodiff()
        };
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

#[cfg(any(feature = "flex", feature = "cube"))]
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
    #[backend_extension(
        Cube: cfg(feature = "cube"),
        Flex: cfg(feature = "flex"),
        Fusion: cfg(feature = "fusion")
    )]
    pub(crate) trait AdamWBackend: Backend {
        /// The weight and both moments after the update.
        #[fusion(meta = |weight, _gradient, mean, square, _step| {
            (weight.clone(), mean.clone(), square.clone())
        })]
        fn adamw_step(
            weight: FloatTensor<Self>,
            gradient: FloatTensor<Self>,
            mean: FloatTensor<Self>,
            square: FloatTensor<Self>,
            step: AdamWStep,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    }
}

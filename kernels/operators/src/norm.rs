//! The root-mean-square norm, `x / √(mean(x²) + ε) · γ`, over the last axis.
//!
//! Whatever the precision of the model, the norm itself is f32. On the CPU in f32, and on CubeCL's runtimes, it is one
//! operator: a row is read twice and written once, and the backward works everything out again from `x`. Elsewhere it is
//! made of others.

use burn::tensor::{DType, Tensor};

/// The norm of every row. Differentiable with respect to both.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use vigos_operators::rms_norm;
///
/// let x = Tensor::<2>::from_floats([[3.0, -4.0]], &Device::flex());
/// let scale = Tensor::<2>::from_floats([[1.0, 10.0]], &Device::flex());
/// let found: Vec<f32> = rms_norm(x, &scale, 0.0).into_data().to_vec().unwrap();
/// // √((9 + 16) / 2)
/// assert!((found[0] - 3.0 / 12.5f32.sqrt()).abs() < 1e-6);
/// assert!((found[1] + 40.0 / 12.5f32.sqrt()).abs() < 1e-5);
/// ```
///
/// # Shapes
/// - `x` and output: `[T, D]`
/// - `scale`, γ: `[1, D]`, in the precision of `x`
pub fn rms_norm(x: Tensor<2>, scale: &Tensor<2>, epsilon: f64) -> Tensor<2> {
    #[cfg(any(feature = "flex", feature = "cube"))]
    if crate::placement::is_fused(&x) && scale.dtype() == x.dtype() {
        return fused::rms_norm(x, scale, epsilon);
    }
    rms_norm_reference(x, scale, epsilon)
}

/// The same made of separate operators.
///
/// # Shapes
/// As [`rms_norm`].
pub fn rms_norm_reference(x: Tensor<2>, scale: &Tensor<2>, epsilon: f64) -> Tensor<2> {
    let dtype = x.dtype();
    let x = x.cast(DType::F32);
    let mean_square = x.clone().square().mean_dim(1);
    let normed = x / (mean_square + epsilon).sqrt();
    normed.cast(dtype) * scale.clone()
}

#[cfg(any(feature = "flex", feature = "cube"))]
pub(crate) mod fused {
    use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::tensor::FloatTensor;
    use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, TensorMetadata, backend_extension};
    use burn::tensor::{FloatDType, Tensor};

    pub(super) fn rms_norm(x: Tensor<2>, scale: &Tensor<2>, epsilon: f64) -> Tensor<2> {
        let (x, scale) = (x.into_dispatch(), scale.clone().into_dispatch());
        Tensor::from_dispatch(<Dispatch as NormBackend>::rms_norm(x, scale, epsilon as f32))
    }

    /// A backend with the norm as one operator.
    #[backend_extension(
        Cube: cfg(feature = "cube"),
        Flex: cfg(feature = "flex"),
        Autodiff,
        Fusion: cfg(feature = "fusion")
    )]
    pub(crate) trait NormBackend: Backend {
        /// The norm of every row.
        #[fusion(meta = |x, _scale, _epsilon| x.clone())]
        fn rms_norm(x: FloatTensor<Self>, scale: FloatTensor<Self>, epsilon: f32) -> FloatTensor<Self>;

        /// The gradient of `x`.
        #[fusion(meta = |x, _scale, _upstream, _epsilon| x.clone())]
        fn rms_norm_back(
            x: FloatTensor<Self>,
            scale: FloatTensor<Self>,
            upstream: FloatTensor<Self>,
            epsilon: f32,
        ) -> FloatTensor<Self>;

        /// The gradient of `scale`: Σ g·x/√(mean(x²) + ε) over the rows.
        #[fusion(default)]
        fn rms_norm_back_scale(
            x: FloatTensor<Self>,
            scale: FloatTensor<Self>,
            upstream: FloatTensor<Self>,
            epsilon: f32,
        ) -> FloatTensor<Self> {
            let precision = scale.dtype();
            let [x, scale, upstream] =
                [x, scale, upstream].map(|tensor| Self::float_cast(tensor, FloatDType::F32));
            // The norm is as much of the scale; of a scale of zero it would tell nothing.
            let ones = Self::float_add_scalar(Self::float_mul_scalar(scale, 0.0.into()), 1.0.into());
            let slopes = Self::float_mul(Self::rms_norm(x, ones, epsilon), upstream);
            Self::float_cast(Self::float_sum_dim(slopes, 0), precision.into())
        }
    }

    impl<B: NormBackend, C: CheckpointStrategy> NormBackend for Autodiff<B, C> {
        fn rms_norm(x: FloatTensor<Self>, scale: FloatTensor<Self>, epsilon: f32) -> FloatTensor<Self> {
            #[derive(Debug)]
            struct NormBackward;

            impl<B: NormBackend> Backward<B, 2> for NormBackward {
                /// `x`, `scale`, ε.
                type State = (FloatTensor<B>, FloatTensor<B>, f32);

                fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
                    let [x_parent, scale_parent] = ops.parents;
                    let upstream = gradients.consume::<B>(&ops.node);
                    let (x, scale, epsilon) = ops.state;
                    if let Some(parent) = scale_parent {
                        let [x, scale, upstream] = [&x, &scale, &upstream].map(Clone::clone);
                        let of_scale = B::rms_norm_back_scale(x, scale, upstream, epsilon);
                        gradients.register::<B>(parent.id, of_scale);
                    }
                    if let Some(parent) = x_parent {
                        gradients.register::<B>(parent.id, B::rms_norm_back(x, scale, upstream, epsilon));
                    }
                }
            }

            let nodes = [x.node(), scale.node()];
            let (x, scale) = (x.into_primitive(), scale.into_primitive());
            match NormBackward.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(step) => {
                    let output = B::rms_norm(x.clone(), scale.clone(), epsilon);
                    step.finish((x, scale, epsilon), output)
                }
                OpsKind::UnTracked(step) => step.finish(B::rms_norm(x, scale, epsilon)),
            }
        }

        fn rms_norm_back(
            x: FloatTensor<Self>,
            scale: FloatTensor<Self>,
            upstream: FloatTensor<Self>,
            epsilon: f32,
        ) -> FloatTensor<Self> {
            let [x, scale, upstream] = [x, scale, upstream].map(Self::FloatTensorPrimitive::into_primitive);
            Self::from_inner(B::rms_norm_back(x, scale, upstream, epsilon))
        }

        fn rms_norm_back_scale(
            x: FloatTensor<Self>,
            scale: FloatTensor<Self>,
            upstream: FloatTensor<Self>,
            epsilon: f32,
        ) -> FloatTensor<Self> {
            let [x, scale, upstream] = [x, scale, upstream].map(Self::FloatTensorPrimitive::into_primitive);
            Self::from_inner(B::rms_norm_back_scale(x, scale, upstream, epsilon))
        }
    }
}

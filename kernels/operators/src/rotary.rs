//! The rotary position embedding: pair (i, i + C/2) of every head is turned by the angle of its row.
//!
//! Whatever the precision of the model, it is computed in f32. On the CPU in f32, and on CubeCL's runtimes, it is one
//! operator, whose backward turns the gradient the other way. Elsewhere it is made of others.

use burn::tensor::{DType, Tensor};

/// Turns the pairs of every head. Differentiable with respect to `x`; the table has no gradient.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use vigos_operators::rotate;
///
/// let of = |values: &[f32], shape| Tensor::<1>::from_floats(values, &Device::flex()).reshape::<3, _>(shape);
/// let found = rotate(of(&[1.0, 0.0], [1, 1, 2]), &of(&[0.6], [1, 1, 1]), &of(&[0.8], [1, 1, 1]));
/// assert_eq!(found.into_data().to_vec::<f32>().unwrap(), [0.6, 0.8]);
/// ```
///
/// # Shapes
/// - `x` and output: `[T, heads, C]`
/// - `cos`, `sin`: `[T, 1, C/2]` in f32
pub fn rotate(x: Tensor<3>, cos: &Tensor<3>, sin: &Tensor<3>) -> Tensor<3> {
    #[cfg(any(feature = "flex", feature = "cube"))]
    if crate::placement::is_fused(&x) && cos.dtype() == DType::F32 && !cos.is_autodiff() {
        return fused::rotate(x, cos, sin);
    }
    rotate_reference(x, cos, sin)
}

/// The same made of separate operators.
///
/// # Shapes
/// As [`rotate`].
pub fn rotate_reference(x: Tensor<3>, cos: &Tensor<3>, sin: &Tensor<3>) -> Tensor<3> {
    let dtype = x.dtype();
    let half = x.dims()[2] / 2;
    let x = x.cast(DType::F32);
    let (left, right) = (x.clone().narrow(2, 0, half), x.narrow(2, half, half));
    let (cos, sin) = (cos.clone(), sin.clone());
    let rotated = vec![left.clone() * cos.clone() - right.clone() * sin.clone(), right * cos + left * sin];
    Tensor::cat(rotated, 2).cast(dtype)
}

#[cfg(any(feature = "flex", feature = "cube"))]
pub(crate) mod fused {
    use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::tensor::FloatTensor;
    use burn::backend::{Autodiff, Backend, Dispatch, backend_extension};
    use burn::tensor::Tensor;

    pub(super) fn rotate(x: Tensor<3>, cos: &Tensor<3>, sin: &Tensor<3>) -> Tensor<3> {
        let [x, cos, sin] = [x, cos.clone(), sin.clone()].map(Tensor::into_dispatch);
        Tensor::from_dispatch(<Dispatch as RotaryBackend>::rotate(x, cos, sin, 1.0))
    }

    /// A backend with the embedding as one operator.
    #[backend_extension(
        Cube: cfg(feature = "cube"),
        Flex: cfg(feature = "flex"),
        Autodiff,
        Fusion: cfg(feature = "fusion")
    )]
    pub(crate) trait RotaryBackend: Backend {
        /// Turns every pair by `direction` times its angle; `direction` is 1 or −1.
        #[fusion(meta = |x, _cos, _sin, _direction| x.clone())]
        fn rotate(
            x: FloatTensor<Self>,
            cos: FloatTensor<Self>,
            sin: FloatTensor<Self>,
            direction: f32,
        ) -> FloatTensor<Self>;
    }

    impl<B: RotaryBackend, C: CheckpointStrategy> RotaryBackend for Autodiff<B, C> {
        fn rotate(
            x: FloatTensor<Self>,
            cos: FloatTensor<Self>,
            sin: FloatTensor<Self>,
            direction: f32,
        ) -> FloatTensor<Self> {
            #[derive(Debug)]
            struct RotaryBackward;

            impl<B: RotaryBackend> Backward<B, 1> for RotaryBackward {
                /// The table, and the way back.
                type State = (FloatTensor<B>, FloatTensor<B>, f32);

                fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
                    let [x] = ops.parents;
                    let upstream = gradients.consume::<B>(&ops.node);
                    let (cos, sin, back) = ops.state;
                    if let Some(x) = x {
                        gradients.register::<B>(x.id, B::rotate(upstream, cos, sin, back));
                    }
                }
            }

            let (cos, sin) = (cos.into_primitive(), sin.into_primitive());
            match RotaryBackward.prepare::<C>([x.node()]).compute_bound().stateful() {
                OpsKind::Tracked(step) => {
                    let output = B::rotate(x.into_primitive(), cos.clone(), sin.clone(), direction);
                    step.finish((cos, sin, -direction), output)
                }
                OpsKind::UnTracked(step) => step.finish(B::rotate(x.into_primitive(), cos, sin, direction)),
            }
        }
    }
}

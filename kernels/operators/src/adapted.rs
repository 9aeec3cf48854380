//! A frozen linear layer with its bias and its low-rank update, `x·Wᵀ + b + s·(d·Aᵀ)·Bᵀ`, where d is x after dropout.
//!
//! On the CPU in f32 it is one operator: bias and update are added to the product while it is made, and in the backward
//! both ways of the gradient to x are summed by the products themselves. Elsewhere it is made of others.
//!
//! Shapes: `T` rows, `I` inputs, `O` outputs, `r` rank.

use crate::projection::project;
use burn::tensor::Tensor;

/// A low-rank update of a frozen layer.
#[derive(Clone, Debug)]
pub struct Update {
    /// What it reads in the place of x: x after dropout. None: x itself. `[T, I]`
    pub dropped: Option<Tensor<2>>,
    /// `[r, I]`
    pub a: Tensor<2>,
    /// `[O, r]`
    pub b: Tensor<2>,
    /// Factor of the update.
    pub scale: f64,
}

/// The layer's output. Weight and bias have no gradient; it is differentiable with respect to x, d, A and B.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use vigos_operators::{Update, adapted};
///
/// let ones = |shape: [usize; 2]| Tensor::<2>::ones(shape, &Device::flex());
/// let update = Update { dropped: None, a: ones([2, 3]), b: ones([4, 2]), scale: 0.5 };
/// let found = adapted(ones([1, 3]), &ones([4, 3]), Some(&ones([1, 4])), Some(update));
/// // 3 of the layer, 1 of the bias, ½·2·3 of the update.
/// assert_eq!(found.into_data().to_vec::<f32>().unwrap(), [7.0; 4]);
/// ```
///
/// # Shapes
/// - `x`: `[T, I]`, `weight`: `[O, I]`, `bias`: `[1, O]`, in one precision; the update may have another
/// - output: `[T, O]` in that precision
pub fn adapted(
    x: Tensor<2>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<2>>,
    update: Option<Update>,
) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if fused::fits(&x, weight, bias, update.as_ref()) {
        return fused::adapted(x, weight, bias, update);
    }
    adapted_reference(x, weight, bias, update)
}

/// The same made of separate operators.
///
/// # Shapes
/// As [`adapted`].
pub fn adapted_reference(
    x: Tensor<2>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<2>>,
    update: Option<Update>,
) -> Tensor<2> {
    let dtype = x.dtype();
    let mut y = project(x.clone(), weight);
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

#[cfg(feature = "flex")]
#[allow(clippy::too_many_arguments)] // A backend's operator takes its tensors one by one.
pub(crate) mod fused {
    use super::Update;
    use crate::placement::on_flex;
    use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::tensor::FloatTensor;
    use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, backend_extension};
    use burn::tensor::Tensor;

    /// Whether all of it lies on the CPU in f32, weight and bias without a gradient.
    pub(super) fn fits(
        x: &Tensor<2>,
        weight: &Tensor<2>,
        bias: Option<&Tensor<2>>,
        update: Option<&Update>,
    ) -> bool {
        let frozen = |tensor: &Tensor<2>| on_flex(tensor) && !tensor.is_autodiff();
        let updated = |update: &Update| {
            on_flex(&update.a) && on_flex(&update.b) && update.dropped.as_ref().is_none_or(on_flex)
        };
        on_flex(x) && frozen(weight) && bias.is_none_or(frozen) && update.is_none_or(updated)
    }

    pub(super) fn adapted(
        x: Tensor<2>,
        weight: &Tensor<2>,
        bias: Option<&Tensor<2>>,
        update: Option<Update>,
    ) -> Tensor<2> {
        let nothing = || Tensor::<2>::empty([0, 0], &weight.device());
        let bias = bias.cloned().unwrap_or_else(nothing).into_dispatch();
        let (x_dispatch, weight_dispatch) = (x.clone().into_dispatch(), weight.clone().into_dispatch());
        let y = match update {
            None => <Dispatch as AdaptedBackend>::frozen(x_dispatch, weight_dispatch, bias),
            Some(Update { dropped, a, b, scale }) => {
                let drops = dropped.is_some();
                let [dropped, a, b] = [dropped.unwrap_or(x), a, b].map(Tensor::into_dispatch);
                <Dispatch as AdaptedBackend>::adapted(
                    x_dispatch,
                    weight_dispatch,
                    bias,
                    dropped,
                    a,
                    b,
                    drops,
                    scale as f32,
                )
            }
        };
        Tensor::from_dispatch(y)
    }

    /// A backend with the layer as one operator. A bias without values is none.
    #[backend_extension(Flex, Autodiff)]
    pub(crate) trait AdaptedBackend: Backend {
        /// `x·Wᵀ + b`
        fn frozen(
            x: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
        ) -> FloatTensor<Self>;

        /// `x·Wᵀ + b + s·(d·Aᵀ)·Bᵀ`; where nothing is dropped, d is x.
        fn adapted(
            x: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
            dropped: FloatTensor<Self>,
            a: FloatTensor<Self>,
            b: FloatTensor<Self>,
            drops: bool,
            scale: f32,
        ) -> FloatTensor<Self>;

        /// `g·W`
        fn frozen_back(upstream: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;

        /// The gradients of x, d, A and B; where nothing is dropped, that of x holds that of d, which is empty.
        fn adapted_back(
            weight: FloatTensor<Self>,
            dropped: FloatTensor<Self>,
            a: FloatTensor<Self>,
            b: FloatTensor<Self>,
            upstream: FloatTensor<Self>,
            drops: bool,
            scale: f32,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    }

    /// What the backward needs.
    #[derive(Clone, Debug)]
    struct Kept<T> {
        /// Weight, d, A and B.
        tensors: [T; 4],
        drops: bool,
        scale: f32,
    }

    impl<B: AdaptedBackend, C: CheckpointStrategy> AdaptedBackend for Autodiff<B, C> {
        fn frozen(
            x: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
        ) -> FloatTensor<Self> {
            #[derive(Debug)]
            struct LinearBackward;

            impl<B: AdaptedBackend> Backward<B, 1> for LinearBackward {
                /// The weight.
                type State = FloatTensor<B>;

                fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
                    let [x] = ops.parents;
                    let upstream = gradients.consume::<B>(&ops.node);
                    if let Some(x) = x {
                        gradients.register::<B>(x.id, B::frozen_back(upstream, ops.state));
                    }
                }
            }

            let (weight, bias) = (weight.into_primitive(), bias.into_primitive());
            match LinearBackward.prepare::<C>([x.node()]).compute_bound().stateful() {
                OpsKind::Tracked(step) => {
                    let output = B::frozen(x.into_primitive(), weight.clone(), bias);
                    step.finish(weight, output)
                }
                OpsKind::UnTracked(step) => step.finish(B::frozen(x.into_primitive(), weight, bias)),
            }
        }

        fn adapted(
            x: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
            dropped: FloatTensor<Self>,
            a: FloatTensor<Self>,
            b: FloatTensor<Self>,
            drops: bool,
            scale: f32,
        ) -> FloatTensor<Self> {
            #[derive(Debug)]
            struct AdaptedBackward;

            impl<B: AdaptedBackend> Backward<B, 4> for AdaptedBackward {
                type State = Kept<FloatTensor<B>>;

                fn backward(self, ops: Ops<Self::State, 4>, gradients: &mut Gradients, _: &mut Checkpointer) {
                    let [x_parent, dropped_parent, a_parent, b_parent] = ops.parents;
                    let upstream = gradients.consume::<B>(&ops.node);
                    let Kept { tensors: [weight, dropped, a, b], drops, scale } = ops.state;
                    let (of_x, of_dropped, of_a, of_b) =
                        B::adapted_back(weight, dropped, a, b, upstream, drops, scale);
                    let dropped_parent = dropped_parent.filter(|_| drops);
                    let parents = [x_parent, dropped_parent, a_parent, b_parent];
                    for (parent, gradient) in parents.into_iter().zip([of_x, of_dropped, of_a, of_b]) {
                        if let Some(parent) = parent {
                            gradients.register::<B>(parent.id, gradient);
                        }
                    }
                }
            }

            let nodes = [x.node(), dropped.node(), a.node(), b.node()];
            let [x, weight, bias, dropped, a, b] =
                [x, weight, bias, dropped, a, b].map(Self::FloatTensorPrimitive::into_primitive);
            match AdaptedBackward.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(step) => {
                    let tensors = [weight.clone(), dropped.clone(), a.clone(), b.clone()];
                    let output = B::adapted(x, weight, bias, dropped, a, b, drops, scale);
                    step.finish(Kept { tensors, drops, scale }, output)
                }
                OpsKind::UnTracked(step) => {
                    step.finish(B::adapted(x, weight, bias, dropped, a, b, drops, scale))
                }
            }
        }

        fn frozen_back(upstream: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
            Self::from_inner(B::frozen_back(upstream.into_primitive(), weight.into_primitive()))
        }

        fn adapted_back(
            weight: FloatTensor<Self>,
            dropped: FloatTensor<Self>,
            a: FloatTensor<Self>,
            b: FloatTensor<Self>,
            upstream: FloatTensor<Self>,
            drops: bool,
            scale: f32,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
            let [weight, dropped, a, b, upstream] =
                [weight, dropped, a, b, upstream].map(Self::FloatTensorPrimitive::into_primitive);
            let (of_x, of_dropped, of_a, of_b) =
                B::adapted_back(weight, dropped, a, b, upstream, drops, scale);
            (
                Self::from_inner(of_x),
                Self::from_inner(of_dropped),
                Self::from_inner(of_a),
                Self::from_inner(of_b),
            )
        }
    }
}

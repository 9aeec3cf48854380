//! The gate of an MLP, `silu(gate) ⊙ up` with silu(x) = x·σ(x).
//!
//! On the CPU in f32, and on CubeCL's runtimes, it is one operator: one pass forward and one back, which keeps no
//! activation. Elsewhere it is made of others.

use burn::tensor::Tensor;
use burn::tensor::activation::silu;

/// `silu(gate) ⊙ up`. Differentiable with respect to both.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use vigos_operators::gated;
///
/// let of = |value: f32| Tensor::<2>::from_floats([[value]], &Device::flex());
/// let found: f32 = gated(of(1.0), of(2.0)).into_scalar();
/// assert!((found - 2.0 / (1.0 + (-1.0f32).exp())).abs() < 1e-6);
/// ```
///
/// # Shapes
/// - `gate`, `up` and output: `[T, F]`, in one precision
pub fn gated(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    #[cfg(any(feature = "flex", feature = "cube"))]
    if crate::placement::is_fused(&gate) && up.dtype() == gate.dtype() {
        return fused::gated(gate, up);
    }
    gated_reference(gate, up)
}

/// The same made of separate operators.
///
/// # Shapes
/// As [`gated`].
pub fn gated_reference(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    silu(gate) * up
}

#[cfg(any(feature = "flex", feature = "cube"))]
pub(crate) mod fused {
    use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::tensor::FloatTensor;
    use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, backend_extension};
    use burn::tensor::Tensor;

    pub(super) fn gated(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
        let (gate, up) = (gate.into_dispatch(), up.into_dispatch());
        Tensor::from_dispatch(<Dispatch as GateBackend>::gated(gate, up))
    }

    /// A backend with the gate as one operator.
    #[backend_extension(
        Cube: cfg(feature = "cube"),
        Flex: cfg(feature = "flex"),
        Autodiff,
        Fusion: cfg(feature = "fusion")
    )]
    pub(crate) trait GateBackend: Backend {
        /// `silu(gate) ⊙ up`
        #[fusion(meta = |gate, _up| gate.clone())]
        fn gated(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self>;

        /// The gradients of `gate` and of `up`.
        #[fusion(meta = |gate, up, _upstream| (gate.clone(), up.clone()))]
        fn gated_back(
            gate: FloatTensor<Self>,
            up: FloatTensor<Self>,
            upstream: FloatTensor<Self>,
        ) -> (FloatTensor<Self>, FloatTensor<Self>);
    }

    impl<B: GateBackend, C: CheckpointStrategy> GateBackend for Autodiff<B, C> {
        fn gated(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
            #[derive(Debug)]
            struct GateBackward;

            impl<B: GateBackend> Backward<B, 2> for GateBackward {
                /// `gate`, `up`
                type State = (FloatTensor<B>, FloatTensor<B>);

                fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
                    let [gate_parent, up_parent] = ops.parents;
                    let upstream = gradients.consume::<B>(&ops.node);
                    let (gate, up) = ops.state;
                    let (of_gate, of_up) = B::gated_back(gate, up, upstream);
                    if let Some(parent) = gate_parent {
                        gradients.register::<B>(parent.id, of_gate);
                    }
                    if let Some(parent) = up_parent {
                        gradients.register::<B>(parent.id, of_up);
                    }
                }
            }

            let nodes = [gate.node(), up.node()];
            let (gate, up) = (gate.into_primitive(), up.into_primitive());
            match GateBackward.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(step) => {
                    let output = B::gated(gate.clone(), up.clone());
                    step.finish((gate, up), output)
                }
                OpsKind::UnTracked(step) => step.finish(B::gated(gate, up)),
            }
        }

        fn gated_back(
            gate: FloatTensor<Self>,
            up: FloatTensor<Self>,
            upstream: FloatTensor<Self>,
        ) -> (FloatTensor<Self>, FloatTensor<Self>) {
            let (of_gate, of_up) =
                B::gated_back(gate.into_primitive(), up.into_primitive(), upstream.into_primitive());
            (Self::from_inner(of_gate), Self::from_inner(of_up))
        }
    }
}

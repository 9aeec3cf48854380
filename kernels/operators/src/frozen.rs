//! A frozen layer as one operator of the CPU, with and without its update, and its way back.

#![allow(clippy::too_many_arguments)] // A backend's operator takes its tensors one by one.

use crate::placement::{is_frozen_on_flex, is_plain_flex, on_flex};
use crate::update::Update;
use crate::weight::{Layout, Quantised, Weight};
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, DispatchTensor, backend_extension};
use burn::tensor::{Device, Int, Tensor};

/// Whether all of it lies on the CPU and x in f32, weight and bias without a gradient.
pub(crate) fn fits(
    x: &Tensor<2>,
    weight: &Weight,
    bias: Option<&Tensor<2>>,
    update: Option<&Update>,
) -> bool {
    let frozen = match weight {
        Weight::Plain(weight) => is_frozen_on_flex(weight),
        Weight::Quantised(quantised) => is_plain_flex(&quantised.scales),
    };
    let plain = |bias: &Tensor<2>| on_flex(bias) && !bias.is_autodiff();
    let updated = |update: &Update| {
        on_flex(&update.a) && on_flex(&update.b) && update.dropped.as_ref().is_none_or(on_flex)
    };
    frozen && on_flex(x) && bias.is_none_or(plain) && update.is_none_or(updated)
}

pub(crate) fn adapted(
    x: Tensor<2>,
    weight: &Weight,
    bias: Option<&Tensor<2>>,
    update: Option<Update>,
) -> Tensor<2> {
    let Some(Update { dropped, a, b, scale }) = update else { return frozen(x, weight, bias) };
    let (floats, words, layout) = parts(weight);
    let bias = or_nothing(bias, weight);
    let drops = dropped.is_some();
    let dropped = dropped.unwrap_or_else(|| x.clone());
    let [x, dropped, a, b] = [x, dropped, a, b].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as AdaptedBackend>::adapted(
        x,
        floats,
        words,
        bias,
        dropped,
        a,
        b,
        layout,
        drops,
        scale as f32,
    ))
}

/// `x·Wᵀ + b`
pub(crate) fn frozen(x: Tensor<2>, weight: &Weight, bias: Option<&Tensor<2>>) -> Tensor<2> {
    let (floats, words, layout) = parts(weight);
    let bias = or_nothing(bias, weight);
    let y = <Dispatch as AdaptedBackend>::frozen(x.into_dispatch(), floats, words, bias, layout);
    Tensor::from_dispatch(y)
}

/// `g·W`
pub(crate) fn frozen_back(upstream: Tensor<2>, weight: &Weight) -> Tensor<2> {
    let (floats, words, layout) = parts(weight);
    let upstream = upstream.into_dispatch();
    Tensor::from_dispatch(<Dispatch as AdaptedBackend>::frozen_back(upstream, floats, words, layout))
}

/// A weight's tensors as the operators take them: floats, or scales and words.
fn parts(weight: &Weight) -> (DispatchTensor, DispatchTensor, Option<Layout>) {
    match weight.clone() {
        Weight::Plain(floats) => {
            let nothing = Tensor::<2, Int>::empty([0, 0], &floats.device());
            (floats.into_dispatch(), nothing.into_dispatch(), None)
        }
        Weight::Quantised(Quantised { layout, words, scales }) => {
            (scales.into_dispatch(), words.into_dispatch(), Some(layout))
        }
    }
}

fn or_nothing(bias: Option<&Tensor<2>>, weight: &Weight) -> DispatchTensor {
    let device = || -> Device {
        match weight {
            Weight::Plain(weight) => weight.device(),
            Weight::Quantised(quantised) => quantised.scales.device(),
        }
    };
    bias.cloned().unwrap_or_else(|| Tensor::empty([0, 0], &device())).into_dispatch()
}

/// A backend with the layer as one operator. A bias without values is none. A weight is floats; or scales in their
/// place and words, which lie as the layout says.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait AdaptedBackend: Backend {
    /// `x·Wᵀ + b`
    fn frozen(
        x: FloatTensor<Self>,
        floats: FloatTensor<Self>,
        words: IntTensor<Self>,
        bias: FloatTensor<Self>,
        layout: Option<Layout>,
    ) -> FloatTensor<Self>;

    /// `x·Wᵀ + b + s·(d·Aᵀ)·Bᵀ`; where nothing is dropped, d is x.
    fn adapted(
        x: FloatTensor<Self>,
        floats: FloatTensor<Self>,
        words: IntTensor<Self>,
        bias: FloatTensor<Self>,
        dropped: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        layout: Option<Layout>,
        drops: bool,
        scale: f32,
    ) -> FloatTensor<Self>;

    /// `g·W`
    fn frozen_back(
        upstream: FloatTensor<Self>,
        floats: FloatTensor<Self>,
        words: IntTensor<Self>,
        layout: Option<Layout>,
    ) -> FloatTensor<Self>;

    /// The gradients of x, d, A and B; where nothing is dropped, that of x holds that of d, which is empty.
    fn adapted_back(
        floats: FloatTensor<Self>,
        words: IntTensor<Self>,
        dropped: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        upstream: FloatTensor<Self>,
        layout: Option<Layout>,
        drops: bool,
        scale: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// What the backward of the whole layer needs.
#[derive(Clone, Debug)]
struct Kept<T, I> {
    /// The weight's floats, d, A and B.
    tensors: [T; 4],
    words: I,
    layout: Option<Layout>,
    drops: bool,
    scale: f32,
}

impl<B: AdaptedBackend, C: CheckpointStrategy> AdaptedBackend for Autodiff<B, C> {
    fn frozen(
        x: FloatTensor<Self>,
        floats: FloatTensor<Self>,
        words: IntTensor<Self>,
        bias: FloatTensor<Self>,
        layout: Option<Layout>,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct LinearBackward;

        impl<B: AdaptedBackend> Backward<B, 1> for LinearBackward {
            /// The weight.
            type State = (FloatTensor<B>, IntTensor<B>, Option<Layout>);

            fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
                let [x] = ops.parents;
                let upstream = gradients.consume::<B>(&ops.node);
                if let Some(x) = x {
                    let (floats, words, layout) = ops.state;
                    gradients.register::<B>(x.id, B::frozen_back(upstream, floats, words, layout));
                }
            }
        }

        let (floats, bias) = (floats.into_primitive(), bias.into_primitive());
        match LinearBackward.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let output = B::frozen(x.into_primitive(), floats.clone(), words.clone(), bias, layout);
                step.finish((floats, words, layout), output)
            }
            OpsKind::UnTracked(step) => {
                step.finish(B::frozen(x.into_primitive(), floats, words, bias, layout))
            }
        }
    }

    fn adapted(
        x: FloatTensor<Self>,
        floats: FloatTensor<Self>,
        words: IntTensor<Self>,
        bias: FloatTensor<Self>,
        dropped: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        layout: Option<Layout>,
        drops: bool,
        scale: f32,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct AdaptedBackward;

        impl<B: AdaptedBackend> Backward<B, 4> for AdaptedBackward {
            type State = Kept<FloatTensor<B>, IntTensor<B>>;

            fn backward(self, ops: Ops<Self::State, 4>, gradients: &mut Gradients, _: &mut Checkpointer) {
                let [x_parent, dropped_parent, a_parent, b_parent] = ops.parents;
                let upstream = gradients.consume::<B>(&ops.node);
                let Kept { tensors: [floats, dropped, a, b], words, layout, drops, scale } = ops.state;
                let (of_x, of_dropped, of_a, of_b) =
                    B::adapted_back(floats, words, dropped, a, b, upstream, layout, drops, scale);
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
        let [x, floats, bias, dropped, a, b] =
            [x, floats, bias, dropped, a, b].map(Self::FloatTensorPrimitive::into_primitive);
        match AdaptedBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let tensors = [floats.clone(), dropped.clone(), a.clone(), b.clone()];
                let kept = Kept { tensors, words: words.clone(), layout, drops, scale };
                let output = B::adapted(x, floats, words, bias, dropped, a, b, layout, drops, scale);
                step.finish(kept, output)
            }
            OpsKind::UnTracked(step) => {
                step.finish(B::adapted(x, floats, words, bias, dropped, a, b, layout, drops, scale))
            }
        }
    }

    fn frozen_back(
        upstream: FloatTensor<Self>,
        floats: FloatTensor<Self>,
        words: IntTensor<Self>,
        layout: Option<Layout>,
    ) -> FloatTensor<Self> {
        let (upstream, floats) = (upstream.into_primitive(), floats.into_primitive());
        Self::from_inner(B::frozen_back(upstream, floats, words, layout))
    }

    fn adapted_back(
        floats: FloatTensor<Self>,
        words: IntTensor<Self>,
        dropped: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        upstream: FloatTensor<Self>,
        layout: Option<Layout>,
        drops: bool,
        scale: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [floats, dropped, a, b, upstream] =
            [floats, dropped, a, b, upstream].map(Self::FloatTensorPrimitive::into_primitive);
        let (of_x, of_dropped, of_a, of_b) =
            B::adapted_back(floats, words, dropped, a, b, upstream, layout, drops, scale);
        (Self::from_inner(of_x), Self::from_inner(of_dropped), Self::from_inner(of_a), Self::from_inner(of_b))
    }
}

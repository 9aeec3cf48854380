//! A frozen layer for few rows on CubeCL's runtimes: what decoding does seven times a layer, one launch each.

use crate::placement::is_on_cube;
use crate::update::Update;
use crate::weight::{Quantised, Weight};
#[cfg(feature = "fusion")]
use burn::backend::fusion::custom::TensorSpec;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, backend_extension};
#[cfg(feature = "fusion")]
use burn::tensor::Shape;
use burn::tensor::{DType, Tensor};
use vigos_cubes::few_rows::{INNER, ROWS, WORDS};

/// Whether the operator takes these tensors: it has no backward.
pub(crate) fn fits(x: &Tensor<2>, weight: &Weight, update: Option<&Update>) -> bool {
    let rows = x.dims()[0];
    let takes = |Update { dropped, a, b, .. }: &Update| {
        let plain = dropped.is_none() && !a.is_autodiff() && !b.is_autodiff();
        plain && a.dtype() == DType::F32 && b.dtype() == DType::F32 && rows * a.dims()[0] <= INNER
    };
    let is_read = |weight: &Weight| match weight {
        Weight::Plain(weight) => weight.dtype() == x.dtype(),
        Weight::Quantised(quantised) => quantised.layout.inputs.is_multiple_of(WORDS),
    };
    (1..=ROWS).contains(&rows)
        && !x.is_autodiff()
        && is_read(weight)
        && update.is_none_or(takes)
        && is_on_cube(x)
}

/// `x·Wᵀ + b + s·(x·Aᵀ)·Bᵀ + residual`, of what there is.
pub(crate) fn adapted(
    x: Tensor<2>,
    weight: &Weight,
    bias: Option<&Tensor<2>>,
    update: Option<Update>,
    residual: Option<Tensor<2>>,
) -> Tensor<2> {
    let present = Present { bias: bias.is_some(), update: update.is_some(), residual: residual.is_some() };
    // What is not there is not read.
    let or_x = |tensor: Option<Tensor<2>>| tensor.unwrap_or_else(|| x.clone()).into_dispatch();
    let (bias, residual) = (or_x(bias.cloned()), or_x(residual));
    let scale = update.as_ref().map_or(0.0, |update| update.scale as f32);
    let (a, b) = update.map_or((None, None), |update| (Some(update.a), Some(update.b)));
    let (a, b) = (or_x(a), or_x(b));
    let x = x.into_dispatch();
    Tensor::from_dispatch(match weight.clone() {
        Weight::Plain(weight) => {
            let weight = weight.into_dispatch();
            <Dispatch as FewRowsBackend>::few_rows(x, weight, bias, a, b, residual, scale, present)
        }
        Weight::Quantised(Quantised { layout, words, scales }) => {
            let (words, scales, bits) = (words.into_dispatch(), scales.into_dispatch(), layout.bits.bits());
            <Dispatch as FewRowsBackend>::few_rows_quantised(
                x, words, scales, bits, bias, a, b, residual, scale, present,
            )
        }
    })
}

/// What is added to the product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Present {
    pub(crate) bias: bool,
    pub(crate) update: bool,
    pub(crate) residual: bool,
}

/// A backend with the layer as one operator.
#[allow(clippy::too_many_arguments)] // A backend's operator takes its tensors one by one.
#[backend_extension(Cube, Fusion: cfg(feature = "fusion"))]
pub(crate) trait FewRowsBackend: Backend {
    /// The output, `[B, O]`.
    #[fusion(meta = |x, weight, _bias, _a, _b, _residual, _scale, _present| output(x, weight))]
    fn few_rows(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        scale: f32,
        present: Present,
    ) -> FloatTensor<Self>;

    /// The same with whole numbers of so many bits in words.
    #[fusion(meta = |x, words, _scales, _bits, _bias, _a, _b, _residual, _scale, _present| output(x, words))]
    fn few_rows_quantised(
        x: FloatTensor<Self>,
        words: IntTensor<Self>,
        scales: FloatTensor<Self>,
        bits: usize,
        bias: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        scale: f32,
        present: Present,
    ) -> FloatTensor<Self>;
}

#[cfg(feature = "fusion")]
fn output(x: &TensorSpec, weight: &TensorSpec) -> TensorSpec {
    TensorSpec::new(Shape::from([x.shape[0], weight.shape[0]]), x.dtype)
}

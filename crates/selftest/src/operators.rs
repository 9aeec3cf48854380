//! The operators that are checked.

use burn::tensor::Tensor;
use std::num::NonZeroUsize;
use vigos_kernels::{
    ActiveRow, AdamWStep, Columns, LinearLoss, Moments, RowLoss, Segments, SpanKlError, SpanKlRows, Update,
    Weight, adamw, adapted, attention, decode_attention, divergence_linear, gated, project, project_back,
    rms_norm, rotate, span_kl,
};

/// The operators of a model and of its training, each as the trainer calls it.
///
/// What is not overridden is the trainer's own. An implementation that overrides one with something wrong shows that the
/// checks see it.
pub trait Operators {
    /// `x·Wᵀ`, see [`project`].
    fn project(&self, x: Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
        project(x, weight)
    }
    /// `y·W`, see [`project_back`].
    fn project_back(&self, y: Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
        project_back(y, weight)
    }
    /// A frozen layer with its low-rank update, see [`adapted`].
    fn adapted(&self, x: Tensor<2>, weight: &Weight, update: Option<Update>) -> Tensor<2> {
        adapted(x, weight, None, update)
    }
    /// See [`rms_norm`].
    fn norm(&self, x: Tensor<2>, scale: &Tensor<2>, epsilon: f64) -> Tensor<2> {
        rms_norm(x, scale, epsilon)
    }
    /// See [`gated`].
    fn gated(&self, gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
        gated(gate, up)
    }
    /// See [`rotate`].
    fn rotate(&self, x: Tensor<3>, cos: &Tensor<3>, sin: &Tensor<3>) -> Tensor<3> {
        rotate(x, cos, sin)
    }
    /// See [`attention`].
    fn attention(
        &self,
        [query, key, value]: [Tensor<3>; 3],
        segments: &Segments,
        is_causal: bool,
    ) -> Tensor<2> {
        attention(query, key, value, segments, is_causal)
    }
    /// See [`decode_attention`].
    fn decode_attention(
        &self,
        query: Tensor<3>,
        keys: &Tensor<4>,
        values: &Tensor<4>,
        columns: &Columns,
    ) -> Tensor<2> {
        decode_attention(query, keys, values, columns)
    }
    /// Divergences of rows of logits, see [`span_kl`].
    ///
    /// # Errors
    /// As it.
    fn span_kl(
        &self,
        student: Tensor<2>,
        teacher: Tensor<2>,
        rows: &[RowLoss],
        temperature: f64,
    ) -> Result<SpanKlRows, SpanKlError> {
        span_kl(student, teacher, rows, temperature)
    }
    /// The same from hidden states, see [`divergence_linear`].
    ///
    /// # Errors
    /// As it.
    fn loss(
        &self,
        student: &Tensor<2>,
        teacher: &Tensor<2>,
        head: &Tensor<2>,
        rows: &[ActiveRow],
        temperature: f64,
        chunk: NonZeroUsize,
    ) -> Result<LinearLoss, SpanKlError> {
        divergence_linear(student, teacher, head, rows, temperature, chunk)
    }
    /// See [`adamw`].
    fn adamw(
        &self,
        weight: Tensor<2>,
        gradient: Tensor<2>,
        moments: Moments,
        step: AdamWStep,
    ) -> (Tensor<2>, Moments) {
        adamw(weight, gradient, moments, step)
    }
}

/// The trainer's own.
#[derive(Clone, Copy, Debug)]
pub struct Own;

impl Operators for Own {}

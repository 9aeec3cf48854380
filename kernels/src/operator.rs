//! The operator that backends implement, and its derivative under autodiff.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, TensorMetadata, backend_extension};
use burn::tensor::Shape;
#[cfg(feature = "fusion")]
use burn::{backend::fusion::custom::TensorSpec, tensor::DType};

/// Columns of the operator's statistics.
pub(crate) mod column {
    /// Unclipped divergence.
    pub(crate) const KL: usize = 0;
    /// weight · min(K, clip)
    pub(crate) const LOSS: usize = 1;
    /// Entropy of the student, in nats.
    pub(crate) const STUDENT_ENTROPY: usize = 2;
    /// Entropy of the teacher, in nats.
    pub(crate) const TEACHER_ENTROPY: usize = 3;
    /// One where both have their largest logit at the same token, otherwise zero.
    pub(crate) const AGREES: usize = 4;
    /// How many there are.
    pub(crate) const COUNT: usize = 5;
}

/// A backend with a fused span KL.
///
/// `rows` is `[R, 3]` in f32: direction (0 forward, 1 reverse), weight, clip (infinite for none).
/// The statistics are `[R, 5]` in f32, see [`column`]; the gradient is `[R, V]` in the student's precision and
/// takes the place of the student's logits if nobody else holds them.
#[backend_extension(
    Cube: cfg(feature = "cube"),
    Flex: cfg(feature = "flex"),
    Autodiff,
    Fusion: cfg(feature = "fusion")
)]
pub(crate) trait SpanKlBackend: Backend {
    /// Statistics and gradient of `student`, `[R, V]`, against `teacher`, `[R, V]`.
    #[fusion(meta = |student, _teacher, rows, _temperature| (statistics_of(&rows.shape), student.clone()))]
    fn span_kl_rows(
        student: FloatTensor<Self>,
        teacher: FloatTensor<Self>,
        rows: FloatTensor<Self>,
        temperature: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The same for logits `[2R, V]`, the student's above the teacher's.
    #[fusion(meta = |logits, rows, _temperature| (statistics_of(&rows.shape), upper_half(logits)))]
    fn span_kl_stacked(
        logits: FloatTensor<Self>,
        rows: FloatTensor<Self>,
        temperature: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The loss of all rows, `[1]` in f32.
    #[fusion(default)]
    fn span_kl_loss(
        student: FloatTensor<Self>,
        teacher: FloatTensor<Self>,
        rows: FloatTensor<Self>,
        temperature: f32,
    ) -> FloatTensor<Self> {
        total::<Self>(Self::span_kl_rows(student, teacher, rows, temperature).0)
    }
}

/// The statistics that rows `[R, 3]` have.
#[cfg(feature = "fusion")]
fn statistics_of(rows: &Shape) -> TensorSpec {
    TensorSpec::new(Shape::from([rows[0], column::COUNT]), DType::F32)
}

/// The student's half of stacked logits.
#[cfg(feature = "fusion")]
fn upper_half(logits: &TensorSpec) -> TensorSpec {
    TensorSpec::new(Shape::from([logits.shape[0] / 2, logits.shape[1]]), logits.dtype)
}

/// The sum of the losses in the statistics.
fn total<B: Backend>(statistics: FloatTensor<B>) -> FloatTensor<B> {
    let rows = statistics.shape()[0];
    let range = [(0..rows).into(), (column::LOSS..column::LOSS + 1).into()];
    B::float_sum(B::float_slice(statistics, &range))
}

/// Only the loss carries a derivative, with respect to the student's logits. The gradient is there already when
/// the forward pass ends; the backward pass scales it.
impl<B: SpanKlBackend, C: CheckpointStrategy> SpanKlBackend for Autodiff<B, C> {
    fn span_kl_rows(
        student: FloatTensor<Self>,
        teacher: FloatTensor<Self>,
        rows: FloatTensor<Self>,
        temperature: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (statistics, gradient) = B::span_kl_rows(
            student.into_primitive(),
            teacher.into_primitive(),
            rows.into_primitive(),
            temperature,
        );
        (Self::from_inner(statistics), Self::from_inner(gradient))
    }

    fn span_kl_stacked(
        logits: FloatTensor<Self>,
        rows: FloatTensor<Self>,
        temperature: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (statistics, gradient) =
            B::span_kl_stacked(logits.into_primitive(), rows.into_primitive(), temperature);
        (Self::from_inner(statistics), Self::from_inner(gradient))
    }

    fn span_kl_loss(
        student: FloatTensor<Self>,
        teacher: FloatTensor<Self>,
        rows: FloatTensor<Self>,
        temperature: f32,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct SpanKlBackward;

        impl<B: Backend> Backward<B, 1> for SpanKlBackward {
            type State = FloatTensor<B>;

            fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
                let [student] = ops.parents;
                let upstream = gradients.consume::<B>(&ops.node);
                if let Some(student) = student {
                    let upstream = B::float_reshape(upstream, Shape::from([1, 1]));
                    let upstream = B::float_cast(upstream, ops.state.dtype().into());
                    gradients.register::<B>(student.id, B::float_mul(ops.state, upstream));
                }
            }
        }

        let (teacher, rows) = (teacher.into_primitive(), rows.into_primitive());
        match SpanKlBackward.prepare::<C>([student.node()]).compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let (statistics, gradient) =
                    B::span_kl_rows(student.into_primitive(), teacher, rows, temperature);
                step.finish(gradient, total::<B>(statistics))
            }
            OpsKind::UnTracked(step) => {
                step.finish(B::span_kl_loss(student.into_primitive(), teacher, rows, temperature))
            }
        }
    }
}

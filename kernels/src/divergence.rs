//! How far the student is from a teacher: what anyone can write, and the two that have a fused operator.

use burn::tensor::Tensor;
use std::fmt::Debug;
use std::sync::Arc;

/// A divergence between a student's and a teacher's distribution over the vocabulary.
///
/// [`Divergence::rows`] is all that a new one needs: its gradient comes from autodiff, and
/// [`divergence_linear`](crate::divergence_linear) adds temperature, weights, clips and statistics.
///
/// ```
/// use burn::tensor::Tensor;
/// use vigos_kernels::Divergence;
///
/// /// KL in both directions, added.
/// #[derive(Debug)]
/// struct Jeffreys;
///
/// impl Divergence for Jeffreys {
///     fn name(&self) -> &str {
///         "jeffreys"
///     }
///
///     fn rows(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
///         let difference = student.clone() - teacher.clone();
///         ((student.exp() - teacher.exp()) * difference).sum_dim(1).squeeze_dim(1)
///     }
/// }
/// ```
pub trait Divergence: Debug + Send + Sync {
    /// What it is called, in recipes and messages.
    fn name(&self) -> &str;

    /// The divergence of each row from the logarithms of its probabilities at the temperature, which may be very low
    /// and are −∞ where a logit is. A row's divergence may depend on that row only.
    ///
    /// # Shapes
    /// - `student`: `[R, V]` in f32, tracked by autodiff; `teacher`: `[R, V]` in f32, on the same device
    /// - output: `[R]`, made from `student` by operators that autodiff knows
    fn rows(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1>;

    /// The direction of KL that this is, if it is one: then the fused operator computes it, and
    /// [`Divergence::rows`] is not called where that operator serves.
    fn fused(&self) -> Option<Direction> {
        None
    }
}

impl<D: Divergence + ?Sized> Divergence for Arc<D> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn rows(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        (**self).rows(student, teacher)
    }

    fn fused(&self) -> Option<Direction> {
        (**self).fused()
    }
}

/// Which distribution a KL divergence averages over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// KL(teacher ‖ student): the student covers what the teacher does.
    Forward,
    /// KL(student ‖ teacher): the student leaves what the teacher does not do.
    Reverse,
}

impl Direction {
    /// KL in this direction.
    pub fn divergence(self) -> &'static dyn Divergence {
        match self {
            Self::Forward => &ForwardKl,
            Self::Reverse => &ReverseKl,
        }
    }
}

/// KL(teacher ‖ student), called `forward`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForwardKl;

impl Divergence for ForwardKl {
    fn name(&self) -> &str {
        "forward"
    }

    fn rows(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        relative_entropy(teacher, student).squeeze_dim(1)
    }

    fn fused(&self) -> Option<Direction> {
        Some(Direction::Forward)
    }
}

/// KL(student ‖ teacher), called `reverse`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReverseKl;

impl Divergence for ReverseKl {
    fn name(&self) -> &str {
        "reverse"
    }

    fn rows(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        relative_entropy(student, teacher).squeeze_dim(1)
    }

    fn fused(&self) -> Option<Direction> {
        Some(Direction::Reverse)
    }
}

/// KL(over ‖ under) of each row from log-probabilities, `[R, 1]`. A token without probability in `over` counts nothing,
/// whatever `under` has there.
pub(crate) fn relative_entropy(over: Tensor<2>, under: Tensor<2>) -> Tensor<2> {
    let probability = over.clone().exp();
    let excluded = probability.clone().equal_elem(0.0);
    // Before the product, so that its derivative has no zero times infinity either.
    let ratio = (over - under).mask_fill(excluded, 0.0);
    (probability * ratio).sum_dim(1)
}

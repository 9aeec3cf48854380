//! Divergences that the fused operator has not: the generalised Jensen-Shannon divergence, and any divergence over the
//! tokens that the teacher finds likeliest with all others in one bucket.

use crate::divergence::{Divergence, relative_entropy};
use burn::tensor::{DType, IndexingUpdateOp, Tensor};
use std::num::NonZeroUsize;

/// A logarithm of a probability that is zero in f32; finite, so that no derivative is zero times infinity.
const NEVER: f32 = -1e3;

/// The generalised Jensen-Shannon divergence `β·KL(q‖m) + (1 − β)·KL(p‖m)` of student p and teacher q to their mixture
/// `m = β·q + (1 − β)·p` (arXiv 2306.13649), called `jsd`. It is symmetric at β = ½, the default, and bounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JensenShannon {
    beta: f64,
}

impl JensenShannon {
    /// With this share of the teacher in the mixture. None unless it is between 0 and 1.
    pub fn new(beta: f64) -> Option<Self> {
        (beta > 0.0 && beta < 1.0).then_some(Self { beta })
    }
}

impl Default for JensenShannon {
    fn default() -> Self {
        Self { beta: 0.5 }
    }
}

impl Divergence for JensenShannon {
    fn name(&self) -> &str {
        "jsd"
    }

    fn rows(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        let [student, teacher] = [student, teacher].map(|x| x.clamp_min(NEVER));
        // ln m, relative to the larger of the two.
        let of_teacher = teacher.clone() + self.beta.ln();
        let of_student = student.clone() + (1.0 - self.beta).ln();
        let apart = (of_teacher.clone() - of_student.clone()).abs().neg();
        let mixture = of_teacher.max_pair(of_student) + apart.exp().log1p();
        let of_teacher = relative_entropy(teacher, mixture.clone()) * self.beta;
        let of_student = relative_entropy(student, mixture) * (1.0 - self.beta);
        (of_teacher + of_student).squeeze_dim(1)
    }
}

/// A divergence over the teacher's likeliest tokens, with all others in one bucket.
#[derive(Clone, Debug)]
pub struct TopTokens<D> {
    count: NonZeroUsize,
    of: D,
    name: String,
}

impl<D: Divergence> TopTokens<D> {
    /// `of` over the `count` tokens that the teacher finds likeliest. It is called `top`, the count and the name of `of`.
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// use vigos_kernels::{Divergence, ForwardKl, TopTokens};
    ///
    /// let some = TopTokens::new(NonZeroUsize::new(100).unwrap(), ForwardKl);
    /// assert_eq!(some.name(), "top_100_forward");
    /// ```
    pub fn new(count: NonZeroUsize, of: D) -> Self {
        let name = format!("top_{count}_{}", of.name());
        Self { count, of, name }
    }
}

impl<D: Divergence> Divergence for TopTokens<D> {
    fn name(&self) -> &str {
        &self.name
    }

    fn rows(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        let [rows, vocabulary] = teacher.dims();
        if self.count.get() >= vocabulary {
            return self.of.rows(student, teacher);
        }
        let (_, tokens) = teacher.clone().topk_with_indices(self.count.get(), 1);
        // One where a token has a place of its own.
        let own = Tensor::<2>::zeros([rows, vocabulary], (&teacher.device(), DType::F32));
        let ones = Tensor::ones([rows, self.count.get()], (&teacher.device(), DType::F32));
        let own = own.scatter(1, tokens.clone(), ones, IndexingUpdateOp::Add);
        let grouped = |x: Tensor<2>| {
            let rest = (x.clone().clamp_min(NEVER).exp() * (own.clone().neg() + 1.0)).sum_dim(1);
            // Nothing that is left has the logarithm of the smallest normal number.
            let rest = rest.clamp_min(f32::MIN_POSITIVE).log();
            Tensor::cat(vec![x.gather(1, tokens.clone()), rest], 1)
        };
        self.of.rows(grouped(student), grouped(teacher))
    }
}

//! KL and its gradient for rows of logits, on plain Burn operators: any backend.

use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Tensor};

/// Which distribution the divergence averages over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// KL(teacher ‖ student): the student covers what the teacher does.
    Forward,
    /// KL(student ‖ teacher): the student leaves what the teacher does not do.
    Reverse,
}

/// The divergence of each row, unclipped, and its gradient.
#[derive(Clone, Debug)]
pub struct RowKl {
    /// `[R, 1]`
    pub kl: Tensor<2>,
    /// `[R, V]`, ∂K/∂(student logits)
    pub gradient: Tensor<2>,
}

/// Computes the divergence of each row in f32.
///
/// A token with zero probability under the averaging distribution contributes nothing, also where its logit
/// is −∞ in both; a token that only the other one excludes gives infinity.
///
/// # Shapes
/// - `student`, `teacher`: `[R, V]` logits, without a gradient graph
pub fn row_kl(student: Tensor<2>, teacher: Tensor<2>, direction: Direction, temperature: f64) -> RowKl {
    let log_probabilities = |logits: Tensor<2>| log_softmax(logits.cast(DType::F32) / temperature, 1);
    let (log_p, log_q) = (log_probabilities(student), log_probabilities(teacher));
    match direction {
        Direction::Forward => {
            let q = log_q.clone().exp();
            let excluded = q.clone().equal_elem(0.0);
            let terms = q.clone() * (log_q - log_p.clone());
            let kl = terms.mask_fill(excluded, 0.0).sum_dim(1);
            RowKl { kl, gradient: (log_p.exp() - q) / temperature }
        }
        Direction::Reverse => {
            let p = log_p.clone().exp();
            let excluded = p.clone().equal_elem(0.0);
            let ratio = log_p - log_q;
            let kl = (p.clone() * ratio.clone()).mask_fill(excluded.clone(), 0.0).sum_dim(1);
            let gradient = (p * (ratio - kl.clone())).mask_fill(excluded, 0.0) / temperature;
            RowKl { kl, gradient }
        }
    }
}

//! Next-token cross entropy over given tokens, with its gradient for the hidden states and for the head.
//!
//! ```text
//! L = Σ −w·log softmax(h·Wᵀ)[target]      ∂L/∂logits = w·(p − onehot)
//! ```
//!
//! Logits exist for one chunk of rows at a time.

use crate::error::ModelError;
use crate::gradient::Upstream;
use crate::model::VisionLanguageModel;
use crate::packed::Target;
use crate::rows::indices;
use crate::scoring::{check_targets, token_column};
use burn::tensor::{DType, IndexingUpdateOp, Int, Tensor};
use std::num::NonZeroUsize;
use vigos_kernels::{computed, in_chunks, project_back, read};

/// A loss over some tokens.
#[derive(Clone, Debug)]
pub struct CrossEntropy {
    /// Σ −w·log p(target), in nats.
    pub loss: f64,
    /// Targets that are the most probable token.
    pub correct: usize,
}

/// The loss of `targets`, each of weight `weight`, and its gradient for the hidden states, `[T, D]` in f32.
/// `chunk` rows of logits exist at a time, or half as many where the device is out of memory for them.
///
/// # Shapes
/// - `hidden`: `[T, D]`, after the final norm
///
/// # Errors
/// If a target's row is not in `hidden`, its token is not in the vocabulary, or the device fails.
pub fn cross_entropy(
    model: &dyn VisionLanguageModel,
    hidden: &Tensor<2>,
    targets: &[Target],
    weight: f64,
    chunk: usize,
) -> Result<(CrossEntropy, Tensor<2>), ModelError> {
    let mut gradient = hidden.zeros_like().cast(DType::F32);
    let loss = each_chunk(model, hidden, targets, weight, chunk, |rows, back| {
        gradient.inplace(|all| all.select_assign(0, rows, back.back, IndexingUpdateOp::Add));
    })?;
    Ok((loss, gradient))
}

/// The same with the gradient of the head, `[V, D]`, as well.
///
/// # Errors
/// As [`cross_entropy`].
pub fn cross_entropy_with_head(
    model: &dyn VisionLanguageModel,
    hidden: &Tensor<2>,
    targets: &[Target],
    weight: f64,
    chunk: usize,
) -> Result<(CrossEntropy, Upstream), ModelError> {
    let mut head = model.head().zeros_like().cast(DType::F32);
    let mut gradient = hidden.zeros_like().cast(DType::F32);
    let loss = each_chunk(model, hidden, targets, weight, chunk, |rows, back| {
        head.inplace(|all| all + back.logits.transpose().matmul(back.hidden));
        gradient.inplace(|all| all.select_assign(0, rows, back.back, IndexingUpdateOp::Add));
    })?;
    Ok((loss, Upstream { hidden: gradient, head }))
}

/// What goes back from one chunk of rows.
struct ChunkGradient {
    /// The chunk's hidden states. `[R, D]`
    hidden: Tensor<2>,
    /// ∂L/∂logits. `[R, V]`
    logits: Tensor<2>,
    /// ∂L/∂(hidden states), in f32. `[R, D]`
    back: Tensor<2>,
}

/// The loss, chunk by chunk; `visit` sees the rows of each and what goes back from them.
fn each_chunk(
    model: &dyn VisionLanguageModel,
    hidden: &Tensor<2>,
    targets: &[Target],
    weight: f64,
    chunk: usize,
    mut visit: impl FnMut(Tensor<1, Int>, ChunkGradient),
) -> Result<CrossEntropy, ModelError> {
    check_targets(model, hidden, targets)?;
    let mut total = CrossEntropy { loss: 0.0, correct: 0 };
    let chunk = NonZeroUsize::new(chunk).unwrap_or(NonZeroUsize::MIN);
    in_chunks(targets, chunk, model.device(), ModelError::is_out_of_memory, |targets| {
        let rows = indices(targets.iter().map(|t| t.row), model.device());
        let hidden = hidden.clone().select(0, rows.clone());
        let logits = model.logits(hidden.clone());
        let tokens = token_column(targets, model.device());

        let largest = logits.clone().max_dim(1);
        let top = logits.clone().gather(1, tokens.clone());
        let powers = (logits - largest.clone()).exp();
        let sums = powers.clone().sum_dim(1);
        let log_p = top.clone() - largest.clone() - sums.clone().log();
        let numbers = Tensor::cat(vec![log_p, top, largest], 1);
        let numbers: Vec<f32> = read(numbers)?;
        let ones = Tensor::full([targets.len(), 1], -weight, (model.device(), DType::F32));
        let logits = powers * (sums.recip() * weight);
        let logits = logits.scatter(1, tokens, ones, IndexingUpdateOp::Add).cast(model.dtype());
        let back = project_back(logits.clone(), model.head()).cast(DType::F32);
        computed(&back)?;
        // Nothing of the chunk counts before all of it is computed.
        for [log_p, top, largest] in numbers.as_chunks::<3>().0 {
            total.loss -= weight * f64::from(*log_p);
            total.correct += usize::from(top >= largest);
        }
        visit(rows, ChunkGradient { hidden, logits, back });
        Ok(())
    })?;
    Ok(total)
}

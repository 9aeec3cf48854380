//! How probable given tokens are: log-probability, entropy and most probable token of rows of hidden states.

use crate::error::ModelError;
use crate::model::VisionLanguageModel;
use crate::packed::Target;
use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use std::num::NonZeroUsize;
use vigos_kernels::{in_chunks, read, send};

/// What the model's softmax says at a token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenScore {
    /// Log-probability of the token, in nats.
    pub logprob: f64,
    /// Entropy of the distribution that it was drawn from, in nats.
    pub entropy: f64,
    /// The most probable token.
    pub top1: u32,
}

/// Scores every target under the unmodified softmax, in f32, `chunk` rows of logits at a time, or half as many where the
/// device is out of memory for them.
///
/// # Shapes
/// - `hidden`: `[T, D]`, after the final norm
///
/// # Errors
/// If a target's row is not in `hidden`, its token is not in the vocabulary, or the device fails.
pub fn score_tokens(
    model: &dyn VisionLanguageModel,
    hidden: &Tensor<2>,
    targets: &[Target],
    chunk: usize,
) -> Result<Vec<TokenScore>, ModelError> {
    check_targets(model, hidden, targets)?;
    let mut scores = Vec::with_capacity(targets.len());
    let chunk = NonZeroUsize::new(chunk).unwrap_or(NonZeroUsize::MIN);
    in_chunks(targets, chunk, model.device(), ModelError::is_out_of_memory, |targets| {
        let rows: Vec<usize> = targets.iter().map(|t| t.row).collect();
        let logits = model.logits_at(hidden, &rows).cast(DType::F32);
        scores.extend(score_rows(logits, targets)?);
        Ok(())
    })?;
    Ok(scores)
}

/// # Errors
/// If a target's row is not in `hidden`, `[T, D]`, or its token is not in the vocabulary.
pub(crate) fn check_targets(
    model: &dyn VisionLanguageModel,
    hidden: &Tensor<2>,
    targets: &[Target],
) -> Result<(), ModelError> {
    let (rows, vocabulary) = (hidden.dims()[0], model.architecture().text.vocab_size);
    match targets.iter().find(|t| t.row >= rows || t.token as usize >= vocabulary) {
        None => Ok(()),
        Some(target) => Err(ModelError::Prompt(format!(
            "token id {} at row {}: wanted an id below {vocabulary} and a row below {rows}",
            target.token, target.row
        ))),
    }
}

/// The ids of the targets, `[R, 1]`.
pub(crate) fn token_column(targets: &[Target], device: &Device) -> Tensor<2, Int> {
    let tokens: Vec<i32> = targets.iter().map(|t| t.token as i32).collect();
    send(TensorData::new(tokens, [targets.len(), 1]), device, DType::I32)
}

/// Scores one target for each row of `logits`. `[R, V]`
fn score_rows(logits: Tensor<2>, targets: &[Target]) -> Result<Vec<TokenScore>, ModelError> {
    let tokens = token_column(targets, &logits.device());
    let top1 = logits.clone().argmax(1);
    let log_p = log_softmax(logits, 1);
    let p = log_p.clone().exp();
    // A token of probability zero adds nothing, where 0·(−∞) would be NaN.
    let excluded = p.clone().equal_elem(0.0);
    let entropy = (p * log_p.clone()).mask_fill(excluded, 0.0).sum_dim(1).neg();
    let numbers = Tensor::cat(vec![log_p.gather(1, tokens), entropy], 1);
    let (numbers, top1): (Vec<f32>, Vec<i32>) = (read(numbers)?, read(top1)?);
    let (pairs, _) = numbers.as_chunks::<2>();
    Ok(pairs
        .iter()
        .zip(top1)
        .map(|([logprob, entropy], top1)| TokenScore {
            logprob: f64::from(*logprob),
            entropy: f64::from(*entropy),
            top1: top1.unsigned_abs(),
        })
        .collect())
}

//! A sample with its completion, read for its format.

use crate::engine::Finish;
use crate::foreign::Foreign;
use crate::spans::{CompletionText, Verdict};
use std::sync::Arc;
use vigos_recipe::sample::Sample;

/// A sample with its completion. Several completions of one sample share it.
#[derive(Clone, Debug)]
pub struct RolledOut {
    /// The sample.
    pub sample: Arc<Sample>,
    /// The tokens, the stop token included.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub finish: Finish,
    /// Its bytes, and which token each came from.
    pub text: CompletionText,
    /// Format and spans.
    pub verdict: Verdict,
    /// How probable its tokens were, where it was drawn by another than the student that learns from it.
    pub foreign: Option<Box<Foreign>>,
}

impl RolledOut {
    /// The same, drawn by another at these log-probabilities, one for each token.
    #[must_use]
    pub fn drawn_at(self, logprobs: Vec<f64>) -> Self {
        Self { foreign: Some(Box::new(Foreign { drawn: logprobs, ..Foreign::default() })), ..self }
    }

    /// Tokens of the student's prompt and of the completion: what a forward over it reads.
    pub fn length(&self) -> usize {
        self.sample.student.ids.len() + self.tokens.len()
    }

    /// What the token at a position counts for in a loss.
    pub fn weight(&self, position: usize) -> f64 {
        let weights = self.foreign.as_ref().map(|foreign| foreign.weights.as_slice());
        weights.and_then(|weights| weights.get(position)).copied().unwrap_or(1.0)
    }
}

//! A sample with its completion, read for its format.

use crate::engine::Finish;
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
}

//! The student's rollouts: sampling, batched decoding and the span parser.
//!
//! - [`engine`] decodes many prompts together.
//! - [`sampler`] draws one token from a row of logits, reproducibly.
//! - [`spans`] finds the description, the reasoning and the answer in a sampled completion.

pub mod engine;
pub mod sampler;
pub mod spans;

//! The student's rollouts: the base it stands on, sampling, batched decoding, the span parser, and which teacher
//! reads what of a completion.
//!
//! - [`base`] and [`adapter`] load what a recipe names; [`student`] is both, and completes samples.
//! - [`engine`] decodes many prompts together, in the rows of a [`batch`].
//! - [`sampler`] draws one token from a row of logits, reproducibly.
//! - [`spans`] finds the description, the reasoning and the answer in a sampled completion.
//! - [`routing`] says which teacher supervises which of its tokens.
//! - [`agreed`] is what several ranks come to together.
//! - [`judging`] evaluates checkpoints of a run that goes on.
//! - [`record`] is what is written down of it, [`transcript`] the same token by token.
//!
//! ```
//! use vigos_recipe::Fidelity;
//! use vigos_rollout::spans::CompletionText;
//!
//! // Spans index the sampled tokens, whatever pieces they are.
//! let pieces = ["a red ", "cup", "</description>", "<think>", "red", "</think>", r"\boxed{", "red", "}"];
//! let completion: Vec<u32> = (0..9).collect();
//! let text = CompletionText::new(&completion, |id| pieces[id as usize], &[]);
//! let verdict = text.verdict(Fidelity::Paper);
//! let spans = verdict.spans().expect("it keeps the format");
//! assert_eq!((&spans.description[..], &spans.reasoning_answer[..]), (&[0, 1][..], &[4, 7][..]));
//! ```

pub mod adapter;
pub mod agreed;
pub mod base;
pub mod batch;
mod cores;
pub mod engine;
mod error;
mod folder_error;
mod foreign;
pub mod inputs;
pub mod judging;
mod kit;
mod lanes;
mod options;
mod prefill;
mod prefilled;
pub mod preview;
pub mod record;
mod rolled_out;
pub mod routing;
pub mod run_folder;
pub mod sampler;
pub mod spans;
pub mod student;
pub mod transcript;

pub use cores::{side_by_side, works_side_by_side};
pub use error::RunError;
pub use foreign::{Foreign, Mismatch};
pub use kit::Kit;
pub use options::{RunOptions, Start};
pub use prefill::PREFILL_TOKENS;
pub use prefilled::Prefilled;
pub use record::RolloutRecord;
pub use rolled_out::RolledOut;

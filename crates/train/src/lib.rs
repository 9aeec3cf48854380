//! The ViGOS trainer: recipes, teachers, loss, optimiser, checkpoints.
//!
//! A step goes one way: [`samples`] makes prompts, the rollout engine completes the student's, the span
//! parser judges the completions, [`routing`] says which teacher supervises which tokens, [`objective`]
//! computes losses and gradient, [`optim`] updates the adapter.

pub mod error;
pub mod objective;
pub mod optim;
pub mod prompts;
pub mod recipe;
pub mod routing;
pub mod samples;

pub use error::TrainError;
pub use recipe::Recipe;

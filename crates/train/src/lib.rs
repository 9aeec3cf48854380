//! The ViGOS trainer: recipes, teachers, loss, optimiser, checkpoints.
//!
//! A step goes one way: [`samples`] makes prompts, the rollout engine completes the student's, the span
//! parser judges the completions, [`routing`] says which teacher supervises which tokens, [`objective`]
//! computes losses and gradient, [`optim`] updates the adapter. [`trainer`] repeats it and writes it down;
//! [`replay`] does it once on recorded completions. [`sft`] trains on given completions instead.

pub mod checkpoint;
pub mod error;
mod leaves;
pub mod memory;
pub mod metrics;
pub mod objective;
pub mod optim;
pub mod preview;
pub mod prompts;
mod quarantine;
pub mod recipe;
pub mod replay;
pub mod routing;
mod run;
pub mod run_folder;
pub mod samples;
pub mod session;
pub mod sft;
pub mod shapes;
pub mod tensorboard;
pub mod trainer;

pub use error::TrainError;
pub use recipe::Recipe;

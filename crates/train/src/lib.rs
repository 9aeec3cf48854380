//! The ViGOS trainer: teachers, loss, optimiser, checkpoints.
//!
//! A step goes one way: the recipe's sample maker makes prompts, the rollout engine completes the student's, the span
//! parser judges the completions, the routing says which teacher supervises which tokens, [`objective`]
//! computes losses and gradient, [`optim`] updates the adapter. [`trainer`] repeats it and writes it down;
//! [`replay`] does it once on recorded completions. [`sft`] trains on given completions instead.

pub mod checkpoint;
pub mod memory;
pub mod metrics;
pub mod objective;
pub mod optim;
pub mod preview;
mod quarantine;
pub mod replay;
mod run;
pub mod session;
pub mod sft;
pub mod shapes;
pub mod tensorboard;
pub mod trainer;

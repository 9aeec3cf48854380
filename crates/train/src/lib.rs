//! The trainer: teachers, losses, optimiser, checkpoints.
//!
//! A step goes one way, and `training.rs` is the page that says so:
//!
//! ```text
//! Stream ─ Sample ─► Rollout ─ RolledOut ─► Objective ─ Scored, gradient ─► Update
//! ```
//!
//! [`distil`] puts the stages together for self-distillation (ViGOS, OPSD and whatever else is a teacher table),
//! [`mod@sft`] for supervised training; [`replay`] does one step on recorded completions.

mod agreed;
mod ahead;
mod dealt;
pub mod distil;
pub mod distillation;
pub mod dropout;
pub mod dry_run;
pub mod fine_tune;
mod finite;
mod health;
mod lost;
pub mod metrics;
mod objective;
mod observed;
mod observer;
mod opening;
mod pieces;
mod quarantine;
mod recorded;
mod recorder;
mod recordings;
pub mod replay;
mod rollout;
pub mod scored;
pub mod sft;
mod step_gradient;
mod stream;
pub mod supervised;
mod training;
mod update;

pub use distil::{TrainOptions, train, train_judged};
pub use dry_run::{DryRun, dry_run};
pub use observer::Observer;
pub use sft::{SftOptions, sft};
pub use training::Finished;
pub use vigos_rollout::RunOptions;

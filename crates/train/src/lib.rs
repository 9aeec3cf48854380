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
//!
//! ```
//! use vigos_recipe::{Optim, Schedule};
//! use vigos_train::optim::learning_rate;
//!
//! let settings = Optim { lr: 1.0, schedule: Schedule::Linear, warmup_steps: 2, ..Optim::default() };
//! let rates: Vec<f64> = (0..6).map(|step| learning_rate(&settings, step, 6)).collect();
//! assert_eq!(rates, [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]);
//! ```

mod agreed;
pub mod checkpoint;
mod dealt;
pub mod distil;
pub mod distillation;
pub mod dropout;
pub mod dry_run;
pub mod fine_tune;
mod finite;
mod growth;
mod health;
mod lost;
pub mod metrics;
mod objective;
mod observed;
mod observer;
mod opening;
pub mod optim;
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

//! What a run goes on from: the trained weights, the optimiser, the numbers of where it stands.
//!
//! - [`checkpoints`] are the folders, written whole or not at all.
//! - [`state`] is where a run stands.
//! - [`optim`] is AdamW, its schedule and the clip.
//!
//! ```
//! use vigos_checkpoint::optim::learning_rate;
//! use vigos_recipe::{Optim, Schedule};
//!
//! let settings = Optim { lr: 1.0, schedule: Schedule::Linear, warmup_steps: 2, ..Optim::default() };
//! let rates: Vec<f64> = (0..6).map(|step| learning_rate(&settings, step, 6)).collect();
//! assert_eq!(rates, [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]);
//! ```

pub mod checkpoints;
pub mod optim;
pub mod state;

pub use checkpoints::Checkpoints;
pub use state::State;

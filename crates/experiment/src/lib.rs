//! Experiments: a table of methods by seeds and the sweep of a dial, each cell a training run that is evaluated.
//!
//! [`vigos_recipe::experiment`] is what an experiment's file says, [`plan`] the runs that it comes to, [`run`](run())
//! does those that are not done yet. [`results`] gathers what the finished ones wrote, [`report`](report()) makes tables
//! and plots of it. Everything is read from the runs' folders, so the results have the same bytes however often the work
//! was stopped.
//!
//! ```
//! use std::path::Path;
//! use vigos_experiment::Plan;
//! use vigos_recipe::RunRecipe;
//! use vigos_recipe::experiment::Experiment;
//!
//! # std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).unwrap();
//! let experiment = Experiment::load(Path::new("configs/experiment.toml"), &[]).unwrap();
//! let plan = Plan::new(&experiment).unwrap();
//! assert_eq!(plan.runs.len(), 49, "seven methods by three seeds, a sweep, and the student as it is");
//! ```

pub mod error;
mod figures;
pub mod plan;
mod plot;
pub mod report;
pub mod results;
mod run;
mod tables;

pub use error::ExperimentError;
pub use plan::{Plan, Run, State};
pub use report::report;
pub use results::Results;
pub use run::{Watch, run};

//! How long a step and a completion take on a device, phase by phase, on drawn prompts: no tokenizer, no data.
//!
//! [`step::run`] is a training step of the standard method, [`decode::run`] greedy decoding of a batch. Each gives a
//! [`report::Report`] that is written as JSON or as text; docs/performance.md says what is in it. [`kernels::run`] is every
//! operator by itself, [`loss::run`] the loss.

pub mod decode;
pub mod kernels;
pub mod loss;
pub mod measure;
pub mod phases;
pub mod report;
pub mod step;
mod synthetic;

pub use phases::PhaseTimes;
pub use report::{Baseline, Report, Work};

use burn::tensor::Device;
use std::num::NonZeroUsize;
use std::path::Path;
use vigos_kernels::SpanKlError;
use vigos_models::source::Kept;
use vigos_models::{Families, ModelError};
use vigos_rollout::RunError;
use vigos_rollout::engine::RolloutError;

/// What is measured on.
#[derive(Clone, Copy, Debug)]
pub struct On<'a> {
    /// The model's folder, of which configuration and weights are read.
    pub folder: &'a Path,
    /// Families of models that it may be of.
    pub families: &'a Families,
    /// Where it is computed.
    pub device: &'a Device,
    /// What that is called in the report.
    pub device_name: &'a str,
    /// Number formats of weights and activations.
    pub kept: Kept,
    /// How often it is run, after a first time that does not count.
    pub repeats: NonZeroUsize,
    /// What listens for the phases.
    pub times: &'a PhaseTimes,
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A size does not fit the model.
    #[error("{what}: found {found}, wanted {wanted}")]
    Size {
        /// Which.
        what: &'static str,
        /// What it is.
        found: String,
        /// What it may be.
        wanted: String,
    },
    /// What is to be compared with is no report, or one of other work.
    #[error("{file}: found {found}, wanted {wanted}")]
    Baseline {
        /// Its file.
        file: String,
        /// What it is.
        found: String,
        /// What it may be.
        wanted: String,
    },
    /// The loss by itself failed.
    #[error(transparent)]
    Loss(#[from] SpanKlError),
    /// The model cannot be loaded, or does not take what it is given.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The step failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The decoding failed.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
}

/// Refuses more sequences than a program would have side by side.
fn check_batch(batch: NonZeroUsize) -> Result<(), BenchError> {
    const MOST: usize = 4096;
    if batch.get() <= MOST {
        return Ok(());
    }
    Err(BenchError::Size { what: "the batch", found: batch.to_string(), wanted: format!("at most {MOST}") })
}

//! What every kind of run is given.

use burn::tensor::Device;
use std::path::Path;

/// What to train, and where.
#[derive(Debug)]
pub struct RunOptions<'a, R> {
    /// The recipe.
    pub recipe: &'a R,
    /// The run's folder.
    pub run_dir: &'a Path,
    /// Whether to continue the run in that folder.
    pub resume: bool,
    /// The device.
    pub device: &'a Device,
}

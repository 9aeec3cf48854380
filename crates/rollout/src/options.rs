//! What every kind of run is given.

use crate::kit::Kit;
use burn::tensor::Device;
use std::path::Path;

/// What to work on, and where.
#[derive(Debug)]
pub struct RunOptions<'a, R> {
    /// The recipe.
    pub recipe: &'a R,
    /// The run's folder.
    pub run_dir: &'a Path,
    /// Whether to continue the run in that folder.
    pub resume: bool,
    /// What the recipe may name.
    pub kit: &'a Kit,
    /// The device.
    pub device: &'a Device,
}

impl<R> Clone for RunOptions<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for RunOptions<'_, R> {}

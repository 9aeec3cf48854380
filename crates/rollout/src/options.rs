//! What every kind of run is given.

use crate::kit::Kit;
use burn::tensor::Device;
use std::path::Path;
use vigos_ranks::{Alone, Ranks};

/// What to work on, and where.
#[derive(Debug)]
pub struct RunOptions<'a, R> {
    /// The recipe.
    pub recipe: &'a R,
    /// The run's folder.
    pub run_dir: &'a Path,
    /// Whether to continue the run in that folder, and from where.
    pub start: Start,
    /// What was set over the recipe's file, each `key=value`: kept in the folder for [`RunFolder::overrides`].
    ///
    /// [`RunFolder::overrides`]: crate::run_folder::RunFolder::overrides
    pub overrides: &'a [String],
    /// What the recipe may name.
    pub kit: &'a Kit,
    /// The device.
    pub device: &'a Device,
    /// Bytes that the run may take, where that is known: a sample that takes more by itself is left out.
    pub memory: Option<u64>,
    /// Those that the run is shared with. They all have the same recipe, data and folder.
    pub ranks: &'a dyn Ranks,
}

impl<'a, R> RunOptions<'a, R> {
    /// A new run in `run_dir`, by one rank, with nothing known of the memory.
    pub fn new(recipe: &'a R, run_dir: &'a Path, kit: &'a Kit, device: &'a Device) -> Self {
        Self { recipe, run_dir, start: Start::Anew, overrides: &[], kit, device, memory: None, ranks: &Alone }
    }

    /// The same, going on with the run in the folder if `resume` says so.
    #[must_use]
    pub fn resumed(self, resume: bool) -> Self {
        Self { start: if resume { Start::Resumed } else { Start::Anew }, ..self }
    }
}

/// Where a run starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// In a folder that has none yet.
    #[default]
    Anew,
    /// Where the last run in the folder was saved.
    Resumed,
    /// At the checkpoint of this step of the run in the folder. Those after it are put aside.
    ResumedAt(usize),
}

impl Start {
    /// Whether it goes on with a run.
    pub fn resumes(self) -> bool {
        self != Self::Anew
    }
}

impl<R> Clone for RunOptions<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for RunOptions<'_, R> {}

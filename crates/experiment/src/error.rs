//! What can stop an experiment.

use std::path::PathBuf;
use vigos_core::files::FileError;
use vigos_core::jsonl::JsonLinesError;
use vigos_recipe::RecipeError;
use vigos_rollout::RunError;
use vigos_rollout::run_folder::FolderError;

/// Why an experiment cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// The configuration or a recipe is wrong, or a run failed.
    #[error(transparent)]
    Train(Box<RunError>),
    /// What one of the runs asks for cannot be had.
    #[error("{run}: {error}")]
    Run {
        /// Its method, and its value in a sweep.
        run: String,
        /// What is wrong.
        error: Box<RunError>,
    },
    /// A run's folder holds something else than what is wanted now.
    #[error("{}: {message}; remove the folder, or name another in `runs`", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What differs.
        message: String,
    },
    /// A file that a run wrote cannot be read back.
    #[error("{}: found {found}, wanted what the run wrote; remove the run's folder to have it done again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// There is nothing to report.
    #[error("{}: none of the {total} runs is done, so there is nothing to report; leave out --report-only", path.display())]
    Nothing {
        /// The folder of the runs.
        path: PathBuf,
        /// Runs of the experiment.
        total: usize,
    },
    /// A plot cannot be drawn.
    #[error("{file}: cannot be drawn: {reason}")]
    Drawing {
        /// The picture.
        file: String,
        /// What the library said.
        reason: String,
    },
}

impl ExperimentError {
    /// Whether the user's input is at fault, rather than the machine.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Train(error) | Self::Run { error, .. } => error.is_input(),
            Self::Folder { .. } | Self::Damaged { .. } | Self::Nothing { .. } => true,
            Self::Drawing { .. } => false,
        }
    }
}

impl From<RunError> for ExperimentError {
    fn from(error: RunError) -> Self {
        match error {
            // Its own hint is that of a single run.
            RunError::Folder(FolderError::Taken { path, message, .. }) => Self::Folder { path, message },
            error => Self::Train(Box::new(error)),
        }
    }
}

impl From<RecipeError> for ExperimentError {
    fn from(error: RecipeError) -> Self {
        RunError::from(error).into()
    }
}

impl From<FileError> for ExperimentError {
    fn from(error: FileError) -> Self {
        RunError::from(error).into()
    }
}

impl From<JsonLinesError> for ExperimentError {
    fn from(error: JsonLinesError) -> Self {
        RunError::from(error).into()
    }
}

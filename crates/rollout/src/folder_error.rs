//! Why a folder cannot be a run's.

use std::path::{Path, PathBuf};
use vigos_core::files::FileError;
use vigos_core::lock::LockError;
use vigos_recipe::RecipeError;

/// Why a folder cannot be a run's.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It is taken, or is not the run that is resumed.
    #[error("{}: {message}; {hint}", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
        /// What to do.
        hint: String,
    },
    /// The recipe in it is wrong, or the one to be written is.
    #[error(transparent)]
    Recipe(Box<RecipeError>),
    /// Another process writes to it, or its lock could not be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file in it could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl From<RecipeError> for FolderError {
    fn from(error: RecipeError) -> Self {
        Self::Recipe(Box::new(error))
    }
}

impl FolderError {
    /// That a folder is taken, or is not the run that is resumed, or has not what that needs.
    pub fn taken(path: &Path, message: String, hint: &str) -> Self {
        Self::Taken { path: path.to_owned(), message, hint: hint.to_owned() }
    }
}

//! Why runs cannot be compared.

use std::path::PathBuf;
use vigos_core::files::FileError;
use vigos_core::jsonl::JsonLinesError;

/// Why runs cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A folder has nothing of a run.
    #[error("{}: {message}", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        message: &'static str,
    },
    /// A recipe cannot be read.
    #[error("{}: {message}", path.display())]
    Recipe {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line cannot be read.
    #[error(transparent)]
    Lines(#[from] JsonLinesError),
}

impl CompareError {
    /// Whether the user's input is at fault, rather than the machine.
    pub fn is_input(&self) -> bool {
        match self {
            Self::NoRun { .. } | Self::Recipe { .. } => true,
            Self::File(error) => error.is_input(),
            Self::Lines(error) => error.is_input(),
        }
    }
}

//! Why there is no page.

use std::path::PathBuf;
use vigos_core::files::FileError;

/// Why a page cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A folder has nothing of a run in it.
    #[error(
        "{}: {message}; wanted a folder that `vigos train`, `sft`, `eval` or `palr` wrote",
        path.display()
    )]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// What was found.
        message: String,
    },
    /// More runs than a page can show.
    #[error("found {found} runs, wanted at most {most} on one page; leave some out")]
    TooMany {
        /// Runs.
        found: usize,
        /// The most.
        most: usize,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The page's template, which is part of this program, failed.
    #[error("the page cannot be made: {0}")]
    Template(String),
}

impl ReportError {
    /// Whether the user's input is at fault, rather than the machine.
    pub fn is_input(&self) -> bool {
        match self {
            Self::NoRun { .. } | Self::TooMany { .. } => true,
            Self::File(error) => error.is_input(),
            Self::Template(_) => false,
        }
    }
}

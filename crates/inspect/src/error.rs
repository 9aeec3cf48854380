//! Why a data set cannot be looked at or written anew.

use std::path::PathBuf;

use thiserror::Error;
use vigos_core::files::FileError;
use vigos_data::{BadRow, DatasetError};

/// Why a data set cannot be looked at or written anew.
#[derive(Debug, Error)]
pub enum InspectError {
    /// What the data set says.
    #[error(transparent)]
    Data(#[from] DatasetError),
    /// A file that could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A row that cannot be used, where none may be left out.
    #[error("{} (id `{}`): {}; mend the row, or leave some out by --max-bad-share", _0.origin, _0.id, _0.reason)]
    Row(BadRow),
    /// More rows cannot be used than may be left out.
    #[error("{bad} of {rows} rows cannot be used, more than --max-bad-share {share} allows")]
    BadRows {
        /// Rows that cannot be used.
        bad: usize,
        /// All rows.
        rows: usize,
        /// What is allowed.
        share: f64,
    },
    /// A place to write to that is none.
    #[error("{}: found {found}, wanted {wanted}", path.display())]
    Out {
        /// What was named.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What would do.
        wanted: &'static str,
    },
    /// It was stopped before all was written.
    #[error("stopped before all rows were written; nothing is left of them")]
    Stopped,
    /// What cannot be written as a table.
    #[error("{}: cannot be written: {reason}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What the writer says.
        reason: String,
    },
}

impl InspectError {
    /// Whether the user's input is at fault, rather than the machine or the network.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Data(error) => error.is_input(),
            Self::File(error) => error.is_input(),
            Self::Row(_) | Self::BadRows { .. } | Self::Out { .. } => true,
            Self::Stopped | Self::Table { .. } => false,
        }
    }
}

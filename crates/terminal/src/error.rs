//! What keeps a command from saying what it has to say, or from hearing when to end.

use std::io;
use vigos_core::jsonl::JsonLinesError;

/// An error of the terminal, or of what is in its place.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// A result could not be written.
    #[error("stdout: cannot be written: {0}")]
    Stdout(io::Error),
    /// A result is no JSON.
    #[error("the result has no JSON form: {0}")]
    Json(serde_json::Error),
    /// A line could not be written to a file.
    #[error(transparent)]
    Lines(#[from] JsonLinesError),
    /// The system does not let signals be heard.
    #[error("signals cannot be heard: {0}")]
    Signals(io::Error),
    /// The work was cut short, which was said already; what was done is saved.
    #[error("stopped")]
    Stopped {
        /// What the process ends with.
        code: u8,
    },
}

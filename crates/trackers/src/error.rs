//! Why metrics were not sent.

use vigos_core::files::FileError;

/// Why metrics were not sent. A run goes on without them.
#[derive(Debug, thiserror::Error)]
pub enum TrackError {
    /// No server is named.
    #[error(
        "log.trackers: found {found}, wanted the address of a server in MLFLOW_TRACKING_URI, such as \
         http://127.0.0.1:5000; `mlflow server` starts one"
    )]
    NoServer {
        /// What the variable is.
        found: String,
    },
    /// The server cannot be reached, or did not answer in time.
    #[error("{url}: {reason}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// Why.
        reason: String,
    },
    /// The server refused.
    #[error("{url}: answered {status}: {message}")]
    Refused {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
        /// The server's words.
        message: String,
    },
    /// The server said something else than its documentation.
    #[error("{url}: the answer has no `{wanted}`; is it an MLflow server?")]
    Answer {
        /// What was asked.
        url: String,
        /// What is missing.
        wanted: &'static str,
    },
    /// A file of the run could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

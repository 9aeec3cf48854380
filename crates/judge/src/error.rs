//! Why an answer was not judged.

use std::path::PathBuf;

use vigos_core::files::FileError;

/// Why an answer was not judged.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// A setting is wrong.
    #[error("eval.judge.{key}: found {found}, wanted {wanted}")]
    Setting {
        /// The key, without its section.
        key: &'static str,
        /// What it says.
        found: String,
        /// What would do.
        wanted: &'static str,
    },
    /// A prompt template lacks a place.
    #[error(
        "{file}: found no `{place}`, wanted the places {{problem}}, {{reference}} and {{answer}} in a judge's prompt"
    )]
    Template {
        /// The file.
        file: String,
        /// The place that is missing.
        place: &'static str,
    },
    /// The server refuses, and would again.
    #[error("{url}: the judge's server answered {status}: {message}{hint}")]
    Refused {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
        /// The server's words.
        message: String,
        /// What to look at.
        hint: String,
    },
    /// The server did not answer, or not as it should, however often it was asked.
    #[error(
        "{url}: {reason}; asked {attempts} times. Verdicts so far are kept: go on with --resume when the judge's server is \
         there again"
    )]
    GaveUp {
        /// What was asked.
        url: String,
        /// What was wrong the last time.
        reason: String,
        /// How often.
        attempts: usize,
    },
    /// As much was asked as may be.
    #[error(
        "the judge's limit is reached: {found}, where eval.judge.{key} = {limit}. Verdicts so far are kept: raise it and go on \
         with --resume"
    )]
    Limit {
        /// The key of the limit, without its section.
        key: &'static str,
        /// What was taken.
        found: String,
        /// The limit.
        limit: String,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A verdict that was kept is not one.
    #[error("{}: found no verdict of a judge ({reason}); remove the file", path.display())]
    Kept {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl JudgeError {
    /// Whether the user's input is at fault, rather than the machine or the server.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Setting { .. } | Self::Template { .. } | Self::Kept { .. } => true,
            Self::File(error) => error.is_input(),
            Self::Refused { .. } | Self::GaveUp { .. } | Self::Limit { .. } => false,
        }
    }
}

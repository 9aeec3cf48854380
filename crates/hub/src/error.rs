//! Why something on the hub could not be had.

use std::path::PathBuf;

use thiserror::Error;
use vigos_core::files::FileError;

/// An error of the hub or its cache.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HubError {
    /// A name that names nothing on the hub.
    #[error("found `{found}`, wanted {wanted}")]
    Reference {
        /// The name.
        found: String,
        /// The form of names.
        wanted: &'static str,
    },
    /// Nothing is at a path that would be a name on the hub.
    #[error("there is no such folder as {name}; if it is on the hub, name it `{hint}`")]
    BareName {
        /// As it was written.
        name: String,
        /// As it would be found.
        hint: String,
    },
    /// A setting of the environment is wrong.
    #[error("{variable}: found `{found}`, wanted {wanted}")]
    Setting {
        /// The variable.
        variable: &'static str,
        /// What it says.
        found: String,
        /// What it may say.
        wanted: &'static str,
    },
    /// The hub does not know it.
    #[error("{what} is not on the hub at {endpoint}; check the name, and what follows the @")]
    NotFound {
        /// The model, data set or file.
        what: String,
        /// The hub asked.
        endpoint: String,
    },
    /// The hub does not give it to everybody.
    #[error("{what}: the hub answers {status}: it does not exist or is not open to you; {hint}")]
    Unauthorised {
        /// The model, data set or file.
        what: String,
        /// 401 or 403.
        status: u16,
        /// What to do.
        hint: &'static str,
    },
    /// It may not be fetched, and is not in the cache, or not whole.
    #[error(
        "{what}: {missing} is not in the cache {}, and HF_HUB_OFFLINE is set; fetch it once with network, or name a \
         local folder", cache.display()
    )]
    NotCached {
        /// The model or data set.
        what: String,
        /// What is missing.
        missing: String,
        /// The cache.
        cache: PathBuf,
    },
    /// A data set has no Parquet files of the split.
    #[error("{dataset}: there is no split `{wanted}` of Parquet files; found {}", listed(found))]
    Split {
        /// The data set.
        dataset: String,
        /// The split.
        wanted: String,
        /// The splits that there are.
        found: Vec<String>,
    },
    /// A split's files are in several folders, which are data sets of their own.
    #[error(
        "{dataset}: the split is in several folders ({}); name the one that is meant, as hf:ORG/NAME@FOLDER/SPLIT, or all with * for FOLDER",
        folders.join(", ")
    )]
    SeveralFolders {
        /// The data set.
        dataset: String,
        /// The folders.
        folders: Vec<String>,
    },
    /// A file is missing without which the model or split is not whole.
    #[error(
        "{what} has no {missing}; wanted a model with weights as safetensors, a PEFT adapter, or all files of a split"
    )]
    Incomplete {
        /// The model or data set.
        what: String,
        /// What is missing.
        missing: String,
    },
    /// It is something else than it was named as.
    #[error("{what} is {found}; {hint}")]
    Mistaken {
        /// The repository.
        what: String,
        /// What it is.
        found: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// It has weights in a format that is not read, and no others.
    #[error("{file}: {advice}")]
    Format {
        /// The repository and the file.
        file: String,
        /// What to do.
        advice: &'static str,
    },
    /// There is no connection to the hub.
    #[error("{url}: {reason}; check the network and HF_ENDPOINT, or name a local folder")]
    Connection {
        /// What was asked for.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// Nothing came for too long.
    #[error("{url}: nothing came for {seconds} seconds; try again: what has come is kept")]
    Timeout {
        /// What was asked for.
        url: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The hub has trouble of its own.
    #[error("{url}: the hub answers {status}; try again later")]
    Status {
        /// What was asked for.
        url: String,
        /// The status code.
        status: u16,
    },
    /// The hub's answer is not what its interface promises.
    #[error("{url}: {reason}; check HF_ENDPOINT")]
    Answer {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file ends too early, time and again.
    #[error("{file} ends after {found} of {wanted} bytes; try again: what has come is kept")]
    Truncated {
        /// The file.
        file: String,
        /// Bytes that came.
        found: u64,
        /// Bytes that it has.
        wanted: u64,
    },
    /// A file's content is not what its name in the hub's store says.
    #[error("{file} came damaged: its SHA-256 is {found}, the hub says {wanted}; it was removed, try again")]
    Damaged {
        /// The file.
        file: String,
        /// Hash of what came.
        found: String,
        /// Hash that the hub tells.
        wanted: String,
    },
    /// Something is to be sent and there is no token.
    #[error("{what}: nothing can be sent without a token; set HF_TOKEN to one that may write there")]
    NoToken {
        /// Where it was to go.
        what: String,
    },
    /// The hub does not take what it is sent.
    #[error(
        "{what}: the hub answers {status} and does not take it{}; nothing of it is seen on the hub",
        said(message)
    )]
    Refused {
        /// Where it was to go.
        what: String,
        /// The status code.
        status: u16,
        /// What the hub says of it, if anything.
        message: String,
    },
    /// A folder has nothing to send, or a file of it cannot be sent.
    #[error("{}: {reason}", path.display())]
    Parcel {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of the cache could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl HubError {
    /// Whether it may pass when the same is tried again.
    pub(crate) fn passes(&self) -> bool {
        matches!(
            self,
            Self::Connection { .. }
                | Self::Timeout { .. }
                | Self::Status { status: 408 | 409 | 429 | 500..=599, .. }
        )
    }

    /// Whether the user's input is at fault, rather than the network, the hub or the machine.
    pub fn is_input(&self) -> bool {
        !matches!(
            self,
            Self::Connection { .. }
                | Self::Timeout { .. }
                | Self::Status { .. }
                | Self::Truncated { .. }
                | Self::Damaged { .. }
                | Self::File(_)
        )
    }
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none at all".to_owned() } else { names.join(", ") }
}

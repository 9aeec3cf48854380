//! Reading the small files of a model's folder, each with a bound on its size.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Why a file of the model's folder could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file is missing, or the system refuses to read it.
    #[error("cannot read {path}: {source}; is this a model's folder, and complete?")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is longer than any honest file of its kind.
    #[error("{path} is over {limit} bytes, the most that a file of this kind may have")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its bound, in bytes.
        limit: u64,
    },
    /// The file is not JSON, or its JSON does not have the wanted form.
    #[error("{path} cannot be understood: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// The file is not UTF-8 text.
    #[error("{path} is not UTF-8 text")]
    NotText {
        /// The file.
        path: PathBuf,
    },
}

/// The bytes of the file at `path`, if it has no more than `limit`.
pub(crate) fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    // One byte more than allowed tells "too long" from "just fits", whatever the file's metadata claim.
    File::open(path)
        .map_err(failed)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(FileError::TooLong { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

/// The text of the file at `path`, if it has no more than `limit` bytes.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String, FileError> {
    String::from_utf8(read_bytes(path, limit)?).map_err(|_| FileError::NotText { path: path.to_owned() })
}

/// The JSON of the file at `path`, if it has no more than `limit` bytes.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path, limit: u64) -> Result<T, FileError> {
    let bytes = read_bytes(path, limit)?;
    serde_json::from_slice(&bytes).map_err(|source| FileError::Json { path: path.to_owned(), source })
}

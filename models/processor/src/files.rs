//! Reading the small files of a model's folder, each with a bound on its size.

use std::io::Read;
use std::path::{Path, PathBuf};
use vigos_core::{files, json};

use serde_json::Value;
use vigos_core::keys::KeyError;
use vigos_core::pointer::{self, is_pointer};
use vigos_core::text::one_line;

/// Why a file of the model's folder could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file is missing, or the system refuses to read it.
    #[error("cannot read {path}: {source}")]
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
    /// What git keeps in the place of a large file.
    #[error("{path} is a Git LFS pointer in the file's place: {}", pointer::ADVICE)]
    Pointer {
        /// The file.
        path: PathBuf,
    },
    /// The file is not JSON.
    #[error("{path} cannot be understood: {reason}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        reason: String,
    },
    /// A value of the file's JSON is not of the wanted form or out of its range.
    #[error("{path}:{key}: found {found}, wanted {wanted}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key, with those that it stands under.
        key: String,
        /// What stands there.
        found: String,
        /// What may.
        wanted: String,
    },
    /// The file is not UTF-8 text.
    #[error("{path} is not UTF-8 text")]
    NotText {
        /// The file.
        path: PathBuf,
    },
}

impl From<KeyError> for FileError {
    fn from(KeyError { path, key, found, wanted }: KeyError) -> Self {
        Self::Value { path, key, found, wanted }
    }
}

/// The bytes of the file at `path`, if it has no more than `limit`.
pub(crate) fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    // One byte more than allowed tells "too long" from "just fits", whatever the file's metadata claim.
    files::open(path)
        .map_err(failed)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(FileError::TooLong { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

/// The same of a file of the model, in whose place may be a pointer to it.
pub(crate) fn read_own(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let bytes = read_bytes(path, limit)?;
    match is_pointer(&bytes) {
        true => Err(FileError::Pointer { path: path.to_owned() }),
        // Some editors write a byte order mark before a text.
        false => Ok(bytes.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(bytes)),
    }
}

/// The text of the file at `path`, if it has no more than `limit` bytes.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String, FileError> {
    String::from_utf8(read_own(path, limit)?).map_err(|_| FileError::NotText { path: path.to_owned() })
}

/// The JSON of the file at `path`, if it has no more than `limit` bytes.
pub(crate) fn read_json(path: &Path, limit: u64) -> Result<Value, FileError> {
    parse_json(path, &read_own(path, limit)?)
}

/// The JSON object in `bytes`, which are those of the file at `path`.
pub(crate) fn parse_json(path: &Path, bytes: &[u8]) -> Result<Value, FileError> {
    let fault =
        |reason: String| FileError::Json { path: path.to_owned(), reason: one_line(&reason, 200).into() };
    let value: Value = json::parse(bytes).map_err(fault)?;
    match value {
        Value::Object(_) => Ok(value),
        other => Err(KeyError::new(path, "(whole file)", &other, "a JSON object").into()),
    }
}

/// The JSON of the file at `path`, where there is one.
pub(crate) fn read_optional_json(path: &Path, limit: u64) -> Result<Option<Value>, FileError> {
    // A link that leads nowhere, as of half a download, is a file that should be there.
    let there = path.exists() || path.is_symlink();
    if there { read_json(path, limit).map(Some) } else { Ok(None) }
}

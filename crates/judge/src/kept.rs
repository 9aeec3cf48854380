//! Verdicts in a folder, each in a file named by the hash of what was asked.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use vigos_core::files::{FileError, read_limited, write_atomic_bytes};

use crate::bill::Bill;
use crate::error::JudgeError;

/// Most bytes of a verdict's file.
const LARGEST: u64 = 1 << 16;
/// What a verdict's file ends with.
const ENDING: &str = "json";

/// A verdict as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// From 0 to 1.
    pub(crate) score: f64,
    /// What the model said.
    pub(crate) said: String,
    /// Requests that it took.
    pub(crate) calls: u64,
    /// Tokens that the model read.
    pub(crate) read: u64,
    /// Tokens that it wrote.
    pub(crate) written: u64,
}

/// The folder.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    folder: PathBuf,
}

impl Kept {
    /// The folder, made when there is something to keep, and what the verdicts in it took.
    pub(crate) fn open(folder: &Path) -> Result<(Self, Bill), JudgeError> {
        let (kept, mut bill) = (Self { folder: folder.to_owned() }, Bill::default());
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((kept, bill)),
            entries => entries.map_err(|error| FileError::io("read", folder, error))?,
        };
        for entry in entries {
            let path = entry.map_err(|error| FileError::io("read", folder, error))?.path();
            if path.extension().is_some_and(|ending| ending == ENDING) {
                let Entry { calls, read, written, .. } = load(&path)?;
                bill.calls = bill.calls.saturating_add(calls);
                bill.read = bill.read.saturating_add(read);
                bill.written = bill.written.saturating_add(written);
            }
        }
        Ok((kept, bill))
    }

    /// The verdict on what was asked, if it is there.
    pub(crate) fn find(&self, key: &str) -> Result<Option<Entry>, JudgeError> {
        let path = self.path(key);
        if path.exists() { load(&path).map(Some) } else { Ok(None) }
    }

    /// Keeps a verdict.
    pub(crate) fn keep(&self, key: &str, entry: &Entry) -> Result<(), JudgeError> {
        let folder = &self.folder;
        fs::create_dir_all(folder).map_err(|error| FileError::io("create", folder, error))?;
        let bytes = serde_json::to_vec(entry).unwrap_or_default();
        Ok(write_atomic_bytes(&self.path(key), &bytes)?)
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(key).with_extension(ENDING)
    }
}

/// The name of what is asked: a hash over the model and the prompt.
pub(crate) fn key(model: &str, prompt: &str) -> String {
    let mut hash = Sha256::new();
    // The length keeps apart what is the model's name and what the prompt.
    hash.update((model.len() as u64).to_le_bytes());
    hash.update(model.as_bytes());
    hash.update(prompt.as_bytes());
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn load(path: &Path) -> Result<Entry, JudgeError> {
    let bytes = read_limited(path, LARGEST)?;
    let fault = |reason: String| JudgeError::Kept { path: path.to_owned(), reason };
    let entry: Entry = serde_json::from_slice(&bytes).map_err(|error| fault(error.to_string()))?;
    match (0.0..=1.0).contains(&entry.score) {
        true => Ok(entry),
        false => Err(fault(format!("a score of {}", entry.score))),
    }
}

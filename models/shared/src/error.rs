//! What can be wrong with a model folder, an adapter folder or a prompt.

use std::path::PathBuf;

/// An error of this crate; every message says where, what was found and what was wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("{}: cannot be written: {message}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// What git keeps in the place of a large file.
    #[error("{} is a Git LFS pointer in the file's place: {}", path.display(), vigos_core::pointer::ADVICE)]
    Pointer {
        /// The file.
        path: PathBuf,
    },
    /// A number is not finite.
    #[error("{}: tensor `{tensor}` is not finite: {found}", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What is there, and what it may come from.
        found: String,
    },
    /// A key of a JSON file is missing or has an impossible value.
    #[error("{}:{key}: found {found}, wanted {wanted}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What stands there.
        found: String,
        /// What should.
        wanted: String,
    },
    /// A safetensors file is damaged.
    #[error("{}: {message}", path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The tensors of a checkpoint are not those of the model; all of them in one message.
    #[error("{}: the tensors are not those of the model: {}", path.display(), shown(faults))]
    Tensors {
        /// The folder.
        path: PathBuf,
        /// What is wrong with each missing, unexpected or wrongly shaped tensor; a message shows the first of them.
        faults: Vec<String>,
    },
    /// A prompt does not fit the model.
    #[error("{0}")]
    Prompt(String),
    /// The device failed.
    #[error("{0}")]
    Device(String),
}

/// Faults that a message shows.
const SHOWN: usize = 4;

fn shown(faults: &[String]) -> String {
    let mut text = faults.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
    if let Some(more) = faults.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        text += &format!("; and {more} more");
    }
    text
}

impl ModelError {
    /// Whether the user's input is at fault, rather than the machine.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Write { .. } | Self::Device(_))
    }
}

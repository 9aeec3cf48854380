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
    #[error("{}: the tensors are not those of the model:\n{}", path.display(), faults.join("\n"))]
    Tensors {
        /// The folder.
        path: PathBuf,
        /// A line for each missing, unexpected or wrongly shaped tensor.
        faults: Vec<String>,
    },
    /// A prompt does not fit the model.
    #[error("{0}")]
    Prompt(String),
    /// The device failed.
    #[error("{0}")]
    Device(String),
}

impl ModelError {
    /// Whether the user's input is at fault, rather than the machine.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Write { .. } | Self::Device(_))
    }
}

//! What can be wrong with a model folder, an adapter folder or a prompt.

use std::path::PathBuf;
use vigos_core::keys::KeyError;
use vigos_core::text::one_line;
use vigos_devices::DeviceError;

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
    /// A file or folder is something else than it was named as.
    #[error("{} is {found}; {hint}", path.display())]
    Mistaken {
        /// The file or folder.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What to name instead.
        hint: String,
    },
    /// A folder for a new model holds something.
    #[error("{}: {found}; name an empty or a new folder", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// Weights are quantised: what is trained and merged here are numbers.
    #[error(
        "{}: found {found}, wanted one that is not: name the unquantised weights that it was made from, in bf16, f16 or \
         f32", path.display()
    )]
    Quantised {
        /// The file.
        path: PathBuf,
        /// What says so.
        found: String,
    },
    /// The device does not compute in the number format that weights are to be kept in.
    #[error(
        "the device {device} has no {format}: wanted f32 for weights and activations (train.precision, or --precision)"
    )]
    Format {
        /// The device.
        device: String,
        /// The format.
        format: String,
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
    /// The tensors of a checkpoint are not those of the model; all of them in one error.
    #[error("{}: the tensors are not those of the model: {}", path.display(), shown(faults))]
    Tensors {
        /// The folder.
        path: PathBuf,
        /// What is wrong with each missing, unexpected or wrongly shaped tensor; a message shows some of them.
        faults: Vec<String>,
    },
    /// A prompt does not fit the model.
    #[error("{0}")]
    Prompt(String),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Faults that a message shows of those at the beginning of a list, and of those at its end: what is missing comes
/// first, and what is unexpected last.
const SHOWN: usize = 3;
/// Characters of one of them.
const LONGEST: usize = 200;

fn shown(faults: &[String]) -> String {
    let text = |faults: &[String]| {
        faults.iter().map(|fault| one_line(fault, LONGEST)).collect::<Vec<_>>().join("; ")
    };
    match faults.len().checked_sub(2 * SHOWN) {
        None | Some(0) => text(faults),
        Some(more) => {
            let (first, last) = (&faults[..SHOWN], &faults[faults.len() - SHOWN..]);
            format!("{}; {more} more; {}", text(first), text(last))
        }
    }
}

impl From<KeyError> for ModelError {
    fn from(KeyError { path, key, found, wanted }: KeyError) -> Self {
        Self::Config { path, key, found, wanted }
    }
}

impl ModelError {
    /// Whether the user's input is at fault, rather than the machine.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Write { .. } | Self::Device(_))
    }

    /// Whether the device was out of memory.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Device(error) if error.is_out_of_memory())
    }
}

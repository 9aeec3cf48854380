//! What can be wrong with a world's configuration, or go wrong while it is written.

use vigos_core::files::FileError;
use vigos_recipe::RecipeError;

/// Why a world cannot be made or written.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// A configuration that cannot be used.
    #[error(transparent)]
    Config(Box<RecipeError>),
    /// The folder holds a world already.
    #[error("{folder}: there is a world already; name an empty or a new folder")]
    Taken {
        /// The folder.
        folder: String,
    },
    /// A prompt could not be rendered.
    #[error("{0}")]
    Prompt(String),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A picture or a table could not be encoded.
    #[error("{file}: cannot be encoded: {reason}")]
    Encode {
        /// The file.
        file: String,
        /// What the encoder said.
        reason: String,
    },
}

impl From<RecipeError> for WorldError {
    fn from(error: RecipeError) -> Self {
        Self::Config(Box::new(error))
    }
}

impl WorldError {
    /// Whether the user's input is at fault, rather than the machine.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Config(_) | Self::Taken { .. } | Self::Prompt(_) => true,
            Self::File(FileError::Io { action, .. }) => *action == "read",
            Self::File(_) => true,
            Self::Encode { .. } => false,
        }
    }
}

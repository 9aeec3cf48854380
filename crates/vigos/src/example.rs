//! The first job, which is part of this program: a recipe, its prompts and the small model that it starts from. With it an
//! installed command runs the whole method without a checkout and without a network.

use std::path::{Path, PathBuf};
use vigos_core::files::{FileError, write_atomic_bytes};

/// The recipe's place in the folder.
pub const RECIPE: &str = "configs/shapes.toml";

/// A file of the repository.
macro_rules! embedded {
    ($path:literal) => {
        ($path, include_bytes!(concat!("../../../", $path)).as_slice())
    };
}

/// Files by their places, which are those of the repository.
const FILES: &[(&str, &[u8])] = &[
    embedded!("configs/shapes.toml"),
    embedded!("configs/prompts/shapes/perception.txt"),
    embedded!("configs/prompts/shapes/plain.txt"),
    embedded!("configs/prompts/shapes/plain_reference.txt"),
    embedded!("configs/prompts/shapes/reasoning.txt"),
    embedded!("configs/prompts/shapes/reference.txt"),
    embedded!("configs/prompts/shapes/student.txt"),
    embedded!("assets/shapes-qwen2_5-vl/README.md"),
    embedded!("assets/shapes-qwen2_5-vl/chat_template.jinja"),
    embedded!("assets/shapes-qwen2_5-vl/config.json"),
    embedded!("assets/shapes-qwen2_5-vl/generation_config.json"),
    embedded!("assets/shapes-qwen2_5-vl/model.safetensors"),
    embedded!("assets/shapes-qwen2_5-vl/preprocessor_config.json"),
    embedded!("assets/shapes-qwen2_5-vl/tokenizer.json"),
    embedded!("assets/shapes-qwen2_5-vl/tokenizer_config.json"),
    // Named by the recipe's first line, for editors.
    embedded!("docs/schema/train.json"),
];

/// Why the job was not written.
#[derive(Debug, thiserror::Error)]
pub enum ExampleError {
    /// There is something already.
    #[error("{}: found something in it, wanted a folder that is new or empty; --out names another one", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
    },
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl ExampleError {
    /// Whether the user's input is at fault, rather than the machine.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Taken { .. } => true,
            Self::File(error) => error.is_input(),
        }
    }
}

/// Writes the job into a folder that is new or empty: from inside of it `vigos train` [`RECIPE`] runs.
///
/// # Errors
/// If there is something in the folder, or it cannot be written.
pub fn write(folder: &Path) -> Result<(), ExampleError> {
    if folder.exists() && std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(ExampleError::Taken { path: folder.to_owned() });
    }
    for (place, bytes) in FILES {
        let path = folder.join(place);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(|error| FileError::io("create", parent, error))?;
        write_atomic_bytes(&path, bytes)?;
    }
    Ok(())
}

//! The files of the tiny models and of what was recorded of them.

use std::path::Path;
use tempfile::TempDir;
use vigos_core::files::FileError;

/// A file of the repository.
macro_rules! recorded {
    ($path:expr) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../", $path)).as_slice()
    };
}

/// What is recorded of a family. `$model` is the folder of its tiny model, `$name` how recordings call it.
macro_rules! family {
    ($name:literal, $model:literal) => {
        Family {
            name: $name,
            files: &[
                ("model/config.json", recorded!(concat!($model, "/config.json"))),
                ("model/model.safetensors", recorded!(concat!($model, "/model.safetensors"))),
                ("model/tokenizer.json", recorded!(concat!($model, "/tokenizer.json"))),
                ("model/tokenizer_config.json", recorded!(concat!($model, "/tokenizer_config.json"))),
                ("model/chat_template.jinja", recorded!(concat!($model, "/chat_template.jinja"))),
                ("model/preprocessor_config.json", recorded!(concat!($model, "/preprocessor_config.json"))),
                ("model/generation_config.json", recorded!(concat!($model, "/generation_config.json"))),
                (
                    "adapter/adapter_config.json",
                    recorded!(concat!("tests/fixtures/method-", $name, "/adapter_init/adapter_config.json")),
                ),
                (
                    "adapter/adapter_model.safetensors",
                    recorded!(concat!(
                        "tests/fixtures/method-",
                        $name,
                        "/adapter_init/adapter_model.safetensors"
                    )),
                ),
                ("images/large.png", recorded!("tests/fixtures/images/large.png")),
                ("images/tall.png", recorded!("tests/fixtures/images/tall.png")),
                ("images/wide.png", recorded!("tests/fixtures/images/wide.png")),
            ],
            result: recorded!(concat!("tests/fixtures/method-", $name, "/result.json")),
            gradient: recorded!(concat!("tests/fixtures/method-", $name, "/grads.paper.clip0.5.safetensors")),
            prompts: recorded!(concat!("tests/fixtures/forward-", $name, "/meta.json")),
            completion: recorded!(concat!("tests/fixtures/forward-", $name, "/row0.safetensors")),
        }
    };
}

/// A family with its recordings.
pub(super) struct Family {
    /// As the recordings call it.
    pub(super) name: &'static str,
    files: &'static [(&'static str, &'static [u8])],
    /// The step: rows, losses, divergences. JSON
    pub(super) result: &'static [u8],
    /// Its gradients, in safetensors.
    pub(super) gradient: &'static [u8],
    /// The prompts that were completed. JSON
    pub(super) prompts: &'static [u8],
    /// The first one's completion, in safetensors.
    pub(super) completion: &'static [u8],
}

pub(super) const FAMILIES: [Family; 2] =
    [family!("qwen2_5-vl", "assets/tiny-qwen2_5-vl"), family!("qwen3-vl", "tests/fixtures/tiny-qwen3-vl")];

impl Family {
    /// The files, in a folder that goes with what is returned.
    ///
    /// # Errors
    /// If the system has no room for them.
    pub(super) fn unpacked(&self) -> Result<TempDir, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        self.unpack(folder.path()).map_err(|error| error.to_string())?;
        Ok(folder)
    }

    fn unpack(&self, folder: &Path) -> Result<(), FileError> {
        for (place, bytes) in self.files {
            let path = folder.join(place);
            let parent = vigos_core::files::folder_of(&path);
            std::fs::create_dir_all(parent).map_err(|error| FileError::io("create", parent, error))?;
            std::fs::write(&path, bytes).map_err(|error| FileError::io("write", &path, error))?;
        }
        Ok(())
    }
}

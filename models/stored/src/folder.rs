//! A model folder in Hugging Face layout: the files that it is made of.

use crate::error::ModelError;
use std::collections::HashMap;
use std::path::Path;

/// The configuration.
pub const CONFIG: &str = "config.json";
/// The weights, where one file has them all.
pub const WEIGHTS: &str = "model.safetensors";
/// What lies in which shard, where several have them.
pub const INDEX: &str = "model.safetensors.index.json";
/// The configuration of an adapter.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";
/// Its tensors.
pub const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";
/// Files of a folder that are looked at, where their number is a stranger's.
const MOST_FILES: usize = 10_000;

/// The small files that make a folder a model: everything beside the configuration but weights and itself.
const SIDE_FILES: &[&str] = &[
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "merges.txt",
    "preprocessor_config.json",
    "processor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "video_preprocessor_config.json",
    "vocab.json",
];

/// Why a folder is no place for a new model, if it is none: what it holds would be read as part of the model.
pub fn occupied(folder: &Path) -> Option<&'static str> {
    match std::fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => None,
        Ok(false) if [CONFIG, WEIGHTS, INDEX].iter().any(|name| folder.join(name).exists()) => {
            Some("there is a model already")
        }
        Ok(false) => Some("the folder is not empty"),
        // A link that leads nowhere is there as well.
        Err(_) if folder.exists() || folder.is_symlink() => Some("this is no folder that can be read"),
        Err(_) => None,
    }
}

/// Makes the folder for a new model, which must be new or empty.
///
/// # Errors
/// If it holds something, or cannot be made.
pub fn claim(folder: &Path) -> Result<(), ModelError> {
    if let Some(found) = occupied(folder) {
        return Err(ModelError::Taken { path: folder.to_owned(), found });
    }
    std::fs::create_dir_all(folder)
        .map_err(|e| ModelError::Write { path: folder.to_owned(), message: e.to_string() })
}

/// The names of the files in a folder, in order.
pub(crate) fn file_names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(MOST_FILES);
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// Copies the side files that lie beside a configuration file.
///
/// # Errors
/// If one cannot be copied.
pub fn copy_side_files(config_file: &Path, out: &Path) -> Result<(), ModelError> {
    let folder = config_file.parent().unwrap_or(Path::new("."));
    for name in SIDE_FILES {
        let from = folder.join(name);
        if from.is_file() {
            std::fs::copy(&from, out.join(name))
                .map_err(|e| ModelError::Write { path: out.join(name), message: e.to_string() })?;
        }
    }
    Ok(())
}

/// Readers of the Python world ask for this entry before they take a file for PyTorch tensors.
pub fn pytorch_metadata() -> HashMap<String, String> {
    [("format".to_owned(), "pt".to_owned())].into_iter().collect()
}

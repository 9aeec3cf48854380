//! A model folder in Hugging Face layout: the files that it is made of.

use crate::error::ModelError;
use std::collections::HashMap;
use std::path::Path;

pub(crate) const CONFIG: &str = "config.json";
pub(crate) const WEIGHTS: &str = "model.safetensors";
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// Endings of weights in formats that are not read.
pub(crate) const OTHER_FORMATS: [&str; 7] = ["bin", "gguf", "h5", "msgpack", "onnx", "pt", "pth"];

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

/// Makes the folder for a new model, which must not hold one.
pub(crate) fn claim(folder: &Path) -> Result<(), ModelError> {
    let write = |message: String| ModelError::Write { path: folder.to_owned(), message };
    if [CONFIG, WEIGHTS, INDEX].iter().any(|name| folder.join(name).exists()) {
        return Err(write("there is a model already; name an empty folder".into()));
    }
    std::fs::create_dir_all(folder).map_err(|e| write(e.to_string()))
}

/// Copies the side files that lie beside a configuration file.
///
/// # Errors
/// If one cannot be copied.
pub(crate) fn copy_side_files(config_file: &Path, out: &Path) -> Result<(), ModelError> {
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
pub(crate) fn pytorch_metadata() -> HashMap<String, String> {
    [("format".to_owned(), "pt".to_owned())].into_iter().collect()
}

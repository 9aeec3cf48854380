//! What a path is that was named as a model or as an adapter and is neither, and what to name instead.
//!
//! People name a run's folder, its checkpoints, one file of a model or the one for the other. Only names of files are
//! looked at, and of strangers' folders only so many.

use crate::error::ModelError;
use crate::folder::{ADAPTER_CONFIG, ADAPTER_WEIGHTS, CONFIG, file_names};
use serde_json::Value;
use std::path::{Path, PathBuf};
use vigos_core::files::read_limited;
use vigos_core::formats::{MODEL_ADVICE, foreign};
use vigos_core::text::one_line;

/// Folders that are looked into, below the one that was named.
const MOST_FOLDERS: usize = 2000;
/// How folders of checkpoints begin, here and elsewhere.
const CHECKPOINTS: [&str; 2] = ["step-", "checkpoint-"];
const MAX_CONFIG: u64 = 1 << 20;

/// Why a path is no model folder, if it is known.
pub fn not_a_model(path: &Path) -> Option<ModelError> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if path.is_file() {
        return Some(match name.to_ascii_lowercase() {
            name if name.ends_with(".gguf") => error(
                path,
                "a GGUF file: weights written for inference, mostly quantised",
                "name the folder of the model that it was made from, with its weights as safetensors",
            ),
            name if name.starts_with("adapter_") => error(
                path,
                "a file of an adapter",
                "name the folder that it lies in as the adapter, and the adapter's base as the model",
            ),
            _ => error(
                path,
                "a file, not a model folder",
                "name the folder that it lies in, with its config.json",
            ),
        });
    }
    if !path.is_dir() || path.join(CONFIG).exists() || path.join(CONFIG).is_symlink() {
        return None;
    }
    if path.join(ADAPTER_CONFIG).exists() {
        let hint = format!("name it as the adapter, and its base{} as the model", base_of(path));
        return Some(error(path, "an adapter, not a model", &hint));
    }
    if let Some(model) = below(path, CONFIG) {
        let hint = format!("the model is in {}: name that", model.display());
        return Some(error(path, "no model folder itself", &hint));
    }
    if let Some(adapter) = below(path, ADAPTER_CONFIG) {
        let hint = format!(
            "its newest is {}: name that as the adapter, and its base{} as the model",
            adapter.display(),
            base_of(&adapter)
        );
        return Some(error(path, "a folder of adapters, not a model", &hint));
    }
    let names = file_names(path);
    let other = foreign(names.iter().map(String::as_str))?;
    Some(ModelError::Safetensors { path: path.join(other), message: MODEL_ADVICE.to_owned() })
}

/// Why a path is no adapter's folder, if it is known.
pub fn not_an_adapter(path: &Path) -> Option<ModelError> {
    if path.is_file() {
        let hint = format!("name the folder that it lies in, with {ADAPTER_CONFIG} and {ADAPTER_WEIGHTS}");
        return Some(error(path, "a file, not an adapter's folder", &hint));
    }
    let own = path.join(ADAPTER_CONFIG);
    if !path.is_dir() || own.exists() || own.is_symlink() {
        return None;
    }
    if path.join(CONFIG).exists() {
        return Some(error(path, "a model, not an adapter", "name it as the model, without an adapter"));
    }
    if let Some(adapter) = below(path, ADAPTER_CONFIG) {
        let hint = format!("its newest is {}: name that", adapter.display());
        return Some(error(path, "a folder of adapters, not an adapter itself", &hint));
    }
    let model = below(path, CONFIG)?;
    let hint = format!("{} is a whole model: name that as the model, without an adapter", model.display());
    Some(error(path, "a folder of models, not an adapter", &hint))
}

fn error(path: &Path, found: &str, hint: &str) -> ModelError {
    ModelError::Mistaken { path: path.to_owned(), found: found.to_owned(), hint: hint.to_owned() }
}

/// What an adapter's configuration calls its base, between commas.
fn base_of(adapter: &Path) -> String {
    let bytes = read_limited(&adapter.join(ADAPTER_CONFIG), MAX_CONFIG).unwrap_or_default();
    let config: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    match config.get("base_model_name_or_path").and_then(Value::as_str) {
        Some(base) if !base.is_empty() => format!(", {},", one_line(base, 120)),
        _ => String::new(),
    }
}

/// The folder next below `path` that holds `file`: in it, or in a folder in it; of several the newest checkpoint.
fn below(path: &Path, file: &str) -> Option<PathBuf> {
    let mut rest = MOST_FOLDERS;
    let children = folders(path, &mut rest);
    let newest = |folders: &[PathBuf]| {
        folders.iter().filter(|folder| folder.join(file).is_file()).max_by_key(|folder| age(folder)).cloned()
    };
    newest(&children).or_else(|| {
        let grandchildren: Vec<PathBuf> =
            children.iter().flat_map(|child| folders(child, &mut rest)).collect();
        newest(&grandchildren)
    })
}

/// The folders in a folder, but for hidden ones.
fn folders(path: &Path, rest: &mut usize) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten().take(*rest);
    let all: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    *rest -= all.len();
    let is_shown = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| !name.starts_with('.'))
    };
    all.into_iter().filter(|path| is_shown(path) && path.is_dir()).collect()
}

/// What orders folders by age: the number at the end of a checkpoint's name, then the name.
fn age(folder: &Path) -> (Option<u64>, String) {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let step = CHECKPOINTS.iter().find_map(|begin| name.strip_prefix(begin)?.parse().ok());
    (step, name)
}

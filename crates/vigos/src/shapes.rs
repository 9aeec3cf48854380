//! The shapes of published models that are at hand where the command runs.

use std::path::{Path, PathBuf};
use vigos_hub::Reference;

/// Where they are, in a checkout of the project.
const SHAPES: &str = "configs/models";

/// The folder with the shape of the model that has the last part of this name, a path's or one of the hub.
pub fn of_name(path: &Path) -> Option<PathBuf> {
    let id = Reference::model(path).map_or_else(|_| path.display().to_string(), |reference| reference.id);
    let name = Path::new(&id).file_name()?.to_owned();
    all().into_iter().find(|folder| folder.file_name().is_some_and(|known| known.eq_ignore_ascii_case(&name)))
}

/// The folders of all, in order; none where the command runs elsewhere.
pub fn all() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(SHAPES).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|folder| folder.join("config.json").is_file()).collect();
    folders.sort();
    folders
}

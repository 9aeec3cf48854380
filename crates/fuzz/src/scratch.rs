//! A folder of this thread for what is read as files. It is made once: a program that reads thousands of inputs a second
//! would else spend its time on folders.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

thread_local! {
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

/// The folder, its real name.
pub(crate) fn folder() -> PathBuf {
    FOLDER.with(|folder| {
        let made = folder.get_or_init(|| tempfile::tempdir().expect("a folder for temporary files"));
        made.path().canonicalize().expect("a folder that is there")
    })
}

/// Writes a file of the folder; a sub-folder in its name is made.
pub(crate) fn write(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    if fs::write(&path, bytes).is_err() {
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).expect("a folder can be made");
        fs::write(&path, bytes).expect("a file can be written");
    }
    path
}

/// Makes sure that a file of this name is there.
pub(crate) fn there(name: &str) -> PathBuf {
    let path = folder().join(name);
    if !path.is_file() {
        write(name, b"there");
    }
    path
}

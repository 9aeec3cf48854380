//! Which files of a folder make up a data set, told by the names that the hub's tools give them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use vigos_core::files::FileError;
use vigos_core::splits::split_of;

use crate::error::DatasetError;

/// The Parquet files directly in `folder`, else those in its folder `data`, of the split asked for or of the
/// only one, sorted by name.
pub(crate) fn of_folder(folder: &Path, split: Option<&str>) -> Result<Vec<PathBuf>, DatasetError> {
    let mut files = list(folder)?;
    let data = folder.join("data");
    if files.is_empty() && data.is_dir() {
        files = list(&data)?;
    }
    if files.is_empty() {
        return Err(DatasetError::NoFiles { path: folder.to_owned() });
    }
    let splits: BTreeSet<String> = files.iter().filter_map(|file| split_of(file)).collect();
    let fault = |wanted: Option<&str>| DatasetError::Split {
        path: folder.to_owned(),
        wanted: wanted.map(str::to_owned),
        found: splits.iter().cloned().collect(),
    };
    match split {
        // A test split must not slip into training because nobody said which split is meant.
        None if splits.len() > 1 => Err(fault(None)),
        None => Ok(files),
        Some(split) if splits.contains(split) => {
            files.retain(|file| split_of(file).as_deref() == Some(split));
            Ok(files)
        }
        Some(split) => Err(fault(Some(split))),
    }
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let failed = |e| FileError::io("list", folder, e);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let parquet =
            path.extension().and_then(OsStr::to_str).is_some_and(|e| e.eq_ignore_ascii_case("parquet"));
        if parquet && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

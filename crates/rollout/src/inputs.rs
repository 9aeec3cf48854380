//! The files that a run computes with, so that one that is gone on with notices others.

use crate::folder_error::{FolderError, fault};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use vigos_core::files::{FileError, read_limited, write_atomic_bytes};
use vigos_core::fingerprint::fingerprint;
use vigos_data::Dataset;

/// Where a run's folder has them.
const INPUTS: &str = "inputs.json";
const MAX_INPUTS: u64 = 1 << 20;
/// Endings of what a model folder computes with: weights, configurations, templates, vocabularies.
const MODEL: [&str; 4] = ["safetensors", "json", "jinja", "txt"];

/// The base and the data of a run, by their [fingerprints](vigos_core::fingerprint).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Of every file of the base's folder that is computed with, by its name.
    base: BTreeMap<String, String>,
    data: Data,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    rows: usize,
    /// Of all files together; images beside them are not looked at.
    sha256: String,
}

impl Inputs {
    /// Those of the base in `folder` and of a data set.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn of(folder: &Path, data: &Dataset) -> Result<Self, FileError> {
        let failed = |e| FileError::io("list", folder, e);
        let mut base = BTreeMap::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            if path.is_file() && MODEL.contains(&ending) {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                base.insert(name, fingerprint([path.as_path()])?);
            }
        }
        let sha256 = fingerprint(data.files().iter().map(PathBuf::as_path))?;
        Ok(Self { base, data: Data { rows: data.count().get(), sha256 } })
    }

    /// Those that the run in a folder was begun with, if it says.
    pub(crate) fn begun_with(folder: &Path) -> Result<Option<Self>, FolderError> {
        let file = folder.join(INPUTS);
        if !file.exists() {
            return Ok(None);
        }
        let read = serde_json::from_slice(&read_limited(&file, MAX_INPUTS)?);
        read.map(Some).map_err(|e| fault(&file, format!("{e}; wanted what a run began with"), "remove it"))
    }

    /// Holds them against those that the run in `folder` was begun with, and tells what the run may go on with all the same.
    pub(crate) fn differences(&self, begun: &Self, folder: &Path) -> Result<Option<String>, FolderError> {
        let names = self.base.keys().chain(begun.base.keys());
        if let Some(name) = names.into_iter().find(|name| self.base.get(*name) != begun.base.get(*name)) {
            let how = match (begun.base.contains_key(name), self.base.contains_key(name)) {
                (true, true) => "is another one than when the run began",
                (true, false) => "is gone that was there when the run began",
                _ => "was not there when the run began",
            };
            return Err(fault(
                folder,
                format!("the base model has changed: its {name} {how}"),
                "put back the model that the run was begun with, or start anew in another folder",
            ));
        }
        if self.data == begun.data {
            return Ok(None);
        }
        let rows = match (begun.data.rows, self.data.rows) {
            (was, is) if was == is => format!("{is} rows as before, but other ones"),
            (was, is) => format!("{was} rows then, {is} now"),
        };
        Ok(Some(format!(
            "the data has changed since the run began ({rows}): steps from here on are not those that it would have done"
        )))
    }

    /// Writes them into a run's folder.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), FileError> {
        write_atomic_bytes(&folder.join(INPUTS), &serde_json::to_vec_pretty(self).unwrap_or_default())
    }
}

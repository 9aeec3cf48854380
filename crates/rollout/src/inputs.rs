//! The files that a run computes with, so that one that is gone on with notices others.

use crate::folder_error::FolderError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use vigos_core::files::{FileError, read_limited, write_atomic_bytes};
use vigos_core::fingerprint::{digest, fingerprint};

/// Where a run's folder has them.
const INPUTS: &str = "inputs.json";
const MAX_INPUTS: u64 = 1 << 20;
/// Endings of what a model folder computes with: weights, configurations, templates, vocabularies.
const MODEL: [&str; 4] = ["safetensors", "json", "jinja", "txt"];

/// Base, adapter and data of a run, by their [fingerprints](vigos_core::fingerprint).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// What tells the run from others: a hash of its recipe and of the rest of this, as it was when it began. Empty in a
    /// run of before there was one.
    #[serde(default)]
    pub(crate) run: String,
    /// Of every file of the base's folder that is computed with, by its name.
    base: BTreeMap<String, String>,
    /// The same of the adapter that the student is, where it is not the run that makes it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    adapter: BTreeMap<String, String>,
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
    /// Those of the base in a folder, the adapter in another, and so many rows of data files.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn of<'a>(
        base: &Path,
        adapter: Option<&Path>,
        rows: usize,
        files: impl IntoIterator<Item = &'a Path>,
    ) -> Result<Self, FileError> {
        let adapter = adapter.map_or(Ok(BTreeMap::new()), of_folder)?;
        let data = Data { rows, sha256: fingerprint(files)? };
        Ok(Self { run: String::new(), base: of_folder(base)?, adapter, data })
    }

    /// Makes them those of the run that `recipe` begins, which is what may not change of its recipe.
    pub(crate) fn begin(&mut self, recipe: &str) {
        let all = serde_json::to_string(self).unwrap_or_default();
        self.run = digest(&format!("{recipe}{all}"));
    }

    /// Those that the run in a folder was begun with, if it says.
    pub(crate) fn begun_with(folder: &Path) -> Result<Option<Self>, FolderError> {
        let file = folder.join(INPUTS);
        if !file.exists() {
            return Ok(None);
        }
        let read = serde_json::from_slice(&read_limited(&file, MAX_INPUTS)?);
        read.map(Some).map_err(|e| {
            FolderError::taken(&file, format!("{e}; wanted what a run began with"), "put it back as it was")
        })
    }

    /// Holds them against those that the run in `folder` was begun with, and tells what the run may go on with all the same.
    pub(crate) fn differences(&self, begun: &Self, folder: &Path) -> Result<Option<String>, FolderError> {
        for (what, is, was) in
            [("base model", &self.base, &begun.base), ("student's adapter", &self.adapter, &begun.adapter)]
        {
            let Some(name) = is.keys().chain(was.keys()).find(|name| is.get(*name) != was.get(*name)) else {
                continue;
            };
            let how = match (was.contains_key(name), is.contains_key(name)) {
                (true, true) => "is another one than when the run began",
                (true, false) => "is gone that was there when the run began",
                _ => "was not there when the run began",
            };
            return Err(FolderError::taken(
                folder,
                format!("the {what} has changed: its {name} {how}"),
                "put back what the run was begun with, or start anew: in another folder, or where this one was",
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
            "the data has changed since the run began ({rows}): what is done from here on is not what it would have done"
        )))
    }

    /// Writes them into a run's folder.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), FileError> {
        write_atomic_bytes(&folder.join(INPUTS), &serde_json::to_vec_pretty(self).unwrap_or_default())
    }
}

/// The fingerprint of each file of a model's or adapter's folder that is computed with.
fn of_folder(folder: &Path) -> Result<BTreeMap<String, String>, FileError> {
    let failed = |e| FileError::io("list", folder, e);
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if path.is_file() && MODEL.contains(&ending) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            found.insert(name, fingerprint([path.as_path()])?);
        }
    }
    Ok(found)
}

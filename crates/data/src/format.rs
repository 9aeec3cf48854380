//! What a file is read as, told by its name, and which files of a folder make up a data set.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use vigos_core::files::FileError;
use vigos_core::splits::split_of;
use vigos_core::text::one_line;

use crate::error::DatasetError;

/// How records are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Parquet.
    Parquet,
    /// Arrow's files and streams, Feather among them.
    Arrow,
    /// WebDataset's archives.
    Archive,
    /// JSON Lines, a JSON array, or a table with separators.
    Text,
}

/// Endings of names by the format, those that a folder is looked through for first at the beginning. A JSON file is the
/// last, as tools leave such a one beside the data.
const ENDINGS: [(Format, &[&str]); 6] = [
    (Format::Text, &["jsonl", "ndjson"]),
    (Format::Text, &["csv", "tsv"]),
    (Format::Parquet, &["parquet"]),
    (Format::Arrow, &["arrow", "feather", "ipc"]),
    (Format::Archive, &["tar", "tgz"]),
    (Format::Text, &["json"]),
];

/// The end of a name, in small letters, without that of compression.
pub(crate) fn ending(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let plain = [".gz", ".zst", ".zstd"].iter().find_map(|packed| name.strip_suffix(packed));
    plain.unwrap_or(&name).rsplit_once('.').map(|(_, ending)| ending.to_owned())
}

impl Format {
    /// What a file of this name is read as.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let found = ending(path)?;
        ENDINGS.iter().find(|(_, endings)| endings.contains(&found.as_str())).map(|(format, _)| *format)
    }
}

/// What files of a format are called in reports, the first of them with how it is compressed.
pub(crate) fn name(format: Format, files: &[PathBuf]) -> String {
    let first = files.first().map(PathBuf::as_path).unwrap_or(Path::new(""));
    let found = ending(first).unwrap_or_default();
    let kind = match format {
        Format::Parquet => "parquet",
        Format::Arrow => "arrow",
        Format::Archive => "webdataset",
        Format::Text if ["json", "csv", "tsv"].contains(&found.as_str()) => &found,
        Format::Text => "jsonl",
    };
    let packed = match first.extension().and_then(|ending| ending.to_str()) {
        Some("gz" | "tgz") => ".gz",
        Some("zst" | "zstd") => ".zst",
        _ => "",
    };
    format!("{kind}{packed}")
}

/// The files directly in `folder` that are data, else those in its folder `data`, of the split asked for or of the only
/// one, sorted by name. They are of one format: that which comes first of those that are there.
///
/// # Errors
/// If there are none, or there is no such split or nothing to choose from.
pub(crate) fn of_folder(folder: &Path, split: Option<&str>) -> Result<(Format, Vec<PathBuf>), DatasetError> {
    let mut found = first_of(list(folder)?);
    let data = folder.join("data");
    if found.is_none() && data.is_dir() {
        found = first_of(list(&data)?);
    }
    let Some((format, mut files)) = found else {
        return Err(DatasetError::NoFiles { path: folder.to_owned() });
    };
    let splits: BTreeSet<String> = files.iter().filter_map(|file| split_of(&unpacked_name(file))).collect();
    let fault = |wanted: Option<&str>| DatasetError::Split {
        path: folder.to_owned(),
        wanted: wanted.map(str::to_owned),
        found: splits.iter().cloned().collect(),
    };
    match split {
        // A test split must not slip into training because nobody said which split is meant.
        None if splits.len() > 1 => Err(fault(None)),
        None => Ok((format, files)),
        Some(split) if splits.contains(split) => {
            files.retain(|file| split_of(&unpacked_name(file)).as_deref() == Some(split));
            Ok((format, files))
        }
        Some(split) => Err(fault(Some(split))),
    }
}

/// The files of the first endings that there are any of; says which files of others are not read.
fn first_of(files: Vec<PathBuf>) -> Option<(Format, Vec<PathBuf>)> {
    let (format, endings) = ENDINGS.iter().find(|(_, endings)| {
        files.iter().any(|file| ending(file).is_some_and(|found| endings.contains(&found.as_str())))
    })?;
    let (read, others): (Vec<PathBuf>, Vec<PathBuf>) = files
        .into_iter()
        .partition(|file| ending(file).is_some_and(|found| endings.contains(&found.as_str())));
    let others = others.iter().filter(|file| Format::of(file).is_some());
    let names: Vec<_> = others.filter_map(|file| Some(file.file_name()?.to_string_lossy())).collect();
    if let [first, ..] = names.as_slice() {
        tracing::warn!(
            "of the folder's files those that end with .{} are read; {} of other formats are left out, the first of them {}",
            endings.join(" or ."),
            names.len(),
            one_line(first, 80)
        );
    }
    Some((*format, read))
}

/// The name without the ending of compression.
fn unpacked_name(file: &Path) -> PathBuf {
    let is_packed =
        file.extension().is_some_and(|found| ["gz", "zst", "zstd"].iter().any(|known| found == *known));
    if is_packed { file.with_extension("") } else { file.to_owned() }
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    /// What Python's tools write beside the files of a data set.
    const BESIDE: [&str; 4] = ["dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"];
    let failed = |e| FileError::io("list", folder, e);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_beside = path.file_name().is_some_and(|name| BESIDE.iter().any(|known| name == *known));
        if path.is_file() && !is_beside {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

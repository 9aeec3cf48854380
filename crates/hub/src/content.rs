//! Which files make up a model or a split of a data set.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hf_hub::RepoType;
use serde::Deserialize;
use vigos_core::files::read_limited;
use vigos_core::formats::{ADAPTER_ADVICE, MODEL_ADVICE, foreign};
use vigos_core::splits::split_of;

use crate::error::HubError;
use crate::reference::ALL_FOLDERS;

const INDEX: &str = "model.safetensors.index.json";
/// Without these no model can be used.
const SIDE_FILES: [&str; 2] = ["config.json", "tokenizer.json"];
const ADAPTER: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];
const OLDER_ADAPTER: &str = "adapter_model.bin";
const MAX_INDEX: u64 = 64 << 20;
/// What goes to the hub besides tensors. Other files of a folder are someone's own, and may be secret.
const SENT: [&str; 21] = [
    "LICENSE",
    "LICENSE.md",
    "LICENSE.txt",
    "NOTICE",
    "README.md",
    "adapter_config.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "config.json",
    "generation_config.json",
    "merges.txt",
    "model.safetensors.index.json",
    "preprocessor_config.json",
    "processor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "video_preprocessor_config.json",
    "vocab.json",
];
/// What only a run goes on from.
const TRAINING: [&str; 3] = ["manifest.json", "optimizer.safetensors", "trainer.json"];

/// Which files of a folder go to the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that a model or an adapter is read from.
    Needed,
    /// Also what training goes on from: the optimiser's state and the like.
    All,
}

/// What is wanted of a repository of the hub.
#[derive(Debug)]
pub(crate) enum Content {
    /// A model.
    Model,
    /// A model without its weights.
    SideFiles,
    /// An adapter.
    Adapter,
    /// An adapter without its tensors.
    AdapterConfig,
    /// The Parquet files of this split of a data set.
    Split(String),
}

impl Content {
    /// The kind of the repository.
    pub(crate) fn kind(&self) -> RepoType {
        match self {
            Self::Model | Self::SideFiles | Self::Adapter | Self::AdapterConfig => RepoType::Model,
            Self::Split(_) => RepoType::Dataset,
        }
    }

    /// Where the hub's interface lists repositories of this kind.
    pub(crate) fn listing(&self) -> &'static str {
        match self {
            Self::Model | Self::SideFiles | Self::Adapter | Self::AdapterConfig => "api/models",
            Self::Split(_) => "api/datasets",
        }
    }

    /// What precedes the repository's name in the address of a file.
    pub(crate) fn prefix(&self) -> &'static str {
        match self {
            Self::Model | Self::SideFiles | Self::Adapter | Self::AdapterConfig => "",
            Self::Split(_) => "datasets/",
        }
    }

    /// The files wanted of those that the repository `name` has.
    pub(crate) fn choose(&self, name: &str, files: &[String]) -> Result<Vec<String>, HubError> {
        let those = |wanted: fn(&str) -> bool| files.iter().filter(|file| wanted(file)).cloned().collect();
        match self {
            Self::Model | Self::SideFiles => is_model(name, files)?,
            Self::Adapter | Self::AdapterConfig => is_adapter(name, files)?,
            Self::Split(_) => {}
        }
        match self {
            Self::Model => Ok(those(is_of_model)),
            Self::SideFiles => Ok(those(is_side_file)),
            Self::Adapter => Ok(those(|file| ADAPTER.contains(&file))),
            Self::AdapterConfig => Ok(those(|file| file == ADAPTER[0])),
            Self::Split(split) => files_of_split(name, files, split),
        }
    }

    /// What the chosen files in `folder` lack to be whole.
    pub(crate) fn missing(&self, folder: &Path, files: &[String]) -> Option<String> {
        match self {
            Self::Model => missing_of_model(folder, files),
            Self::SideFiles => missing_of(&SIDE_FILES, files),
            Self::Adapter => missing_of(&ADAPTER, files),
            Self::AdapterConfig => missing_of(&ADAPTER[..1], files),
            Self::Split(_) => missing_shard(files),
        }
    }
}

/// Refuses a repository that is something else than a model, or has no weights in the format that is read.
fn is_model(name: &str, files: &[String]) -> Result<(), HubError> {
    let has = |name: &str| files.iter().any(|file| file == name);
    if !has(SIDE_FILES[0]) && has(ADAPTER[0]) {
        let (what, found) = (name.to_owned(), "an adapter, not a model");
        return Err(HubError::Mistaken {
            what,
            found,
            hint: "name it as the adapter, and its base as the model",
        });
    }
    let is_read = |file: &String| !file.contains('/') && file.ends_with(".safetensors");
    match foreign(files.iter().map(String::as_str)) {
        Some(file) if !files.iter().any(is_read) => {
            let file = format!("{name}: {file}");
            Err(HubError::Format { file, advice: MODEL_ADVICE })
        }
        _ => Ok(()),
    }
}

/// The same for an adapter.
fn is_adapter(name: &str, files: &[String]) -> Result<(), HubError> {
    let has = |name: &str| files.iter().any(|file| file == name);
    if !has(ADAPTER[0]) && has(SIDE_FILES[0]) {
        let (what, found) = (name.to_owned(), "a model, not an adapter");
        return Err(HubError::Mistaken { what, found, hint: "name it as the model, without an adapter" });
    }
    if has(OLDER_ADAPTER) && !has(ADAPTER[1]) {
        let file = format!("{name}: {OLDER_ADAPTER}");
        return Err(HubError::Format { file, advice: ADAPTER_ADVICE });
    }
    Ok(())
}

/// Configuration, tokenizer, templates and weights; not what other libraries keep beside them.
fn is_of_model(file: &str) -> bool {
    let kinds = [".json", ".jinja", ".safetensors"];
    file == "merges.txt" || (!file.contains('/') && kinds.iter().any(|kind| file.ends_with(kind)))
}

/// What of a model is no weight and tells of none.
fn is_side_file(file: &str) -> bool {
    is_of_model(file) && !file.contains(".safetensors")
}

/// Whether a file of a folder goes to the hub: only what is known to be of a model or an adapter does.
pub(crate) fn is_sent(file: &str, which: Which) -> bool {
    let training = TRAINING.contains(&file);
    let known = SENT.contains(&file) || (file.ends_with(".safetensors") && !file.starts_with('.'));
    match which {
        Which::Needed => known && !training,
        Which::All => known || training,
    }
}

/// Whether files are those of a model.
pub(crate) fn is_model_folder(files: &[String]) -> bool {
    files.iter().any(|file| file == SIDE_FILES[0])
        && files.iter().any(|file| file.ends_with(".safetensors") && !TRAINING.contains(&file.as_str()))
}

/// Whether files are those of an adapter.
pub(crate) fn is_adapter_folder(files: &[String]) -> bool {
    missing_of(&ADAPTER, files).is_none()
}

/// The first of `wanted` that is not there.
fn missing_of(wanted: &[&str], files: &[String]) -> Option<String> {
    let absent = wanted.iter().find(|name| !files.iter().any(|file| file == *name));
    absent.map(|name| (*name).to_owned())
}

/// What a model's folder with these files lacks to be one.
fn missing_of_model(folder: &Path, files: &[String]) -> Option<String> {
    let has = |name: &str| files.iter().any(|file| file == name);
    if let Some(missing) = missing_of(&SIDE_FILES, files) {
        return Some(missing);
    }
    if !has(INDEX) {
        let weights = files.iter().any(|file| file.ends_with(".safetensors"));
        return (!weights).then(|| "model.safetensors".to_owned());
    }
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let index = read_limited(&folder.join(INDEX), MAX_INDEX).ok();
    let Some(index) = index.and_then(|bytes| serde_json::from_slice::<Index>(&bytes).ok()) else {
        return Some(INDEX.to_owned());
    };
    index.weight_map.into_values().find(|shard| !has(shard))
}

/// The Parquet files of `SPLIT`, which must be in one folder, or of `FOLDER/SPLIT`.
fn files_of_split(dataset: &str, files: &[String], wanted: &str) -> Result<Vec<String>, HubError> {
    let (within, split) =
        wanted.rsplit_once('/').map_or((None, wanted), |(within, split)| (Some(within), split));
    let parquet = || files.iter().filter(|file| file.ends_with(".parquet"));
    let of = |file: &str| split_of(Path::new(file));
    let folder = |file: &str| file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let is_there =
        |file: &&String| within.is_none_or(|within| within == ALL_FOLDERS || within == folder(file));
    let is_of_it = |file: &&String| of(file).as_deref() == Some(split);
    let mut chosen: Vec<String> = parquet().filter(is_there).filter(is_of_it).cloned().collect();
    chosen.sort();
    if chosen.is_empty() {
        let found: BTreeSet<String> = parquet().filter_map(|file| of(file)).collect();
        let (dataset, wanted) = (dataset.to_owned(), wanted.to_owned());
        return Err(HubError::Split { dataset, wanted, found: found.into_iter().collect() });
    }
    let folders: BTreeSet<String> = chosen.iter().map(|file| folder(file)).collect();
    if folders.len() > 1 && within != Some(ALL_FOLDERS) {
        let folders = folders.into_iter().collect();
        return Err(HubError::SeveralFolders { dataset: dataset.to_owned(), folders });
    }
    Ok(chosen)
}

/// A file that is missing from those of a split, by the number in their names.
fn missing_shard(files: &[String]) -> Option<String> {
    let total = |file: &String| file.strip_suffix(".parquet")?.rsplit_once("-of-")?.1.parse::<usize>().ok();
    let folder = |file: &String| file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let mut folders: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for file in files {
        folders.entry(folder(file)).or_default().push(file);
    }
    folders.values().find_map(|files| {
        let wanted = files.iter().filter_map(|file| total(file)).max()?;
        (files.len() < wanted).then(|| format!("more than {} of its {wanted} files", files.len()))
    })
}

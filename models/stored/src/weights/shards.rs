//! Which files of a folder hold a model's weights: one, those that an index names, or all of a numbered row.

use super::stored::{Stored, damaged};
use crate::error::ModelError;
use crate::folder::{INDEX, WEIGHTS, file_names};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use vigos_core::files::read_limited;
use vigos_core::formats::{MODEL_ADVICE, foreign};
use vigos_core::text::one_line;

/// An index has about a hundred bytes a tensor.
const MAX_INDEX: u64 = 64 << 20;
/// Names that a message lists.
const LISTED: usize = 4;

/// The files, and what an index says of them.
#[derive(Debug)]
pub(super) struct Layout {
    /// In order.
    pub(super) files: BTreeSet<PathBuf>,
    /// The index's path, and the file of every tensor.
    index: Option<(PathBuf, BTreeMap<String, String>)>,
}

impl Layout {
    /// Looks at a model folder.
    ///
    /// # Errors
    /// If it has no weights in the format that is read, or not all, or the index names a file outside of it.
    pub(super) fn of(folder: &Path) -> Result<Self, ModelError> {
        let single = folder.join(WEIGHTS);
        let index = folder.join(INDEX);
        // A single file comes first, as in Transformers: an index beside it is left from another day.
        if single.is_file() {
            return Ok(Self { files: BTreeSet::from([single]), index: None });
        }
        if index.is_file() {
            let map = indexed(&index)?;
            let files = map.values().map(|file| folder.join(file)).collect();
            return Ok(Self { files, index: Some((index, map)) });
        }
        let names = file_names(folder);
        if let Some(files) = numbered(folder, &names)? {
            return Ok(Self { files, index: None });
        }
        if let Some(other) = foreign(names.iter().map(String::as_str)) {
            return Err(damaged(&folder.join(other), MODEL_ADVICE.to_owned()));
        }
        if let (Some(other), false) =
            (names.iter().find(|name| name.ends_with(".safetensors")), single.exists())
        {
            let path = folder.join(other);
            return Err(ModelError::Mistaken {
                found: format!(
                    "under a name that nobody looks for: wanted {WEIGHTS}, or shards with {INDEX}"
                ),
                hint: format!("if these are the model's weights, call the file {WEIGHTS}"),
                path,
            });
        }
        // What is not there or cannot be read is the reader's to say.
        Ok(Self { files: BTreeSet::from([single]), index: None })
    }

    /// Checks that every tensor lies in the shard that the index names, and that the shards hold no other.
    ///
    /// # Errors
    /// One error that lists every tensor that does not.
    pub(super) fn check(
        &self,
        entries: &BTreeMap<String, Stored>,
        rename: impl Fn(&str) -> String,
    ) -> Result<(), ModelError> {
        let Some((index, map)) = &self.index else { return Ok(()) };
        let file_of = |stored: &Stored| {
            stored.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        };
        let mut faults = Vec::new();
        for (name, wanted) in map {
            match entries.get(&rename(name)).map(file_of) {
                Some(found) if found == *wanted => {}
                Some(found) => {
                    faults.push(format!("misplaced {name}: found in {found}, the index says {wanted}"));
                }
                None => faults.push(format!("missing {name}: the index says {wanted}")),
            }
        }
        for stored in entries.values().filter(|stored| !map.contains_key(&stored.name)) {
            faults.push(format!("unlisted {}: found in {}, not in the index", stored.name, file_of(stored)));
        }
        match faults.is_empty() {
            true => Ok(()),
            false => Err(ModelError::Tensors { path: index.clone(), faults }),
        }
    }
}

/// What an index says: the shard file of every tensor, inside the index's folder.
fn indexed(index: &Path) -> Result<BTreeMap<String, String>, ModelError> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let bad = |found: &str, wanted: &str| ModelError::Config {
        path: index.to_owned(),
        key: "weight_map".into(),
        found: one_line(found, 200).into_owned(),
        wanted: wanted.into(),
    };
    let bytes = read_limited(index, MAX_INDEX)
        .map_err(|e| ModelError::Read { path: index.to_owned(), source: std::io::Error::other(e) })?;
    if vigos_core::pointer::is_pointer(&bytes) {
        return Err(ModelError::Pointer { path: index.to_owned() });
    }
    let parsed: Index = serde_json::from_slice(&bytes)
        .map_err(|e| bad(&e.to_string(), "an object from tensor name to file name"))?;
    if parsed.weight_map.is_empty() {
        return Err(bad("no tensor", "an object from tensor name to file name"));
    }
    for name in parsed.weight_map.values() {
        let mut parts = Path::new(name.as_str()).components();
        // A shard lies in the folder itself: anything but one plain component could leave it.
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
            return Err(bad(&format!("`{name}`"), "the name of a file in the same folder"));
        }
    }
    Ok(parsed.weight_map)
}

/// The files of a row whose index is missing, `model-00001-of-00003.safetensors` and so on, if there is one.
fn numbered(folder: &Path, names: &[String]) -> Result<Option<BTreeSet<PathBuf>>, ModelError> {
    let shards: BTreeMap<(usize, usize), &str> =
        names.iter().filter_map(|name| Some((place(name)?, name.as_str()))).collect();
    let totals: BTreeSet<usize> = shards.keys().map(|(total, _)| *total).collect();
    let fault = |found: String, hint: &str| ModelError::Mistaken {
        path: folder.to_owned(),
        found: format!("a model folder without {INDEX}, and {found}"),
        hint: hint.to_owned(),
    };
    let total = match (totals.first(), totals.len()) {
        (None, _) => return Ok(None),
        (Some(total), 1) => *total,
        _ => {
            let found =
                "with shards of several rows (their names end in -of- and different numbers)".to_owned();
            return Err(fault(found, "leave those of one row there"));
        }
    };
    let missing = total - shards.len();
    if missing == 0 {
        return Ok(Some(shards.values().map(|name| folder.join(name)).collect()));
    }
    let absent = (1..=total).filter(|number| !shards.contains_key(&(total, *number)));
    let listed: Vec<String> = absent.take(LISTED).map(|number| shard(number, total)).collect();
    let more = if missing > LISTED { format!(" and {} more", missing - LISTED) } else { String::new() };
    let found = format!("with {} of {total} shards: {}{more} missing", shards.len(), listed.join(", "));
    Err(fault(found, "fetch what is missing, or the whole model as hf:ORG/NAME"))
}

fn shard(number: usize, total: usize) -> String {
    format!("model-{number:05}-of-{total:05}.safetensors")
}

/// How many shards a row has and which of them a file is, by its name.
fn place(name: &str) -> Option<(usize, usize)> {
    let (number, total) = name.strip_prefix("model-")?.strip_suffix(".safetensors")?.split_once("-of-")?;
    let (number, total) = (number.parse().ok()?, total.parse().ok()?);
    // One number may be written in several ways; the one that savers use counts.
    ((1..=total).contains(&number) && shard(number, total) == name).then_some((total, number))
}

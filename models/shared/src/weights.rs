//! Reading safetensors: one file, or shards with their index.
//!
//! The header of every file is checked first (size, offsets, dtypes, names, shapes), so a wrong checkpoint
//! is refused with one complete list before any weight is read. Then each tensor is read from its own byte
//! range: at no time does more than one tensor exist outside its destination.

use crate::architecture::{Architecture, Parameter};
use crate::error::ModelError;
use crate::folder::{INDEX, OTHER_FORMATS, WEIGHTS};
use burn::tensor::{DType, Device, Tensor, TensorData};
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use vigos_core::pointer::is_pointer;
use vigos_core::text::one_line;

/// A header of a published checkpoint has about 200 bytes a tensor; a claim of more than this is an attack.
const MAX_HEADER: u64 = 100 << 20;

/// A tensor where it lies, not yet read.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its name in the file.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// What it is stored as.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its size.
    pub bytes: usize,
    start: u64,
}

impl Stored {
    /// Its bytes, little-endian and row-major.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&self) -> Result<Vec<u8>, ModelError> {
        let failed = |source| ModelError::Read { path: self.file.clone(), source };
        let mut bytes = vec![0; self.bytes];
        let mut file = File::open(&self.file).map_err(failed)?;
        file.seek(SeekFrom::Start(self.start)).map_err(failed)?;
        file.read_exact(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    /// Bytes of one value.
    pub fn bytes_per_value(&self) -> usize {
        self.dtype.bitsize() / 8
    }

    /// Burn's name of its dtype, where it is one that weights may have.
    pub fn float(&self) -> Option<DType> {
        match self.dtype {
            Dtype::F32 => Some(DType::F32),
            Dtype::F16 => Some(DType::F16),
            Dtype::BF16 => Some(DType::BF16),
            _ => None,
        }
    }
}

/// The tensors of a folder or a file by name, not yet read.
#[derive(Debug)]
pub struct Weights {
    path: PathBuf,
    entries: BTreeMap<String, Stored>,
}

impl Weights {
    /// Opens a model folder: `model.safetensors`, or the shards that `model.safetensors.index.json` names. Tensors
    /// keep the names that they have there.
    ///
    /// # Errors
    /// If nothing is there, a header is damaged, the index names a file outside the folder, or the shards do not
    /// hold what it says.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        Self::open_folder(folder, str::to_owned)
    }

    /// Opens a model folder that must hold the tensors of this architecture, and names them by their canonical names.
    ///
    /// # Errors
    /// As [`Weights::open`], and if other tensors are there or some are not.
    pub fn open_model(folder: &Path, model: &Architecture) -> Result<Self, ModelError> {
        let weights = Self::open_folder(folder, model.names.canonical)?;
        let strangers: Vec<&str> = weights.names().filter(|name| is_stranger(name)).collect();
        if !strangers.is_empty() {
            let named = one_line(&strangers.join(", "), 200).into_owned();
            tracing::warn!("{}: left out, as they are no weights of the model: {named}", folder.display());
        }
        // Such as the head of a tied checkpoint, which may carry it all the same.
        let ignored: Vec<&str> = model.ignored.iter().copied().chain(strangers).collect();
        weights.check(&model.parameters, &ignored)?;
        Ok(weights)
    }

    fn open_folder(folder: &Path, rename: impl Fn(&str) -> String) -> Result<Self, ModelError> {
        let index = folder.join(INDEX);
        // A single file comes first, as in Transformers: an index beside it is left from another day.
        let map =
            if index.is_file() && !folder.join(WEIGHTS).is_file() { Some(shards(&index)?) } else { None };
        if map.is_none() {
            has_weights(folder)?;
        }
        let files: BTreeSet<&str> = match &map {
            Some(map) => map.values().map(String::as_str).collect(),
            None => BTreeSet::from([WEIGHTS]),
        };
        let mut entries = BTreeMap::new();
        for file in files {
            let file = folder.join(file);
            for stored in headers(&file)? {
                let name = stored.name.clone();
                if entries.insert(rename(&name), stored).is_some() {
                    return Err(damaged(&file, format!("tensor `{name}` stands in two files")));
                }
            }
        }
        if let Some(map) = map {
            check_split(&index, &map, &entries, rename)?;
        }
        Ok(Self { path: folder.to_owned(), entries })
    }

    /// Opens one safetensors file; names are kept as they are.
    ///
    /// # Errors
    /// If it cannot be read or its header is damaged.
    pub fn open_file(path: &Path) -> Result<Self, ModelError> {
        Self::open_renamed(path, str::to_owned)
    }

    /// Opens one safetensors file and names its tensors anew.
    ///
    /// # Errors
    /// If it cannot be read, its header is damaged, or two tensors get one name.
    pub fn open_renamed(path: &Path, rename: impl Fn(&str) -> String) -> Result<Self, ModelError> {
        let mut entries = BTreeMap::new();
        for stored in headers(path)? {
            let name = rename(&stored.name);
            if entries.insert(name.clone(), stored).is_some() {
                return Err(damaged(path, format!("tensor `{name}` is there twice, in two spellings")));
            }
        }
        Ok(Self { path: path.to_owned(), entries })
    }

    /// The names of the tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Number of values of all tensors.
    pub fn values(&self) -> u64 {
        self.entries.values().map(|e| (e.bytes / e.bytes_per_value().max(1)) as u64).sum()
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|e| e.shape.as_slice())
    }

    /// The tensors of each file, by file name and then by place.
    pub fn by_file(&self) -> BTreeMap<&Path, Vec<&Stored>> {
        let mut files: BTreeMap<&Path, Vec<&Stored>> = BTreeMap::new();
        for stored in self.entries.values() {
            files.entry(&stored.file).or_default().push(stored);
        }
        for tensors in files.values_mut() {
            tensors.sort_by_key(|stored| stored.start);
        }
        files
    }

    /// Checks that exactly `wanted` is here; names in `ignored` may be here as well.
    ///
    /// # Errors
    /// One error that lists every missing, unexpected and wrongly shaped tensor.
    pub fn check(&self, wanted: &[Parameter], ignored: &[&str]) -> Result<(), ModelError> {
        let mut faults = Vec::new();
        for parameter in wanted {
            match self.entries.get(&parameter.name) {
                None => faults.push(format!("missing     {} {:?}", parameter.name, parameter.shape)),
                Some(e) if e.shape != parameter.shape => faults.push(format!(
                    "wrong shape {}: found {:?}, wanted {:?}",
                    parameter.name, e.shape, parameter.shape
                )),
                Some(e) if e.float().is_none() => faults.push(format!(
                    "wrong dtype {}: found {:?}, wanted F32, F16 or BF16",
                    parameter.name, e.dtype
                )),
                Some(_) => {}
            }
        }
        let known: BTreeSet<&str> =
            wanted.iter().map(|p| p.name.as_str()).chain(ignored.iter().copied()).collect();
        for name in self.entries.keys().filter(|n| !known.contains(n.as_str())) {
            faults.push(format!("unexpected  {name} {:?}", self.entries[name].shape));
        }
        if faults.is_empty() { Ok(()) } else { Err(ModelError::Tensors { path: self.path.clone(), faults }) }
    }

    /// Reads one tensor onto `device` as `dtype`. A stored shape of another rank is flattened into `shape`.
    ///
    /// # Errors
    /// If it is not here, has another number of elements, or its bytes cannot be read.
    pub fn tensor<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        device: &Device,
        dtype: DType,
    ) -> Result<Tensor<D>, ModelError> {
        let fault = |line: String| ModelError::Tensors { path: self.path.clone(), faults: vec![line] };
        let entry = self.entries.get(name).ok_or_else(|| fault(format!("missing     {name} {shape:?}")))?;
        if entry.shape.iter().product::<usize>() != shape.iter().product::<usize>() {
            return Err(fault(format!("wrong shape {name}: found {:?}, wanted {shape:?}", entry.shape)));
        }
        let stored = entry.float().ok_or_else(|| {
            fault(format!("wrong dtype {name}: found {:?}, wanted F32, F16 or BF16", entry.dtype))
        })?;
        let data = TensorData::try_from_bytes_vec(entry.read()?, shape, stored)
            .map_err(|e| damaged(&entry.file, format!("tensor `{name}`: {e}")))?;
        Ok(Tensor::from_data(data.convert_dtype(dtype), (device, dtype)))
    }
}

/// Whether a tensor is none of a model's numbers: rotary frequencies that older savers wrote, which follow from the
/// configuration, and the value head that reinforcement learning puts beside a model.
fn is_stranger(name: &str) -> bool {
    name.ends_with("inv_freq")
        || ["v_head.", "value_head.", "score."].iter().any(|head| name.starts_with(head))
}

/// Refuses a folder whose weights are in another format, and says which.
fn has_weights(folder: &Path) -> Result<(), ModelError> {
    if folder.join(WEIGHTS).exists() {
        return Ok(());
    }
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    let is_other = |path: &PathBuf| {
        path.extension().and_then(|ending| ending.to_str()).is_some_and(|e| OTHER_FORMATS.contains(&e))
    };
    match entries.flatten().map(|entry| entry.path()).filter(is_other).min() {
        None => Ok(()),
        Some(path) => Err(ModelError::Safetensors {
            path,
            message: "weights in this format are not read, those in safetensors are; the publishers of most models \
                      have both, and Transformers' `save_pretrained` writes them"
                .into(),
        }),
    }
}

/// What an index says: the shard file of every tensor, inside the index's folder.
fn shards(index: &Path) -> Result<BTreeMap<String, String>, ModelError> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let bad = |found: String, wanted: &str| ModelError::Config {
        path: index.to_owned(),
        key: "weight_map".into(),
        found,
        wanted: wanted.into(),
    };
    let text = std::fs::read_to_string(index)
        .map_err(|source| ModelError::Read { path: index.to_owned(), source })?;
    let parsed: Index = serde_json::from_str(&text)
        .map_err(|e| bad(e.to_string(), "an object from tensor name to file name"))?;
    for name in parsed.weight_map.values() {
        let mut parts = Path::new(name.as_str()).components();
        // A shard lies in the folder itself: anything but one plain component could leave it.
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
            return Err(bad(format!("`{name}`"), "the name of a file in the same folder"));
        }
    }
    Ok(parsed.weight_map)
}

/// Checks that every tensor lies in the shard that the index names, and that the shards hold no other.
fn check_split(
    index: &Path,
    map: &BTreeMap<String, String>,
    entries: &BTreeMap<String, Stored>,
    rename: impl Fn(&str) -> String,
) -> Result<(), ModelError> {
    let file_of = |stored: &Stored| {
        stored.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let mut faults = Vec::new();
    for (name, wanted) in map {
        match entries.get(&rename(name)).map(file_of) {
            Some(found) if found == *wanted => {}
            Some(found) => {
                faults.push(format!("misplaced   {name}: found in {found}, the index says {wanted}"))
            }
            None => faults.push(format!("missing     {name}: the index says {wanted}")),
        }
    }
    for stored in entries.values().filter(|stored| !map.contains_key(&stored.name)) {
        faults.push(format!("unlisted    {}: found in {}, not in the index", stored.name, file_of(stored)));
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(ModelError::Tensors { path: index.to_owned(), faults }),
    }
}

/// The tensors of one file, from its header alone.
fn headers(path: &Path) -> Result<Vec<Stored>, ModelError> {
    let read = |source| ModelError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(read)?;
    let size = file.metadata().map_err(read)?.len();
    let mut start = Vec::new();
    Read::by_ref(&mut file).take(64).read_to_end(&mut start).map_err(read)?;
    if is_pointer(&start) {
        return Err(ModelError::Pointer { path: path.to_owned() });
    }
    let Some(prefix) = start.first_chunk::<8>().copied() else {
        return Err(damaged(path, format!("truncated: found {size} bytes, wanted a header")));
    };
    file.seek(SeekFrom::Start(8)).map_err(read)?;
    let length = u64::from_le_bytes(prefix);
    if length > MAX_HEADER || length > size - 8 {
        return Err(damaged(
            path,
            format!("the header claims {length} bytes, the file has {size}: truncated or not safetensors"),
        ));
    }
    let mut header = vec![0u8; length as usize];
    file.read_exact(&mut header).map_err(read)?;
    // Overlaps, gaps and overflow within the claimed data are the library's to find.
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|e| damaged(path, e.to_string()))?;
    let data = size - 8 - length;
    if metadata.data_len() as u64 != data {
        return Err(damaged(
            path,
            format!(
                "the header describes {} bytes of data, the file has {data}: truncated?",
                metadata.data_len()
            ),
        ));
    }
    let mut found = Vec::new();
    for (name, info) in metadata.tensors() {
        let (start, end) = info.data_offsets;
        found.push(Stored {
            name,
            file: path.to_owned(),
            dtype: info.dtype,
            shape: info.shape.clone(),
            bytes: end - start,
            start: 8 + length + start as u64,
        });
    }
    Ok(found)
}

fn damaged(path: &Path, message: String) -> ModelError {
    ModelError::Safetensors { path: path.to_owned(), message }
}

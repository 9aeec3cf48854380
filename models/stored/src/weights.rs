//! Reading safetensors: one file, or shards with their index.
//!
//! The header of every file is checked first (size, offsets, dtypes, names, shapes), so a wrong checkpoint
//! is refused with one complete list before any weight is read. Then each tensor is read from its own byte
//! range: at no time does more than one tensor exist outside its destination.

use crate::architecture::{Architecture, Parameter};
use crate::error::ModelError;
use burn::tensor::{AllocationProperty, Bytes, DType, Device, Tensor, TensorData};
use shards::Layout;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use stored::{damaged, headers};
use vigos_core::files;
use vigos_core::text::one_line;
use vigos_operators::on_cpu;

mod others;
mod shards;
mod stored;

pub use stored::Stored;

/// The tensors of a folder or a file by name, not yet read.
#[derive(Debug)]
pub struct Weights {
    path: PathBuf,
    entries: BTreeMap<String, Stored>,
    /// The files that are mapped.
    maps: Mutex<BTreeMap<PathBuf, bytes::Bytes>>,
    /// Whether it was told that one is not finite.
    told: AtomicBool,
}

/// What is said of a value that is not finite.
const NOT_FINITE: &str = "is NaN or infinite; fetch or save the file again";

impl Weights {
    /// Opens a model folder: `model.safetensors`, the shards that `model.safetensors.index.json` names, or where that is
    /// missing all of a row of shards. Tensors keep the names that they have there.
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
    /// As [`Weights::open`], and if the weights are quantised, other tensors are there or some are not.
    pub fn open_model(folder: &Path, model: &Architecture) -> Result<Self, ModelError> {
        let mut weights = Self::open_folder(folder, model.names.canonical)?;
        if let Some(head) = model.tied_head {
            weights.find_embeddings(head, model.names.head);
        }
        weights.entries.values().try_for_each(others::is_not_quantised)?;
        let mut strangers: Vec<&str> = weights.names().filter(|name| others::is_stranger(name)).collect();
        if let Some(head) = model.tied_head.filter(|head| weights.entries.contains_key(*head)) {
            weights.is_copy(head, model.names.head)?;
            strangers.push(head);
        }
        if !strangers.is_empty() {
            let named = one_line(&strangers.join(", "), 200).into_owned();
            tracing::warn!("{}: left out, as they are no weights of the model: {named}", folder.display());
        }
        weights.check(&model.parameters, &strangers)?;
        Ok(weights)
    }

    /// Savers that write a shared tensor once may have kept either name of it.
    fn find_embeddings(&mut self, head: &str, embeddings: &str) {
        if !self.entries.contains_key(embeddings)
            && let Some(stored) = self.entries.remove(head)
        {
            self.entries.insert(embeddings.to_owned(), stored);
        }
    }

    /// Checks that the head of a model whose head is its embeddings is the same, where it is there as well.
    fn is_copy(&self, head: &str, embeddings: &str) -> Result<(), ModelError> {
        let (Some(copy), Some(own)) = (self.entries.get(head), self.entries.get(embeddings)) else {
            return Ok(());
        };
        if others::are_equal(copy, own)? {
            return Ok(());
        }
        let fault = format!(
            "{head} differs from {}, which config.json says is the head (tie_word_embeddings is true): set that to false \
             if the head is its own, or remove the tensor",
            own.name
        );
        Err(damaged(&copy.file, fault))
    }

    fn open_folder(folder: &Path, rename: impl Fn(&str) -> String) -> Result<Self, ModelError> {
        let layout = Layout::of(folder)?;
        let mut entries = BTreeMap::new();
        for file in &layout.files {
            for stored in headers(file)? {
                let name = stored.name.clone();
                if entries.insert(rename(&name), stored).is_some() {
                    let name = one_line(&name, 120);
                    return Err(damaged(
                        file,
                        format!("tensor `{name}` stands in two files, or in two spellings"),
                    ));
                }
            }
        }
        layout.check(&entries, rename)?;
        Ok(Self { path: folder.to_owned(), entries, maps: Mutex::default(), told: AtomicBool::new(false) })
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
                let name = one_line(&name, 120);
                return Err(damaged(path, format!("tensor `{name}` is there twice, in two spellings")));
            }
        }
        Ok(Self { path: path.to_owned(), entries, maps: Mutex::default(), told: AtomicBool::new(false) })
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
    /// One error that lists every missing, wrongly shaped and unexpected tensor.
    pub fn check(&self, wanted: &[Parameter], ignored: &[&str]) -> Result<(), ModelError> {
        let mut faults = Vec::new();
        for parameter in wanted {
            match self.entries.get(&parameter.name) {
                None => faults.push(format!("missing {} {:?}", parameter.name, parameter.shape)),
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
            faults.push(format!("unexpected {name} {:?}", self.entries[name].shape));
        }
        if faults.is_empty() { Ok(()) } else { Err(ModelError::Tensors { path: self.path.clone(), faults }) }
    }

    /// Refuses a tensor with a NaN or an infinity in it; one that is not here has none.
    ///
    /// # Errors
    /// [`ModelError::NotFinite`], and if its bytes cannot be read.
    pub fn is_finite(&self, name: &str) -> Result<(), ModelError> {
        self.entries.get(name).map_or(Ok(()), |entry| entry.is_finite(&entry.read()?, NOT_FINITE))
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
        let entry = self.entry(name, shape)?;
        let data = match dtype {
            DType::F32 => self.wide(entry, shape)?,
            _ => self.data(entry, shape)?.convert_dtype(dtype),
        };
        Ok(Tensor::from_data(data, (device, dtype)))
    }

    /// The same where it lies, if it can be had so: `device` is the CPU, it is stored as `dtype` and on its alignment. Its values are
    /// then those of the file, mapped into memory, which all processes of the machine have together; see
    /// [`vigos_mapped::map`] for what becomes of them when the file changes.
    ///
    /// # Errors
    /// As [`Weights::tensor`].
    pub fn mapped<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        device: &Device,
        dtype: DType,
    ) -> Result<Tensor<D>, ModelError> {
        let entry = self.entry(name, shape)?;
        let mapped = if on_cpu(device) && entry.float() == Some(dtype) { self.map(entry) } else { None };
        let Some(bytes) = mapped else { return self.tensor(name, shape, device, dtype) };
        self.look_at(entry, &bytes);
        let bytes = Bytes::from_shared(bytes, AllocationProperty::File);
        let data = TensorData::try_from_bytes(bytes, shape, dtype);
        let data = data.map_err(|e| damaged(&entry.file, format!("tensor `{name}`: {e}")))?;
        Ok(Tensor::from_data(data, (device, dtype)))
    }

    /// The bytes of a tensor in its mapped file; nothing where the file cannot be mapped, has become shorter, or the tensor lies
    /// between two values.
    fn map(&self, entry: &Stored) -> Option<bytes::Bytes> {
        let mut maps = self.maps.lock().unwrap_or_else(PoisonError::into_inner);
        if !maps.contains_key(&entry.file) {
            let map = vigos_mapped::map(&files::open(&entry.file).ok()?).ok()?;
            maps.insert(entry.file.clone(), map);
        }
        let (file, start) = (maps.get(&entry.file)?, usize::try_from(entry.start).ok()?);
        let end = start.checked_add(entry.bytes).filter(|end| *end <= file.len())?;
        let bytes = file.slice(start..end);
        (bytes.as_ptr() as usize).is_multiple_of(entry.bytes_per_value()).then_some(bytes)
    }

    /// Reads the values of one tensor, row by row, in f32.
    ///
    /// # Errors
    /// As [`Weights::tensor`].
    pub fn rows(&self, name: &str, shape: [usize; 2]) -> Result<Vec<f32>, ModelError> {
        let data = self.wide(self.entry(name, shape)?, shape)?;
        data.try_into_vec().map_err(|e| damaged(&self.path, format!("tensor `{name}`: {e}")))
    }

    /// Where a tensor of this shape lies, which has values that weights may have.
    fn entry<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<&Stored, ModelError> {
        let fault = |line: String| ModelError::Tensors { path: self.path.clone(), faults: vec![line] };
        let entry = self.entries.get(name).ok_or_else(|| fault(format!("missing {name} {shape:?}")))?;
        if entry.shape.iter().product::<usize>() != shape.iter().product::<usize>() {
            return Err(fault(format!("wrong shape {name}: found {:?}, wanted {shape:?}", entry.shape)));
        }
        match entry.float() {
            Some(_) => Ok(entry),
            None => {
                Err(fault(format!("wrong dtype {name}: found {:?}, wanted F32, F16 or BF16", entry.dtype)))
            }
        }
    }

    /// The values of a tensor as they are stored.
    fn data<const D: usize>(&self, entry: &Stored, shape: [usize; D]) -> Result<TensorData, ModelError> {
        let bytes = entry.read()?;
        self.look_at(entry, &bytes);
        TensorData::try_from_bytes_vec(bytes, shape, entry.float().unwrap_or(DType::F32))
            .map_err(|e| damaged(&entry.file, format!("tensor `{}`: {e}", entry.name)))
    }

    /// The values of a tensor in f32: as they are read where they are that, else widened.
    fn wide<const D: usize>(&self, entry: &Stored, shape: [usize; D]) -> Result<TensorData, ModelError> {
        if entry.float() == Some(DType::F32) {
            return self.data(entry, shape);
        }
        let bytes = entry.read()?;
        self.look_at(entry, &bytes);
        Ok(TensorData::new(entry.widened(&bytes), shape))
    }

    /// Tells the first tensor that is not finite. It is not refused: what is read may not be what is broken, such as the row of
    /// a token that never comes.
    fn look_at(&self, entry: &Stored, bytes: &[u8]) {
        if let Err(error) = entry.is_finite(bytes, NOT_FINITE)
            && !self.told.swap(true, Ordering::Relaxed)
        {
            tracing::warn!("{error}");
        }
    }
}

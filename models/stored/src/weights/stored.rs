//! Tensors where they lie in a safetensors file, from its header alone.

use crate::error::ModelError;
use burn::tensor::DType;
use rayon::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use vigos_core::files;
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
    /// Where in the file it begins.
    pub(super) start: u64,
}

impl Stored {
    /// Its bytes, little-endian and row-major.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&self) -> Result<Vec<u8>, ModelError> {
        let mut bytes = vec![0; self.bytes];
        self.open()?.read_exact(&mut bytes).map_err(|source| self.failed(source))?;
        Ok(bytes)
    }

    /// Refuses bytes of it that are a NaN or an infinity; `why` says where they come from.
    ///
    /// # Errors
    /// [`ModelError::NotFinite`] with the place of the first.
    pub fn is_finite(&self, bytes: &[u8], why: &str) -> Result<(), ModelError> {
        // Sign, exponent and fraction: a number is not finite where every bit of the exponent is set.
        let half = |exponent: u16| move |value: &[u8; 2]| u16::from_le_bytes(*value) & exponent == exponent;
        let found = match self.dtype {
            Dtype::F32 => first(bytes, |value| u32::from_le_bytes(*value) & 0x7f80_0000 == 0x7f80_0000),
            Dtype::BF16 => first(bytes, half(0x7f80)),
            Dtype::F16 => first(bytes, half(0x7c00)),
            _ => None,
        };
        found.map_or(Ok(()), |at| {
            Err(ModelError::NotFinite {
                path: self.file.clone(),
                tensor: self.name.clone(),
                found: format!("value {at} {why}"),
            })
        })
    }

    /// Bytes of it in f32, where it has 16 bits a value; all cores widen them.
    pub(super) fn widened(&self, bytes: &[u8]) -> Vec<f32> {
        /// Values that a core widens at a time.
        const PART: usize = 1 << 16;
        fn widened(bytes: &[u8], widen: impl Fn(&[u8; 2]) -> f32 + Sync) -> Vec<f32> {
            let values = bytes.as_chunks().0;
            let mut floats = vec![0.0; values.len()];
            floats.par_chunks_mut(PART).zip(values.par_chunks(PART)).for_each(|(floats, values)| {
                floats.iter_mut().zip(values).for_each(|(float, value)| *float = widen(value));
            });
            floats
        }
        match self.dtype {
            Dtype::BF16 => widened(bytes, |value| half::bf16::from_le_bytes(*value).to_f32()),
            _ => widened(bytes, |value| half::f16::from_le_bytes(*value).to_f32()),
        }
    }

    /// Its bytes, to be read a part at a time.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub(super) fn open(&self) -> Result<std::io::Take<File>, ModelError> {
        let mut file = files::open(&self.file).map_err(|source| self.failed(source))?;
        file.seek(SeekFrom::Start(self.start)).map_err(|source| self.failed(source))?;
        Ok(file.take(self.bytes as u64))
    }

    /// The error that the file cannot be read.
    pub(super) fn failed(&self, source: std::io::Error) -> ModelError {
        ModelError::Read { path: self.file.clone(), source }
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

/// The place of the first value that `is` so; all cores look, which is also how a mapped file is read from the disk.
fn first<const N: usize>(bytes: &[u8], is: impl Fn(&[u8; N]) -> bool + Sync) -> Option<usize> {
    /// Values that are looked at without a way out in between, as vector units do it.
    const BLOCK: usize = 1 << 16;
    let (values, _) = bytes.as_chunks::<N>();
    let has_one = |block: &[[u8; N]]| block.iter().fold(false, |any, value| any | is(value));
    let block = values.par_chunks(BLOCK).position_first(has_one)?;
    let start = block * BLOCK;
    values.iter().skip(start).position(is).map(|at| start + at)
}

/// The tensors of one file.
///
/// # Errors
/// If it cannot be read, or its header is damaged or does not describe its data.
pub(super) fn headers(path: &Path) -> Result<Vec<Stored>, ModelError> {
    let read = |source| ModelError::Read { path: path.to_owned(), source };
    let mut file = files::open(path).map_err(read)?;
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
    let metadata: Metadata = serde_json::from_slice(&header)
        .map_err(|e| damaged(path, one_line(&e.to_string(), 300).into_owned()))?;
    let data = size - 8 - length;
    if metadata.data_len() as u64 != data {
        return Err(damaged(
            path,
            format!(
                "the header describes {} bytes of data, the file has {data}: {}",
                metadata.data_len(),
                if (metadata.data_len() as u64) < data {
                    "something was appended to it"
                } else {
                    "truncated?"
                }
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

/// The error that a file is not what it should be.
pub(super) fn damaged(path: &Path, message: String) -> ModelError {
    ModelError::Safetensors { path: path.to_owned(), message }
}

//! What goes to the hub of a folder: the files that make up a model or an adapter, by their hashes.

use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};
use vigos_core::files::{FileError, Progress};

use crate::content::{Which, is_adapter_folder, is_model_folder, is_sent};
use crate::error::HubError;

/// Files that one repository is sent at most.
const MOST_FILES: usize = 1000;
const BUFFER: usize = 1 << 20;

/// What goes: the files of a folder, and texts that are in no folder.
#[derive(Debug)]
pub struct Parcel {
    files: Vec<Item>,
    left_out: Vec<String>,
}

/// A file that goes.
#[derive(Debug, Serialize)]
pub struct Item {
    /// Its name in the repository.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    #[serde(skip)]
    from: Origin,
}

#[derive(Debug)]
enum Origin {
    File(PathBuf),
    Text(Vec<u8>),
}

impl Parcel {
    /// The files of the model or the adapter in `folder`; `progress` sees large ones being hashed.
    ///
    /// # Errors
    /// [`HubError::Parcel`] if there is no model and no adapter in it, or a file leads out of it;
    /// [`HubError::File`] if one cannot be read.
    pub fn of(folder: &Path, which: Which, progress: &mut Progress) -> Result<Self, HubError> {
        let fault = |path: &Path, reason: &str| HubError::Parcel { path: path.into(), reason: reason.into() };
        let inside =
            fs::canonicalize(folder).map_err(|e| fault(folder, &format!("cannot be opened: {e}")))?;
        let (mut names, mut left_out) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(folder).map_err(|e| fault(folder, &format!("cannot be listed: {e}")))? {
            let entry = entry.map_err(|e| FileError::io("list", folder, e))?;
            // Names that are no text are of no model.
            let Ok(name) = entry.file_name().into_string() else { continue };
            match is_sent(&name, which) && !entry.path().is_dir() {
                true => names.push(name),
                false => left_out.push(name),
            }
        }
        names.sort();
        left_out.sort();
        if !is_model_folder(&names) && !is_adapter_folder(&names) {
            let wanted = "found no model and no adapter; wanted a folder with config.json and *.safetensors, or with \
                          adapter_config.json and adapter_model.safetensors";
            return Err(fault(folder, wanted));
        }
        if names.len() > MOST_FILES {
            return Err(fault(
                folder,
                &format!("found {} files, at most {MOST_FILES} are sent", names.len()),
            ));
        }
        let mut files = Vec::new();
        for name in names {
            let path = folder.join(&name);
            let real = fs::canonicalize(&path).map_err(|e| FileError::io("open", &path, e))?;
            if !real.starts_with(&inside) {
                return Err(fault(
                    &path,
                    "it is a link that leads out of the folder; put the file itself there",
                ));
            }
            if !real.is_file() {
                return Err(fault(&path, "it is no file"));
            }
            let (size, sha256) = hashed(&name, &real, progress)?;
            files.push(Item { name, size, sha256, from: Origin::File(real) });
        }
        Ok(Self { files, left_out })
    }

    /// The same with this text as a file of that name, whatever the folder has under it.
    pub fn with(mut self, name: &str, text: String) -> Self {
        let bytes = text.into_bytes();
        let item = Item {
            name: name.to_owned(),
            size: bytes.len() as u64,
            sha256: hex(&Sha256::digest(&bytes)),
            from: Origin::Text(bytes),
        };
        self.files.retain(|file| file.name != name);
        self.files.push(item);
        self.files.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }

    /// The files, by their names.
    pub fn files(&self) -> &[Item] {
        &self.files
    }

    /// The text that stands in for a file of that name.
    pub fn text(&self, name: &str) -> Option<&str> {
        match &self.files.iter().find(|file| file.name == name)?.from {
            Origin::Text(bytes) => std::str::from_utf8(bytes).ok(),
            Origin::File(_) => None,
        }
    }

    /// What the folder has besides.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }
}

impl Display for Parcel {
    /// A line for each file: bytes, hash, name; and what is left out.
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for Item { name, size, sha256, .. } in &self.files {
            writeln!(out, "{size:>14}  {sha256}  {name}")?;
        }
        let all: u64 = self.files.iter().map(|file| file.size).sum();
        write!(out, "{all:>14}  bytes in {} files", self.files.len())?;
        if self.left_out.is_empty() { Ok(()) } else { write!(out, "; not {}", self.left_out.join(", ")) }
    }
}

impl Item {
    /// `length` bytes of it from `start` on.
    pub(crate) fn part(&self, start: u64, length: u64) -> io::Result<Box<dyn Read>> {
        Ok(match &self.from {
            Origin::Text(bytes) => {
                let mut all = Cursor::new(bytes.clone());
                all.set_position(start);
                Box::new(all.take(length))
            }
            Origin::File(path) => {
                let mut file = File::open(path)?;
                if file.metadata()?.len() != self.size {
                    return Err(changed());
                }
                file.seek(SeekFrom::Start(start))?;
                Box::new(Whole { file: file.take(length), left: length })
            }
        })
    }

    /// Its first bytes, by which the hub tells texts from other files.
    pub(crate) fn beginning(&self, most: u64) -> Result<Vec<u8>, HubError> {
        self.read(self.size.min(most))
    }

    /// All of it.
    pub(crate) fn content(&self) -> Result<Vec<u8>, HubError> {
        let bytes = self.read(self.size)?;
        if hex(&Sha256::digest(&bytes)) == self.sha256 { Ok(bytes) } else { Err(self.fault(&changed())) }
    }

    fn read(&self, length: u64) -> Result<Vec<u8>, HubError> {
        let mut bytes = Vec::new();
        let mut part = self.part(0, length).map_err(|e| self.fault(&e))?;
        part.read_to_end(&mut bytes).map_err(|e| self.fault(&e))?;
        Ok(bytes)
    }

    fn fault(&self, error: &io::Error) -> HubError {
        HubError::Parcel { path: self.name.clone().into(), reason: format!("cannot be read: {error}") }
    }
}

/// A part of a file that has as many bytes as was said, or fails.
struct Whole {
    file: io::Take<File>,
    left: u64,
}

impl Read for Whole {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        if count == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(changed());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

fn changed() -> io::Error {
    io::Error::other("it changed while it was read; try again when nothing writes to it")
}

/// Size and SHA-256 of a file.
fn hashed(name: &str, path: &Path, progress: &mut Progress) -> Result<(u64, String), FileError> {
    let failed = |e| FileError::io("read", path, e);
    let mut file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let (mut hash, mut buffer, mut at) = (Sha256::new(), vec![0; BUFFER], 0);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((at, hex(&hash.finalize()))),
            Ok(count) => {
                hash.update(buffer.get(..count).unwrap_or_default());
                at += count as u64;
                progress(name, at, size.max(at));
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(failed(e)),
        }
    }
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! What a folder must hold: the name, size and hash of every file, written when all of them are done.
//!
//! A folder without a manifest is unfinished; a reader trusts only the files that the manifest names.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::files::{self, FileError};

/// The manifest's own file name.
pub const MANIFEST: &str = "manifest.json";

/// A manifest of a few thousand files is far below this.
const MAX_MANIFEST_BYTES: u64 = 16 << 20;

/// The files of one folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// By file name.
    pub files: BTreeMap<String, Entry>,
}

/// One file of a [`Manifest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// In bytes.
    pub size: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

/// Why a manifest could not be written, or does not hold.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// A file could not be read or written; also a folder that has no manifest.
    #[error(transparent)]
    File(#[from] FileError),
    /// The folder has something that a manifest cannot name.
    #[error("{} cannot be listed in {MANIFEST}: it is {why}; move it elsewhere", path.display())]
    Unlistable {
        /// The entry.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The manifest is not what [`Manifest::write`] makes.
    #[error("{} is not a manifest: {source}; the folder is damaged, use another one", path.display())]
    Malformed {
        /// The manifest.
        path: PathBuf,
        /// Where and why parsing stopped.
        source: serde_json::Error,
    },
    /// Files are missing or differ.
    #[error("{} does not hold what its {MANIFEST} names: {}; use another one", folder.display(), listed(mismatches))]
    Mismatches {
        /// The folder.
        folder: PathBuf,
        /// Every file that is wrong, with how, sorted by name.
        mismatches: Vec<(String, Mismatch)>,
    },
}

/// How a file differs from its [`Entry`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// No such regular file.
    #[error("missing")]
    Missing,
    /// The size differs.
    #[error("found {found} bytes, wanted {wanted}")]
    Size {
        /// In bytes.
        found: u64,
        /// In bytes.
        wanted: u64,
    },
    /// The size is right and the content is not.
    #[error("found SHA-256 {found}, wanted {wanted}")]
    Hash {
        /// In hexadecimal.
        found: String,
        /// In hexadecimal.
        wanted: String,
    },
    /// The manifest names something that is not a file name.
    #[error("not a file name")]
    Name,
}

impl Manifest {
    /// Hashes and syncs every file of `dir` and writes `manifest.json` there, atomically and last.
    ///
    /// # Errors
    /// [`ManifestError::Unlistable`] if `dir` has a sub-folder, a link or a name that is not UTF-8, as the
    /// manifest would otherwise vouch for a part only; [`ManifestError::File`].
    pub fn write(dir: &Path) -> Result<Self, ManifestError> {
        let list_failed = |e| FileError::io("list", dir, e);
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(dir).map_err(list_failed)? {
            let entry = entry.map_err(list_failed)?;
            let path = entry.path();
            if !entry.file_type().map_err(list_failed)?.is_file() {
                return Err(ManifestError::Unlistable { path, why: "not a regular file" });
            }
            let Ok(name) = entry.file_name().into_string() else {
                return Err(ManifestError::Unlistable { path, why: "a name that is not UTF-8" });
            };
            if name != MANIFEST {
                let described = sync(&path)
                    .and_then(|()| describe(&path))
                    .map_err(|e| FileError::io("read", &path, e))?;
                files.insert(name, described);
            }
        }
        let manifest = Self { files };
        files::write_atomic(&dir.join(MANIFEST), |w| {
            serde_json::to_writer_pretty(&mut *w, &manifest)?;
            w.write_all(b"\n")
        })?;
        Ok(manifest)
    }

    /// Reads the manifest of `dir` and checks every file that it names. Files that it does not name are not
    /// looked at.
    ///
    /// # Errors
    /// [`ManifestError::Mismatches`] with every file that is missing or differs; [`ManifestError::File`] or
    /// [`ManifestError::Malformed`] for the manifest itself.
    pub fn verify(dir: &Path) -> Result<Self, ManifestError> {
        let path = dir.join(MANIFEST);
        let text = files::read_limited(&path, MAX_MANIFEST_BYTES)?;
        let manifest: Self =
            serde_json::from_slice(&text).map_err(|source| ManifestError::Malformed { path, source })?;
        let mut mismatches = Vec::new();
        for (name, entry) in &manifest.files {
            if let Some(mismatch) = entry.mismatch(dir, name)? {
                mismatches.push((name.clone(), mismatch));
            }
        }
        if mismatches.is_empty() {
            Ok(manifest)
        } else {
            Err(ManifestError::Mismatches { folder: dir.to_owned(), mismatches })
        }
    }
}

impl Entry {
    /// How the file `name` of `dir` differs, if it does.
    fn mismatch(&self, dir: &Path, name: &str) -> Result<Option<Mismatch>, FileError> {
        if name.is_empty() || name.starts_with("..") || name.contains(['/', '\\', ':', '\0']) {
            return Ok(Some(Mismatch::Name));
        }
        let path = dir.join(name);
        let size = match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => metadata.len(),
            Ok(_) => return Ok(Some(Mismatch::Missing)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Some(Mismatch::Missing)),
            Err(e) => return Err(FileError::io("read", &path, e)),
        };
        // A wrong size needs no hash, which on a large file takes a while.
        if size != self.size {
            return Ok(Some(Mismatch::Size { found: size, wanted: self.size }));
        }
        let found = describe(&path).map_err(|e| FileError::io("read", &path, e))?.sha256;
        Ok((found != self.sha256).then(|| Mismatch::Hash { found, wanted: self.sha256.clone() }))
    }
}

/// Size and hash of a file, read once.
fn describe(path: &Path) -> io::Result<Entry> {
    let mut file = files::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    let mut size = 0;
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        hasher.update(buffer.get(..read).unwrap_or_default());
        size += read as u64;
    }
    let sha256 = hasher.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    Ok(Entry { size, sha256 })
}

/// Forces a file's content to disk, so that a manifest never outlives what it names.
fn sync(path: &Path) -> io::Result<()> {
    // Windows syncs only through a handle that may write.
    File::options().read(true).write(cfg!(windows)).open(path)?.sync_all()
}

/// The mismatches in one line.
fn listed(mismatches: &[(String, Mismatch)]) -> String {
    let each: Vec<_> = mismatches.iter().map(|(name, mismatch)| format!("{name} ({mismatch})")).collect();
    each.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in [("a.bin", "abc"), ("b.json", "{}"), ("c", "")] {
            fs::write(dir.path().join(name), content).unwrap();
        }
        dir
    }

    #[test]
    fn a_manifest_names_every_file_but_itself_and_verifies() {
        let dir = folder();
        let manifest = Manifest::write(dir.path()).unwrap();
        assert_eq!(manifest.files.keys().collect::<Vec<_>>(), ["a.bin", "b.json", "c"]);
        // The published SHA-256 test vector for "abc".
        let wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(manifest.files["a.bin"], Entry { size: 3, sha256: wanted.to_owned() });
        assert_eq!(Manifest::verify(dir.path()).unwrap(), manifest);
        assert_eq!(Manifest::write(dir.path()).unwrap(), manifest, "written again, over the first");
    }

    #[test]
    fn every_file_that_differs_is_listed_with_how() {
        let dir = folder();
        Manifest::write(dir.path()).unwrap();
        fs::write(dir.path().join("a.bin"), "abd").unwrap();
        fs::write(dir.path().join("b.json"), "{ }").unwrap();
        fs::remove_file(dir.path().join("c")).unwrap();
        let error = Manifest::verify(dir.path()).unwrap_err();
        let text = error.to_string();
        let ManifestError::Mismatches { mismatches, .. } = error else { panic!("{text}") };
        let names: Vec<_> = mismatches.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a.bin", "b.json", "c"]);
        assert!(matches!(mismatches[0].1, Mismatch::Hash { .. }));
        assert_eq!(mismatches[1].1, Mismatch::Size { found: 3, wanted: 2 });
        assert_eq!(mismatches[2].1, Mismatch::Missing);
        assert!(names.iter().all(|name| text.contains(name)), "{text}");
    }

    #[test]
    fn a_file_that_the_manifest_does_not_name_is_no_fault() {
        let dir = folder();
        Manifest::write(dir.path()).unwrap();
        fs::write(dir.path().join("notes.txt"), "mine").unwrap();
        Manifest::verify(dir.path()).unwrap();
    }

    #[test]
    fn a_sub_folder_is_refused() {
        let dir = folder();
        fs::create_dir(dir.path().join("sub")).unwrap();
        let error = Manifest::write(dir.path()).unwrap_err();
        assert!(matches!(error, ManifestError::Unlistable { .. }), "{error}");
        assert!(!dir.path().join(MANIFEST).exists());
    }

    #[test]
    fn a_folder_without_a_manifest_or_with_a_broken_one_does_not_verify() {
        let dir = folder();
        assert!(matches!(Manifest::verify(dir.path()), Err(ManifestError::File(_))));
        for text in ["", "{", "{\"files\": 3}", "[]"] {
            fs::write(dir.path().join(MANIFEST), text).unwrap();
            assert!(matches!(Manifest::verify(dir.path()), Err(ManifestError::Malformed { .. })), "{text}");
        }
    }

    #[test]
    fn a_name_that_leaves_the_folder_is_not_followed() {
        let dir = folder();
        let entry = Entry { size: 0, sha256: String::new() };
        for name in ["../secret", "/etc/passwd", "sub/x", "..", ""] {
            let files = BTreeMap::from([(name.to_owned(), entry.clone())]);
            let text = serde_json::to_vec(&Manifest { files }).unwrap();
            fs::write(dir.path().join(MANIFEST), text).unwrap();
            let error = Manifest::verify(dir.path()).unwrap_err();
            let ManifestError::Mismatches { mismatches, .. } = error else { panic!("{name}: {error}") };
            assert_eq!(mismatches, [(name.to_owned(), Mismatch::Name)]);
        }
    }
}

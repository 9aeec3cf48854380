//! One writer at a time in a folder, by a lock that the system drops with its process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::files::FileError;

/// The file that is locked. It stays: removing it would let a third process lock another file of that name.
const NAME: &str = ".lock";
/// What is read of a holder's line.
const MOST: u64 = 200;

/// Why a folder could not be locked.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{}: another process is using this folder{}; wait for it, or name another folder", path.display(), named(holder))]
    Held {
        /// The folder.
        path: PathBuf,
        /// What the holder wrote of itself; may be empty.
        holder: String,
    },
    /// The lock's file could not be opened or written.
    #[error(transparent)]
    File(#[from] FileError),
}

fn named(holder: &str) -> String {
    if holder.is_empty() { String::new() } else { format!(" ({holder})") }
}

/// A folder that is this process's own until the last clone is dropped, or the process ends in whatever way.
#[derive(Clone, Debug)]
pub struct FolderLock {
    _file: Option<Arc<File>>,
}

impl FolderLock {
    /// Locks a folder that is there. A file system without locks is used without one.
    ///
    /// # Errors
    /// [`LockError::Held`] if another holder has it, in this process or another, and if the folder cannot be written to.
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join(NAME);
        let failed = |action, e| FileError::io(action, &path, e);
        if std::fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Err(FileError::NotAFile { path }.into());
        }
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(|e| failed("create", e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { path: folder.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {
                return Ok(Self { _file: None });
            }
            Err(TryLockError::Error(e)) => return Err(failed("lock", e).into()),
        }
        // For the reader's eyes; what locks is the system's.
        let line = format!("process {}\n", std::process::id());
        let written =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(line.as_bytes()));
        written.map_err(|e| failed("write", e))?;
        Ok(Self { _file: Some(Arc::new(file)) })
    }
}

/// The first line of a lock's file, without control characters.
fn holder(file: &mut File) -> String {
    let mut text = Vec::new();
    // Where locks bind readers too, nothing can be said.
    let _ = file.take(MOST).read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder_at_a_time_who_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let first = FolderLock::take(dir.path()).unwrap();
        let clone = first.clone();
        drop(first);
        let refused = FolderLock::take(dir.path()).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        assert!(refused.contains("another process"), "{refused}");
        drop(clone);
        FolderLock::take(dir.path()).unwrap();
    }

    #[test]
    fn what_a_dead_holder_left_behind_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(NAME), "process 4000000 with a longer line than the next one\n")
            .unwrap();
        let _held = FolderLock::take(dir.path()).unwrap();
        let line = std::fs::read_to_string(dir.path().join(NAME)).unwrap();
        assert_eq!(line, format!("process {}\n", std::process::id()));
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let refused = FolderLock::take(&dir.path().join("absent")).unwrap_err();
        assert!(
            matches!(&refused, LockError::File(_)) && refused.to_string().contains("absent"),
            "{refused}"
        );
    }
}

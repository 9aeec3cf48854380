//! Folders that are replaced by others, so that one of both is always there.
//!
//! No system call that every platform has exchanges two folders. The old one is put aside under a name that tells what
//! it was, the new one takes its place, and the old one goes; [`mend`] puts back what a crash in between left aside.

use std::fs;
use std::path::{Path, PathBuf};

use crate::files::{FileError, folder_of, sync_folder};

const ASIDE: &str = ".old-";

/// Puts the folder `new` in the place of `target`, which may be there; both have the same parent.
///
/// # Errors
/// [`FileError::Io`] if a step fails; `target` is then the old one, the new one, or put back by [`mend`].
pub fn replace(new: &Path, target: &Path) -> Result<(), FileError> {
    let aside = aside(target);
    mend_one(&aside, target)?;
    let replaces = target.exists();
    if replaces {
        fs::rename(target, &aside).map_err(|e| FileError::io("rename", target, e))?;
    }
    fs::rename(new, target).map_err(|e| FileError::io("rename", new, e))?;
    sync_folder(folder_of(target))?;
    if replaces {
        fs::remove_dir_all(&aside).map_err(|e| FileError::io("remove", &aside, e))?;
    }
    Ok(())
}

/// Ends what a crash interrupted in [`replace`], for every folder in `parent`: the old one is put back where the new
/// one did not come, and goes where it did.
///
/// # Errors
/// [`FileError::Io`] if a folder cannot be listed, moved or removed.
pub fn mend(parent: &Path) -> Result<(), FileError> {
    let failed = |e| FileError::io("list", parent, e);
    for entry in fs::read_dir(parent).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str()?.strip_prefix(ASIDE));
        if let Some(name) = name {
            mend_one(&path, &parent.join(name))?;
        }
    }
    Ok(())
}

fn mend_one(aside: &Path, target: &Path) -> Result<(), FileError> {
    match (aside.is_dir(), target.exists()) {
        (true, true) => fs::remove_dir_all(aside).map_err(|e| FileError::io("remove", aside, e)),
        (true, false) => fs::rename(aside, target).map_err(|e| FileError::io("rename", aside, e)),
        (false, _) => Ok(()),
    }
}

fn aside(target: &Path) -> PathBuf {
    target.with_file_name(format!("{ASIDE}{}", target.file_name().unwrap_or_default().to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(parent: &Path, name: &str, text: &str) -> PathBuf {
        let path = parent.join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), text).unwrap();
        path
    }

    fn names(parent: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(parent).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_takes_the_place_of_another_and_nothing_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["first", "second"] {
            let new = folder(dir.path(), ".writing-a", text);
            replace(&new, &dir.path().join("a")).unwrap();
            assert_eq!(fs::read_to_string(dir.path().join("a/file")).unwrap(), text);
            assert_eq!(names(dir.path()), ["a"]);
        }
    }

    #[test]
    fn whatever_step_was_the_last_one_of_the_two_folders_is_there_after_mending() {
        // Between both renames: the old one is put back.
        let dir = tempfile::tempdir().unwrap();
        folder(dir.path(), ".old-a", "old");
        folder(dir.path(), ".writing-a", "new");
        mend(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("a/file")).unwrap(), "old");
        // Behind the second one: the new one stays.
        let dir = tempfile::tempdir().unwrap();
        folder(dir.path(), ".old-a", "old");
        folder(dir.path(), "a", "new");
        mend(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("a/file")).unwrap(), "new");
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[test]
    fn a_replacement_that_fails_leaves_the_old_folder() {
        let dir = tempfile::tempdir().unwrap();
        let target = folder(dir.path(), "a", "old");
        assert!(replace(&dir.path().join("absent"), &target).is_err());
        mend(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "old");
    }
}

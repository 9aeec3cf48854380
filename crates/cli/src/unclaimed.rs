//! Where a command may write.

use crate::error::CliError;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use vigos_models::folder::occupied;

/// Refuses a place for a new model that holds something, before anything is fetched or made for it.
///
/// # Errors
/// If it does, or is no folder.
pub(crate) fn unclaimed(out: &Path) -> Result<(), CliError> {
    match occupied(out) {
        None => Ok(()),
        Some(found) => Err(CliError::input(
            "--out",
            format!("{}: {found}", out.display()),
            "name an empty or a new folder",
        )),
    }
}

/// What `work` makes of a new folder; one that was not there before is gone again where that fails.
///
/// # Errors
/// As `work`.
pub(crate) fn filled<T>(out: &Path, work: impl FnOnce() -> Result<T, CliError>) -> Result<T, CliError> {
    let was_there = out.exists();
    let done = work();
    if done.is_err() && !was_there {
        let _ = fs::remove_dir_all(out);
    }
    done
}

/// Refuses to write `what`, a text that begins with one of `starts`, in the place of a file that is something else: a mistaken
/// name must not cost an input.
///
/// # Errors
/// If there is such a file; the message names the argument `key`.
pub(crate) fn unless_other(key: &str, path: &Path, starts: &[&str], what: &str) -> Result<(), CliError> {
    let mut found = Vec::new();
    let is_file = path.metadata().map_or(true, |found| found.is_file());
    if is_file {
        // What cannot be read is told by whoever writes there.
        let _ = File::open(path).and_then(|file| file.take(64).read_to_end(&mut found));
    }
    let begins = |with: &[u8]| found.get(..with.len()).is_some_and(|found| found.eq_ignore_ascii_case(with));
    if is_file && (found.is_empty() || starts.iter().any(|start| begins(start.as_bytes()))) {
        return Ok(());
    }
    let message = format!("found {}, which is there and is not {what}", path.display());
    Err(CliError::input(key, message, "name a new file, or remove this one"))
}

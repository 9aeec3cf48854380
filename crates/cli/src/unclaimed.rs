//! Folders that a command may write to.

use crate::error::CliError;
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

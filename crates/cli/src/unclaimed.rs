//! Folders that a command may write to.

use crate::error::CliError;
use std::path::Path;

/// Refuses a place for a new model that holds something: it would be read as part of the model.
///
/// # Errors
/// If it does, or is no folder.
pub(crate) fn unclaimed(out: &Path) -> Result<(), CliError> {
    let found = match std::fs::read_dir(out).map(|mut entries| entries.next().is_none()) {
        Ok(true) => return Ok(()),
        Ok(_) if out.join("config.json").exists() => "there is a model already",
        Ok(_) => "the folder is not empty",
        Err(_) if out.exists() => "this is no folder that can be read",
        Err(_) => return Ok(()),
    };
    Err(CliError::input("--out", format!("{}: {found}", out.display()), "name an empty or a new folder"))
}

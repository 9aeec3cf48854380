//! Folders that a command may write to.

use crate::error::CliError;
use std::path::Path;

/// Refuses a folder for a new model that holds one.
///
/// # Errors
/// If it does.
pub(crate) fn unclaimed(out: &Path) -> Result<(), CliError> {
    if out.join("config.json").exists() {
        let found = format!("{}: there is a model already", out.display());
        return Err(CliError::input("--out", found, "name an empty or a new folder"));
    }
    Ok(())
}

//! What an installed command brings along: the first job, completions of shells, the manual.

use crate::args::{Cli, CompletionsArgs, ExampleArgs, ManArgs};
use crate::error::CliError;
use clap::CommandFactory;
use std::fs::create_dir_all;
use vigos_core::files::FileError;
use vigos_terminal::output::{self, note};

/// Writes the first job into a folder.
///
/// # Errors
/// If there is something in the folder, or it cannot be written.
pub(crate) fn example(args: &ExampleArgs) -> Result<(), CliError> {
    vigos::example::write(&args.out)?;
    note(&format!(
        "the first job is in {0}; to run it:\n  cd {0}\n  vigos train {1}",
        args.out.display(),
        vigos::example::RECIPE
    ));
    Ok(())
}

/// Writes the completions of a shell to stdout.
///
/// # Errors
/// If stdout cannot be written to.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "vigos", &mut script);
    Ok(output::data(String::from_utf8_lossy(&script).trim_end())?)
}

/// Writes the manual.
///
/// # Errors
/// If the folder or stdout cannot be written to.
pub(crate) fn man(args: &ManArgs) -> Result<(), CliError> {
    let failed = |error| CliError::Failed(format!("the manual cannot be written: {error}"));
    match &args.out {
        Some(folder) => {
            create_dir_all(folder)
                .map_err(|e| CliError::Failed(FileError::io("create", folder, e).to_string()))?;
            clap_mangen::generate_to(Cli::command(), folder).map_err(failed)
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(failed)?;
            output::data(String::from_utf8_lossy(&page).trim_end())?;
            Ok(())
        }
    }
}

//! `vigos compare`: runs side by side.

use crate::args::CompareArgs;
use crate::error::CliError;
use vigos_eval::compare;
use vigos_terminal::output;

/// Runs the command.
///
/// # Errors
/// If a folder has nothing of a run, or a file of it cannot be read.
pub(crate) fn run(args: &CompareArgs) -> Result<(), CliError> {
    let comparison = compare(&args.runs)?;
    if args.json {
        return Ok(output::json(&comparison)?);
    }
    Ok(output::data(comparison.markdown().trim_end())?)
}

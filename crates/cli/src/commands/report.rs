//! `vigos report`: runs in, one page to look at out.

use crate::args::ReportArgs;
use crate::error::CliError;
use crate::unclaimed::unless_other;
use vigos_report::{Limits, write};
use vigos_terminal::output::note;

/// Runs the command.
///
/// # Errors
/// If a folder has nothing of a run in it, or the page cannot be written.
pub(crate) fn run(args: &ReportArgs) -> Result<(), CliError> {
    unless_other("--out", &args.out, &["<!doctype html"], "a page")?;
    let bytes = write(&args.runs, &args.out, &Limits::default())?;
    note(&format!("report written to {}, {:.1} MB", args.out.display(), bytes as f64 / 1e6));
    Ok(())
}

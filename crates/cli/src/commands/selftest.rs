//! `vigos selftest`: whether a device computes what it should.

use crate::args::SelftestArgs;
use crate::device::{Choice, described};
use crate::error::CliError;
use vigos::kit;
use vigos_selftest::Subject;
use vigos_terminal::output;

/// Runs every check and writes what came of it.
///
/// # Errors
/// If the device is not there, or a check does not pass.
pub(crate) fn run(args: &SelftestArgs, choice: &Choice) -> Result<(), CliError> {
    let device = choice.open()?;
    let (name, described) = (choice.to_string(), described(&device));
    let report = Subject { device: &device, name: &name, described: &described }.checked(&kit());
    if args.json {
        output::json(&report)?
    } else {
        output::data(&report.table())?
    }
    Ok(report.judged(args.fast_math)?)
}

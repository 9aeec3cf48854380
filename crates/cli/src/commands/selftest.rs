//! `vigos selftest`: whether a device computes what it should; and the same before a run on one.

use crate::args::SelftestArgs;
use crate::device::{Choice, described};
use crate::error::CliError;
use burn::tensor::Device;
use vigos::kit;
use vigos_selftest::Subject;
use vigos_terminal::output::{self, note};

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

/// Lets a run begin on a device that computes what it should.
///
/// # Errors
/// If it does not.
pub(super) fn before_a_run(device: &Device, choice: &Choice, fast_math: bool) -> Result<(), CliError> {
    let (name, described) = (choice.to_string(), described(device));
    Ok(Subject { device, name: &name, described: &described }.before_a_run(&kit(), fast_math, &mut note)?)
}

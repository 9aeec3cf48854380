//! `vigos bench`: how fast this build is on a device, against named baselines in the same run.

mod loss;
mod measure;

use crate::args::BenchArgs;
use crate::device::Choice;
use crate::error::CliError;

/// Runs the benchmark that was asked for.
///
/// # Errors
/// If the device is not there, or the sizes make no sense.
pub(crate) fn run(args: &BenchArgs, device: &Choice) -> Result<(), CliError> {
    match args {
        BenchArgs::Loss(args) => loss::run(args, &device.open()?, device),
    }
}

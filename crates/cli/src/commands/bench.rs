//! `vigos bench`: how fast this build is on a device, against named baselines in the same run.

mod loss;

use crate::args::{BenchArgs, BenchDecodeArgs, BenchModelArgs, BenchStepArgs};
use crate::device::Choice;
use crate::error::CliError;
use crate::inference::{base_folder, dtype};
use crate::output;
use serde::Serialize;
use vigos::kit;
use vigos_bench::{BenchError, On, PhaseTimes, decode, step};

/// Runs the benchmark that was asked for.
///
/// # Errors
/// If the device is not there, or the sizes make no sense.
pub(crate) fn run(args: &BenchArgs, device: &Choice, times: &PhaseTimes) -> Result<(), CliError> {
    match args {
        BenchArgs::Loss(args) => loss::run(args, &device.open()?, device),
        BenchArgs::Decode(BenchDecodeArgs { model, batch, prompt, image, new }) => {
            let sizes = decode::Sizes { batch: *batch, prompt: *prompt, image: image.sides(), new: *new };
            let report = measured(model, device, times, |on| decode::run(on, sizes))?;
            written(model, &report, decode::Report::text)
        }
        BenchArgs::Step(BenchStepArgs { model, batch, prompt, image, completion, recompute }) => {
            let (batch, prompt, image, completion) = (*batch, *prompt, image.sides(), *completion);
            let sizes = step::Sizes { batch, prompt, image, completion, keep: recompute.keep() };
            let report = measured(model, device, times, |on| step::run(on, sizes))?;
            written(model, &report, step::Report::text)
        }
    }
}

/// Runs a benchmark on the model and the device that were asked for.
fn measured<T>(
    args: &BenchModelArgs,
    choice: &Choice,
    times: &PhaseTimes,
    run: impl FnOnce(On) -> Result<T, BenchError>,
) -> Result<T, CliError> {
    let (folder, device, families) = (base_folder(&args.model)?, choice.open()?, kit().families);
    let found = run(On {
        folder: &folder,
        families: &families,
        device: &device,
        device_name: &choice.to_string(),
        dtype: dtype(args.precision),
        repeats: args.repeat,
        times,
    });
    found.map_err(|error| match error {
        BenchError::Size { what, found, wanted } => {
            let flag = match what {
                "the image" => "--image",
                "the completion" => "--completion",
                _ => "--prompt",
            };
            CliError::input(flag, format!("found {found}, wanted {wanted}"), "name another size")
        }
        BenchError::Model(error) => error.into(),
        BenchError::Run(error) => error.into(),
        BenchError::Rollout(error) => error.into(),
    })
}

fn written<T: Serialize>(
    args: &BenchModelArgs,
    report: &T,
    text: impl Fn(&T) -> String,
) -> Result<(), CliError> {
    if args.json { output::json(report) } else { output::data(text(report).trim_end()) }
}

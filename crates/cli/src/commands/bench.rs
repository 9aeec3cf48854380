//! `vigos bench`: how fast this build is on a device, against named baselines in the same run.

mod loss;

use crate::args::{BenchArgs, BenchDecodeArgs, BenchKernelsArgs, BenchModelArgs, BenchStepArgs};
use crate::device::Choice;
use crate::error::CliError;
use crate::inference::{base_folder, kept};
use vigos::kit;
use vigos_bench::{Baseline, BenchError, On, PhaseTimes, Report, Work, decode, kernels, step};
use vigos_terminal::output;

/// Runs the benchmark that was asked for.
///
/// # Errors
/// If the device is not there, or the sizes make no sense.
pub(crate) fn run(args: &BenchArgs, device: &Choice, times: &PhaseTimes) -> Result<(), CliError> {
    match args {
        BenchArgs::Loss(args) => loss::run(args, &device.open()?, device),
        BenchArgs::Kernels(BenchKernelsArgs { rows, hidden, inner, vocab, repeats, json }) => {
            let (rows, width, inner, vocabulary, repeats) = (*rows, *hidden, *inner, *vocab, *repeats);
            let sizes = kernels::Sizes { rows, width, inner, vocabulary, repeats };
            let done = &mut |operator: &kernels::Operator| output::note(&operator.to_string());
            let report = kernels::run(sizes, &device.open()?, &device.to_string(), done).map_err(refused)?;
            let written = if *json { output::json(&report) } else { output::data(report.text().trim_end()) };
            Ok(written?)
        }
        BenchArgs::Decode(BenchDecodeArgs { model, batch, prompt, image, new }) => {
            let sizes = decode::Sizes { batch: *batch, prompt: *prompt, image: image.sides(), new: *new };
            measured(model, device, times, &sizes.work(), |on| decode::run(on, sizes))
        }
        BenchArgs::Step(BenchStepArgs { model, batch, prompt, image, completion, recompute }) => {
            let (batch, prompt, image, completion) = (*batch, *prompt, image.sides(), *completion);
            let sizes = step::Sizes { batch, prompt, image, completion, keep: recompute.keep() };
            measured(model, device, times, &sizes.work(), |on| step::run(on, sizes))
        }
    }
}

/// Runs a benchmark on the model and the device that were asked for, and writes its report.
fn measured(
    args: &BenchModelArgs,
    choice: &Choice,
    times: &PhaseTimes,
    work: &Work,
    run: impl FnOnce(On) -> Result<Report, BenchError>,
) -> Result<(), CliError> {
    let baseline = args.against.as_deref().map(Baseline::read).transpose().map_err(refused)?;
    baseline.iter().try_for_each(|baseline| baseline.is_of(work)).map_err(refused)?;
    let (folder, device, families) = (base_folder(&args.model)?, choice.open()?, kit().families);
    let mut report = run(On {
        folder: &folder,
        families: &families,
        device: &device,
        device_name: &choice.to_string(),
        kept: kept(args.precision),
        repeats: args.repeat,
        times,
    })
    .map_err(refused)?;
    if let Some(baseline) = &baseline {
        report = report.against(baseline);
    }
    let written = if args.json { output::json(&report) } else { output::data(report.text().trim_end()) };
    Ok(written?)
}

/// An error as the command says it.
fn refused(error: BenchError) -> CliError {
    match error {
        BenchError::Size { what, found, wanted } => CliError::input(
            what.replacen("the ", "--", 1),
            format!("found {found}, wanted {wanted}"),
            "name another size",
        ),
        BenchError::Baseline { file, found, wanted } => CliError::input(
            "--against",
            format!("{file}: found {found}, wanted {wanted}"),
            "measure the baseline with the same sizes",
        ),
        BenchError::Loss(error) => CliError::Failed(error.to_string()),
        BenchError::Model(error) => error.into(),
        BenchError::Run(error) => error.into(),
        BenchError::Rollout(error) => error.into(),
    }
}

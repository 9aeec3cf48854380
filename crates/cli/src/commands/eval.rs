//! `vigos eval`: a recipe in, a report of its student's answers out.

use crate::args::EvaluateArgs;
use crate::device::Choice;
use crate::error::CliError;
use crate::interrupt::stop_on_interrupt;
use crate::output::{self, note};
use crate::progress::Items;
use crate::recipe;
use burn::tensor::Device;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use vigos::kit;
use vigos_eval::evaluate::begun;
use vigos_eval::{Finished, Options, Report, comparison, evaluate};
use vigos_recipe::Recipe;
use vigos_rollout::Kit;
use vigos_rollout::RunError;

/// Runs the command. Work that is stopped by Ctrl-C keeps what is whole and counts as a success.
///
/// # Errors
/// If the recipe or what it names is wrong, or the device or the disk fails.
pub(crate) fn run(args: &EvaluateArgs, device: &Choice) -> Result<(), CliError> {
    let mut recipe = load(args)?;
    if let Some(data) = &args.data {
        // In the place of all that the recipe would ask.
        (recipe.eval.path, recipe.eval.prior) = (Some(data.clone()), None);
    }
    let run_dir = run_dir(args, "eval");
    let device = device.open()?;
    let stop = stop_on_interrupt()?;
    let mut progress = Items::new();
    let options =
        Options { recipe: &recipe, run_dir: &run_dir, resume: args.resume, kit: &kit(), device: &device };
    let finished = evaluate(&options, &mut progress, &stop);
    progress.finish();
    tell(&finished?, Report::markdown, &run_dir)
}

/// The recipe with the adapter that the arguments name.
///
/// # Errors
/// If it is wrong.
pub(super) fn load(args: &EvaluateArgs) -> Result<Recipe, CliError> {
    let mut recipe: Recipe = recipe::load(&args.config, &args.overrides.set).map_err(RunError::from)?;
    if let Some(adapter) = &args.adapter {
        recipe.model.adapter = Some(adapter.clone());
    }
    Ok(recipe)
}

/// The folder for the results of `command`.
pub(super) fn run_dir(args: &EvaluateArgs, command: &str) -> PathBuf {
    args.run_dir.clone().unwrap_or_else(|| {
        let name = args.config.file_stem().unwrap_or(args.config.as_os_str());
        PathBuf::from("runs").join(format!("{}-{command}", name.display()))
    })
}

/// The report to stdout, or how far the work came.
///
/// # Errors
/// If stdout cannot be written to.
pub(super) fn tell<R>(
    finished: &Finished<R>,
    markdown: impl FnOnce(&R) -> String,
    run_dir: &Path,
) -> Result<(), CliError> {
    let Some(report) = &finished.report else {
        let Finished { items, total, .. } = finished;
        note(&format!("stopped after {items} of {total} items; go on with --resume"));
        return Ok(());
    };
    output::data(markdown(report).trim_end())?;
    note(&format!("report saved to {}", run_dir.display()));
    Ok(())
}

/// Evaluates named students, each an adapter or the base, in folders of their names below `folder`, and writes
/// their results side by side to stdout. What was done before is not done again.
///
/// # Errors
/// As [`run`].
pub(super) fn side_by_side(
    recipe: &Recipe,
    students: &[(&str, Option<PathBuf>)],
    folder: &Path,
    device: &Device,
    kit: &Kit,
    stop: &AtomicBool,
) -> Result<(), CliError> {
    let mut reports = Vec::new();
    for (name, adapter) in students {
        note(&format!("evaluating {name}"));
        let mut recipe = recipe.clone();
        recipe.model.adapter.clone_from(adapter);
        let run_dir = folder.join(name);
        let resume = begun(&run_dir, &recipe)?;
        let mut progress = Items::new();
        let options = Options { recipe: &recipe, run_dir: &run_dir, resume, kit, device };
        let finished = evaluate(&options, &mut progress, stop);
        progress.finish();
        let finished = finished?;
        let Some(report) = finished.report else { return tell(&finished, Report::markdown, &run_dir) };
        reports.push((*name, report));
    }
    let named: Vec<(&str, &Report)> = reports.iter().map(|(name, report)| (*name, report)).collect();
    output::data(comparison(&named).trim_end())?;
    note(&format!("reports saved below {}", folder.display()));
    Ok(())
}

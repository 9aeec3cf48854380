//! `vigos eval`: a recipe in, a report of its student's answers out.

use crate::args::EvaluateArgs;
use crate::device::Choice;
use crate::error::CliError;
use crate::recipe;
use burn::tensor::Device;
use std::path::{Path, PathBuf};
use vigos::kit;
use vigos_eval::evaluate::begun;
use vigos_eval::{Finished, Options, Report, Suites, comparison, evaluate, evaluate_suites};
use vigos_recipe::Recipe;
use vigos_recipe::resume::Run;
use vigos_rollout::Kit;
use vigos_terminal::Stop;
use vigos_terminal::output::{self, note};
use vigos_terminal::progress::Items;

/// Runs the command. Work that is stopped keeps what is whole.
///
/// # Errors
/// If the recipe or what it names is wrong, or the device or the disk fails.
pub(crate) fn run(args: &EvaluateArgs, device: &Choice) -> Result<(), CliError> {
    let run_dir = run_dir(args, "eval");
    let (mut recipe, overrides) = load(args, &run_dir, Run::Eval)?;
    if let Some(data) = &args.data {
        // In the place of all that the recipe would ask.
        (recipe.eval.path, recipe.eval.prior) = (Some(data.clone()), None);
        recipe.eval.suites.clear();
    }
    let device = device.open()?;
    let stop = Stop::listen(None)?;
    let mut progress = Items::new();
    let kit = kit();
    let options = Options { overrides: &overrides, ..Options::new(&recipe, &run_dir, &kit, &device) };
    let options = options.resumed(args.resume);
    if !recipe.eval.suites.is_empty() {
        let finished = evaluate_suites(&options, &mut progress, stop.flag());
        progress.finish();
        return tell(&finished?, Suites::markdown, &run_dir, &stop);
    }
    let finished = evaluate(&options, &mut progress, stop.flag());
    progress.finish();
    tell(&finished?, Report::markdown, &run_dir, &stop)
}

/// The recipe with the adapter that the arguments name, and what was set over its file, in work that is gone on with
/// also when it was begun.
///
/// # Errors
/// If it is wrong.
pub(super) fn load(args: &EvaluateArgs, run_dir: &Path, run: Run) -> Result<(Recipe, Vec<String>), CliError> {
    let overrides = args.overrides.in_run(run_dir, args.resume, run)?;
    let mut recipe: Recipe = recipe::load(&args.config, &overrides)?;
    if let Some(adapter) = &args.adapter {
        recipe.model.adapter = Some(adapter.clone());
    }
    Ok((recipe, overrides))
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
/// If stdout cannot be written to, and if the work was stopped.
pub(super) fn tell<R>(
    finished: &Finished<R>,
    markdown: impl FnOnce(&R) -> String,
    run_dir: &Path,
    stop: &Stop,
) -> Result<(), CliError> {
    let Some(report) = &finished.report else {
        let Finished { items, total, .. } = finished;
        note(&format!("stopped after {items} of {total} items; go on with --resume"));
        return Err(stop.stopped().into());
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
    stop: &Stop,
) -> Result<(), CliError> {
    let mut reports = Vec::new();
    for (name, adapter) in students {
        note(&format!("evaluating {name}"));
        let mut recipe = recipe.clone();
        recipe.model.adapter.clone_from(adapter);
        let run_dir = folder.join(name);
        let resume = begun(&run_dir, &recipe)?;
        let mut progress = Items::new();
        let options = Options::new(&recipe, &run_dir, kit, device).resumed(resume);
        let finished = evaluate(&options, &mut progress, stop.flag());
        progress.finish();
        let finished = finished?;
        let Some(report) = finished.report else { return tell(&finished, Report::markdown, &run_dir, stop) };
        reports.push((*name, report));
    }
    let named: Vec<(&str, &Report)> = reports.iter().map(|(name, report)| (*name, report)).collect();
    output::data(comparison(&named).trim_end())?;
    note(&format!("reports saved below {}", folder.display()));
    Ok(())
}

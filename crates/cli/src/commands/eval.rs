//! `vigos eval`: a recipe in, a report of its student's answers out.

use crate::args::EvaluateArgs;
use crate::device::Choice;
use crate::error::CliError;
use crate::ranks::stopped;
use crate::recipe;
use std::path::{Path, PathBuf};
use vigos::kit;
use vigos_eval::evaluate::begun;
use vigos_eval::{Finished, Observer, Options, Report, Suites, comparison, evaluate, evaluate_suites};
use vigos_ranks::Ranks;
use vigos_recipe::Recipe;
use vigos_recipe::resume::Run;
use vigos_rollout::RunError;
use vigos_rollout::agreed::of_the_first;
use vigos_terminal::Stop;
use vigos_terminal::output::{self, note};
use vigos_terminal::progress::Items;

/// Runs the command. Work that is stopped keeps what is whole.
///
/// # Errors
/// If the recipe or what it names is wrong, or the device or the disk fails.
pub(crate) fn run(args: &EvaluateArgs, device: &Choice, ranks: &dyn Ranks) -> Result<(), CliError> {
    let run_dir = run_dir(args, "eval");
    let (mut recipe, overrides) = load(args, &run_dir, Run::Eval)?;
    if let Some(data) = &args.data {
        // In the place of all that the recipe would ask.
        (recipe.eval.path, recipe.eval.prior) = (Some(data.clone()), None);
        recipe.eval.suites.clear();
    }
    let device = device.of_rank(ranks)?;
    let stop = Stop::listen(None)?;
    let kit = kit();
    let options = Options { overrides: &overrides, ranks, ..Options::new(&recipe, &run_dir, &kit, &device) };
    let options = options.resumed(args.resume);
    if !recipe.eval.suites.is_empty() {
        let finished = watched(ranks, |observer| evaluate_suites(&options, observer, stop.flag()))?;
        return tell(&finished, Suites::markdown, &run_dir, ranks, &stop);
    }
    let finished = watched(ranks, |observer| evaluate(&options, observer, stop.flag()))?;
    tell(&finished, Report::markdown, &run_dir, ranks, &stop)
}

/// What `work` comes to, which the first rank shows.
///
/// # Errors
/// As `work`.
pub(super) fn watched<R>(
    ranks: &dyn Ranks,
    work: impl FnOnce(&mut dyn Observer) -> Result<R, RunError>,
) -> Result<R, RunError> {
    if !ranks.is_first() {
        return work(&mut ());
    }
    let mut progress = Items::new();
    let finished = work(&mut progress);
    progress.finish();
    finished
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

/// The report to stdout, or how far the work came, by the first rank.
///
/// # Errors
/// If stdout cannot be written to, and if the work was stopped.
pub(super) fn tell<R>(
    finished: &Finished<R>,
    markdown: impl FnOnce(&R) -> String,
    run_dir: &Path,
    ranks: &dyn Ranks,
    stop: &Stop,
) -> Result<(), CliError> {
    let Some(report) = &finished.report else {
        let Finished { items, total, .. } = finished;
        note(&format!("stopped after {items} of {total} items; go on with --resume"));
        return stopped(ranks, stop);
    };
    if !ranks.is_first() {
        return Ok(());
    }
    output::data(markdown(report).trim_end())?;
    note(&format!("report saved to {}", run_dir.display()));
    Ok(())
}

/// Evaluates named students of a run, each an adapter or the base, in folders of their names below the run's `eval`, and
/// writes their results side by side to stdout. What was done before is not done again.
///
/// # Errors
/// As [`run`].
pub(super) fn side_by_side(
    run: &Options,
    students: &[(&str, Option<PathBuf>)],
    stop: &Stop,
) -> Result<(), CliError> {
    let (folder, ranks) = (run.run_dir.join("eval"), run.ranks);
    let mut reports = Vec::new();
    for (name, adapter) in students {
        note(&format!("evaluating {name}"));
        let mut recipe = run.recipe.clone();
        recipe.model.adapter.clone_from(adapter);
        let run_dir = folder.join(name);
        let resume = of_the_first(ranks, || begun(&run_dir, &recipe))?;
        let options = Options { recipe: &recipe, run_dir: &run_dir, overrides: &[], ..*run }.resumed(resume);
        let finished = watched(ranks, |observer| evaluate(&options, observer, stop.flag()))?;
        let Some(report) = finished.report else {
            return tell(&finished, Report::markdown, &run_dir, ranks, stop);
        };
        reports.push((*name, report));
    }
    if !ranks.is_first() {
        return Ok(());
    }
    let named: Vec<(&str, &Report)> = reports.iter().map(|(name, report)| (*name, report)).collect();
    output::data(comparison(&named).trim_end())?;
    note(&format!("reports saved below {}", folder.display()));
    Ok(())
}

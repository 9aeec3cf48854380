//! `vigos train`: a recipe in, a run folder out.

use super::what_next::{Done, what_next};
use crate::args::TrainArgs;
use crate::device::{Choice, available_memory};
use crate::error::CliError;
use crate::interrupt::stop_on_interrupt;
use crate::output::{self, note};
use crate::progress::Run;
use crate::recipe;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use vigos::kit;
use vigos_recipe::Recipe;
use vigos_recipe::RunRecipe;
use vigos_rollout::RunError;
use vigos_train::{Observer, RunOptions, train};

/// Runs the command. A run that is stopped by Ctrl-C saves its last whole step and counts as a success.
///
/// # Errors
/// If the recipe or what it names is wrong, or the device or the disk fails.
pub(crate) fn run(args: &TrainArgs, device: &Choice) -> Result<(), CliError> {
    with_recipe::<Recipe, _>(args, device, train, |finished, options, stop| {
        if finished.interrupted {
            note(&format!("stopped after step {}; go on with --resume", finished.steps));
        }
        note(&format!("adapter saved to {}", finished.output.display()));
        let recipe = options.recipe;
        if recipe.eval.around && !finished.interrupted {
            let step = format!("step-{:06}", finished.steps);
            let after = Some(finished.output.clone());
            let students = [("before", recipe.model.adapter.clone()), (step.as_str(), after)];
            let folder = options.run_dir.join("eval");
            super::eval::side_by_side(recipe, &students, &folder, options.device, options.kit, stop)?;
            let (adapter, run_dir, kit) = (finished.output.as_path(), options.run_dir, options.kit);
            note(&what_next(&Done { recipe, run_dir, adapter, device, kit }));
        }
        Ok(())
    })
}

/// Reads the recipe, and shows it or trains by it; `done` sees how the run ended, and goes on from there.
///
/// # Errors
/// If the recipe or what it names is wrong, or the device or the disk fails.
pub(super) fn with_recipe<R: RunRecipe, F>(
    args: &TrainArgs,
    device: &Choice,
    train: impl FnOnce(&RunOptions<R>, &mut dyn Observer, &AtomicBool) -> Result<F, RunError>,
    done: impl FnOnce(F, &RunOptions<R>, &AtomicBool) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let recipe: R = recipe::load(&args.config, &args.overrides.set).map_err(RunError::from)?;
    if args.print_config {
        let text = recipe.to_toml().map_err(RunError::from)?;
        return output::data(text.trim_end());
    }
    let device = device.open()?;
    let run_dir = args.run_dir.clone().unwrap_or_else(|| {
        let name = args.config.file_stem().unwrap_or(args.config.as_os_str());
        PathBuf::from("runs").join(name)
    });
    let stop = stop_on_interrupt()?;
    let mut progress = Run::new(available_memory(&device));
    let options =
        RunOptions { recipe: &recipe, run_dir: &run_dir, resume: args.resume, kit: &kit(), device: &device };
    let finished = train(&options, &mut progress, &stop);
    progress.finish();
    done(finished?, &options, &stop)
}

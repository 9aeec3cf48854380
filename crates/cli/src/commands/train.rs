//! `vigos train`: a recipe in, a run folder out.

use crate::args::TrainArgs;
use crate::device::{Choice, available_memory};
use crate::error::CliError;
use crate::interrupt::stop_on_interrupt;
use crate::output::{self, note};
use crate::progress::Run;
use std::path::PathBuf;
use vigos_train::Recipe;
use vigos_train::trainer::{TrainOptions, train};

/// Runs the command. A run that is stopped by Ctrl-C saves its last whole step and counts as a success.
///
/// # Errors
/// If the recipe or what it names is wrong, or the device or the disk fails.
pub(crate) fn run(args: &TrainArgs, device: &Choice) -> Result<(), CliError> {
    let recipe = Recipe::load(&args.config, &args.overrides.set).map_err(vigos_train::TrainError::from)?;
    if args.print_config {
        let text = recipe.to_toml().map_err(vigos_train::TrainError::from)?;
        return output::data(text.trim_end());
    }
    let device = device.open()?;
    let run_dir = args.run_dir.clone().unwrap_or_else(|| {
        let name = args.config.file_stem().unwrap_or(args.config.as_os_str());
        PathBuf::from("runs").join(name)
    });
    let stop = stop_on_interrupt()?;
    let mut progress = Run::new(available_memory(&device));
    let options = TrainOptions { recipe: &recipe, run_dir: &run_dir, resume: args.resume, device: &device };
    let finished = train(&options, &mut progress, &stop);
    progress.finish();
    let finished = finished?;
    if finished.interrupted {
        note(&format!("stopped after step {}; go on with --resume", finished.steps));
    }
    note(&format!("adapter saved to {}", finished.adapter.display()));
    if recipe.eval.around && !finished.interrupted {
        let step = format!("step-{:06}", finished.steps);
        let students = [("before", recipe.model.adapter.clone()), (step.as_str(), Some(finished.adapter))];
        super::eval::side_by_side(&recipe, &students, &run_dir.join("eval"), &device, &stop)?;
    }
    Ok(())
}

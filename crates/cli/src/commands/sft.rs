//! `vigos sft`: demonstrations in, a trained model or adapter out.

use super::train::with_recipe;
use crate::args::TrainArgs;
use crate::device::Choice;
use crate::error::CliError;
use crate::ranks::stopped;
use vigos_ranks::Ranks;
use vigos_recipe::resume::Run;
use vigos_recipe::sft::SftRecipe;
use vigos_terminal::output::note;
use vigos_terminal::pages::{end_with_page, say_how_it_went};
use vigos_train::sft;

/// Runs the command. A run that is stopped saves its last whole step.
///
/// # Errors
/// If the recipe or what it names is wrong, or the device or the disk fails.
pub(crate) fn run(args: &TrainArgs, device: &Choice, ranks: &dyn Ranks) -> Result<(), CliError> {
    let writes =
        |recipe: &SftRecipe| (recipe.report.every, recipe.log.trackers.clone(), recipe.train.fast_math);
    with_recipe(args, Run::Sft, (device, ranks), writes, sft, |finished, options, stop| {
        note(&format!("saved to {}", finished.output.display()));
        if ranks.is_first() {
            end_with_page(options.run_dir);
        }
        if finished.interrupted {
            note(&format!("stopped after step {}; go on with --resume", finished.steps));
            return stopped(ranks, stop);
        }
        if ranks.is_first() {
            say_how_it_went(options.run_dir);
        }
        Ok(())
    })
}

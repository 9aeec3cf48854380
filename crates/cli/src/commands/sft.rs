//! `vigos sft`: demonstrations in, a trained model or adapter out.

use super::train::with_recipe;
use crate::args::TrainArgs;
use crate::device::Choice;
use crate::error::CliError;
use crate::output::note;
use vigos_recipe::sft::SftRecipe;
use vigos_train::sft;

/// Runs the command. A run that is stopped saves its last whole step.
///
/// # Errors
/// If the recipe or what it names is wrong, or the device or the disk fails.
pub(crate) fn run(args: &TrainArgs, device: &Choice) -> Result<(), CliError> {
    with_recipe::<SftRecipe, _>(args, device, sft, |finished, _, stop| {
        note(&format!("saved to {}", finished.output.display()));
        if finished.interrupted {
            note(&format!("stopped after step {}; go on with --resume", finished.steps));
            return Err(stop.stopped());
        }
        Ok(())
    })
}

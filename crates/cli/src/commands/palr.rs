//! `vigos palr`: a recipe in, the leakage diagnostic of its student and teachers out.

use super::eval::{load, run_dir, tell};
use crate::args::PalrArgs;
use crate::device::Choice;
use crate::error::CliError;
use crate::interrupt::stop_on_interrupt;
use crate::progress::Items;
use vigos::kit;
use vigos_eval::Options;
use vigos_eval::palr::{PalrReport, palr};

/// Runs the command. Work that is stopped by Ctrl-C keeps what is whole and counts as a success.
///
/// # Errors
/// If the recipe or what it names is wrong, or the device or the disk fails.
pub(crate) fn run(args: &PalrArgs, device: &Choice) -> Result<(), CliError> {
    let PalrArgs { evaluate, rollouts } = args;
    let mut recipe = load(evaluate)?;
    if let Some(data) = &evaluate.data {
        // Its split would be that of another data set.
        (recipe.data.path, recipe.data.split) = (data.clone(), None);
    }
    let run_dir = run_dir(evaluate, "palr");
    let device = device.open()?;
    let stop = stop_on_interrupt()?;
    let mut progress = Items::new();
    let options =
        Options { recipe: &recipe, run_dir: &run_dir, resume: evaluate.resume, kit: &kit(), device: &device };
    let finished = palr(&options, rollouts.as_deref(), &mut progress, &stop);
    progress.finish();
    tell(&finished?, PalrReport::markdown, &run_dir)
}

//! `vigos palr`: a recipe in, the leakage diagnostic of its student and teachers out.

use super::eval::{load, run_dir, tell};
use crate::args::PalrArgs;
use crate::device::Choice;
use crate::error::CliError;
use vigos::kit;
use vigos_eval::Options;
use vigos_eval::palr::{PalrReport, palr};
use vigos_recipe::resume::Run;
use vigos_terminal::Stop;
use vigos_terminal::progress::Items;

/// Runs the command. Work that is stopped keeps what is whole.
///
/// # Errors
/// If the recipe or what it names is wrong, or the device or the disk fails.
pub(crate) fn run(args: &PalrArgs, device: &Choice) -> Result<(), CliError> {
    let PalrArgs { evaluate, rollouts } = args;
    let run_dir = run_dir(evaluate, "palr");
    let (mut recipe, overrides) = load(evaluate, &run_dir, Run::Palr)?;
    if let Some(data) = &evaluate.data {
        // Its split would be that of another data set.
        (recipe.data.path, recipe.data.split) = (data.clone(), None);
    }
    let device = device.open()?;
    let stop = Stop::listen(None)?;
    let mut progress = Items::new();
    let kit = kit();
    let options = Options { overrides: &overrides, ..Options::new(&recipe, &run_dir, &kit, &device) };
    let finished = palr(&options.resumed(evaluate.resume), rollouts.as_deref(), &mut progress, stop.flag());
    progress.finish();
    tell(&finished?, PalrReport::markdown, &run_dir, &stop)
}

//! `vigos palr`: a recipe in, the leakage diagnostic of its student and teachers out.

use super::eval::{load, run_dir, tell, watched};
use crate::args::PalrArgs;
use crate::device::Choice;
use crate::error::CliError;
use vigos::kit;
use vigos_eval::Options;
use vigos_eval::palr::{PalrReport, palr};
use vigos_ranks::Ranks;
use vigos_recipe::resume::Run;
use vigos_terminal::Stop;

/// Runs the command. Work that is stopped keeps what is whole.
///
/// # Errors
/// If the recipe or what it names is wrong, or the device or the disk fails.
pub(crate) fn run(args: &PalrArgs, device: &Choice, ranks: &dyn Ranks) -> Result<(), CliError> {
    let PalrArgs { evaluate, rollouts } = args;
    let run_dir = run_dir(evaluate, "palr");
    let (mut recipe, overrides) = load(evaluate, &run_dir, Run::Palr)?;
    if let Some(data) = &evaluate.data {
        // Its split would be that of another data set.
        (recipe.data.path, recipe.data.split) = (data.clone(), None);
    }
    let device = device.of_rank(ranks)?;
    let stop = Stop::listen(None)?;
    let kit = kit();
    let options = Options { overrides: &overrides, ranks, ..Options::new(&recipe, &run_dir, &kit, &device) };
    let options = options.resumed(evaluate.resume);
    let finished = watched(ranks, |observer| palr(&options, rollouts.as_deref(), observer, stop.flag()))?;
    tell(&finished, PalrReport::markdown, &run_dir, ranks, &stop)
}

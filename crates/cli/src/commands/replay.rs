//! `vigos replay`: one optimiser step on recorded completions.

use crate::args::ReplayArgs;
use crate::device::Choice;
use crate::error::CliError;
use crate::recipe;
use crate::unclaimed::filled;
use vigos::kit;
use vigos_recipe::Recipe;
use vigos_terminal::output::note;
use vigos_terminal::progress::Transfer;
use vigos_train::replay::replay;

/// Runs the command.
///
/// # Errors
/// If the recipe or a row is wrong, or the device or the disk fails.
pub(crate) fn run(args: &ReplayArgs, device: &Choice) -> Result<(), CliError> {
    let recipe: Recipe = recipe::load(&args.config, &args.overrides.set)?;
    let mut transfer = Transfer::default();
    let mut fetching = |file: &str, bytes, size| transfer.set(file, bytes, size);
    let device = device.open()?;
    let (rollouts, out) = (&args.rollouts, &args.out);
    filled(out, || Ok(replay(&recipe, rollouts, out, &kit(), &device, &mut fetching)?))?;
    transfer.finish();
    note(&format!("step saved to {}", args.out.display()));
    Ok(())
}

//! `vigos presets`: the methods that a recipe can name, and what they stand for.

use crate::args::PresetsArgs;
use crate::error::CliError;
use vigos_recipe::{Fidelity, Preset};
use vigos_terminal::output;

/// Runs the command.
///
/// # Errors
/// If stdout cannot be written to.
pub(crate) fn run(args: &PresetsArgs) -> Result<(), CliError> {
    match args.name.as_deref().and_then(Preset::named) {
        Some(preset) => {
            let fidelity = if args.released { Fidelity::Released } else { Fidelity::Paper };
            output::data(preset.recipe(fidelity).trim_end())?;
        }
        None => Preset::ALL
            .iter()
            .try_for_each(|preset| output::data(&format!("{:24}  {}", preset.name, preset.about())))?,
    }
    Ok(())
}

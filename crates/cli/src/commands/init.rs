//! `vigos init`: a model folder with random weights.

use crate::args::InitArgs;
use crate::error::CliError;
use crate::unclaimed::{filled, unclaimed};
use vigos::kit;
use vigos_models::{ConfigFile, init};
use vigos_terminal::output::note;
use vigos_terminal::progress::Transfer;

/// Runs the command.
///
/// # Errors
/// If the configuration is wrong, or the folder is taken or cannot be written.
pub(crate) fn run(args: &InitArgs) -> Result<(), CliError> {
    unclaimed(&args.out)?;
    let mut transfer = Transfer::working("making");
    let file = ConfigFile::read(&args.config)?;
    let config = kit().families.parse(&file)?;
    let model = config.architecture();
    let mut watch = |bytes, size| transfer.set("weights", bytes, size);
    filled(&args.out, || Ok(init::init_watched(model, &file, &args.out, args.seed, &mut watch)?))?;
    transfer.finish();
    note(&format!("a model of {} parameters saved to {}", model.values(), args.out.display()));
    Ok(())
}

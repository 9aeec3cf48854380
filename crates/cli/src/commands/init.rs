//! `vigos init`: a model folder with random weights.

use crate::args::InitArgs;
use crate::error::CliError;
use crate::output::note;
use crate::progress::Transfer;
use vigos_models::{init, layout};

/// Runs the command.
///
/// # Errors
/// If the configuration is wrong, or the folder is taken or cannot be written.
pub(crate) fn run(args: &InitArgs) -> Result<(), CliError> {
    super::unclaimed(&args.out)?;
    let mut transfer = Transfer::making();
    let config = init::init_watched(&args.config, &args.out, args.seed, &mut |bytes, size| {
        transfer.set("weights", bytes, size);
    })?;
    transfer.finish();
    let parameters: usize =
        layout::parameters(&config).iter().map(|p| p.shape.iter().product::<usize>()).sum();
    note(&format!("a model of {parameters} parameters saved to {}", args.out.display()));
    Ok(())
}

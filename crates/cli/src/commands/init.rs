//! `vigos init`: a model folder with random weights.

use crate::args::InitArgs;
use crate::error::CliError;
use crate::output::note;
use vigos_models::{init, layout};

/// Runs the command.
///
/// # Errors
/// If the configuration is wrong, or the folder is taken or cannot be written.
pub(crate) fn run(args: &InitArgs) -> Result<(), CliError> {
    if args.out.join("config.json").exists() {
        let found = format!("{}: there is a model already", args.out.display());
        return Err(CliError::input("--out", found, "name an empty or a new folder"));
    }
    let config = init::init(&args.config, &args.out, args.seed)?;
    let parameters: usize =
        layout::parameters(&config).iter().map(|p| p.shape.iter().product::<usize>()).sum();
    note(&format!("a model of {parameters} parameters saved to {}", args.out.display()));
    Ok(())
}
